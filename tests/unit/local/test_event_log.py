"""The log of a partition: nothing that was appended is lost, and a cut tail is."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.eventhubs.log import LogFormatError, PartitionLog, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_MS = 1_700_000_000_000


class _Clock:
    def __init__(self) -> None:
        self.now_ms = _START_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def log(tmp_path: Path, clock: _Clock) -> Iterator[PartitionLog]:
    log = PartitionLog(tmp_path / "partition-0.log", clock)
    yield log
    log.close()


def _all(log: PartitionLog) -> list[Record]:
    records: list[Record] = []
    while found := log.read(records[-1].end if records else log.start, 7, 300):
        records += found
    return records


def _reopened(log: PartitionLog, clock: _Clock) -> PartitionLog:
    return PartitionLog(log._path, clock)


def test_events_come_back_in_order_with_numbers_without_gaps(log: PartitionLog) -> None:
    bodies = [b"%d" % number for number in range(1000)]
    for start in range(0, 1000, 8):
        log.append(bodies[start : start + 8])
    records = _all(log)
    assert [record.body for record in records] == bodies
    assert [record.sequence for record in records] == list(range(1000))
    assert all(left.end == right.position for left, right in pairwise(records))


def test_a_restart_keeps_events_numbers_offsets_and_times(log: PartitionLog, clock: _Clock) -> None:
    log.append([b"a", b"b"])
    clock.now_ms += 5
    log.append([b"c"])
    before = (log.base, log.end, log.count, log.last_position, log.last_enqueued_ms, _all(log))
    again = _reopened(log, clock)
    assert (again.base, again.end, again.count, again.last_position, again.last_enqueued_ms, _all(again)) == before
    again.append([b"d"])
    assert [(record.sequence, record.body) for record in _all(again)][-2:] == [(2, b"c"), (3, b"d")]
    again.close()


def test_a_tail_cut_at_any_byte_is_removed_and_the_rest_kept(tmp_path: Path, clock: _Clock) -> None:
    path = tmp_path / "whole.log"
    log = PartitionLog(path, clock)
    log.append([b"first", b"second"])
    kept = log.end
    log.append([b"third"])
    log.close()
    whole = path.read_bytes()
    for size in range(kept, len(whole)):
        path.write_bytes(whole[:size])
        again = PartitionLog(path, clock)
        assert [record.body for record in _all(again)] == [b"first", b"second"]
        again.append([b"new"])
        assert [(record.sequence, record.body) for record in _all(again)][2:] == [(2, b"new")]
        again.close()


def test_a_head_cut_short_is_written_again(tmp_path: Path, clock: _Clock) -> None:
    path = tmp_path / "cut.log"
    path.write_bytes(b"SWEH")
    log = PartitionLog(path, clock)
    log.append([b"a"])
    again = _reopened(log, clock)
    assert [record.body for record in _all(again)] == [b"a"]
    log.close()
    again.close()


def test_a_damaged_tail_is_removed(log: PartitionLog, clock: _Clock) -> None:
    log.append([b"first", b"second"])
    data = bytearray(log._path.read_bytes())
    data[-1] ^= 1
    log._path.write_bytes(data)
    again = _reopened(log, clock)
    assert [record.body for record in _all(again)] == [b"first"]
    again.close()


def test_events_larger_than_what_is_read_at_once_come_whole(log: PartitionLog, clock: _Clock) -> None:
    bodies = [b"x" * (3 << 20), b"small", b"y" * (2 << 20)]
    log.append(bodies)
    again = _reopened(log, clock)
    assert [record.body for record in _all(again)] == bodies
    again.close()


def test_a_failed_write_leaves_the_log_as_it_was(log: PartitionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append([b"a"])
    write = os.write

    def half(descriptor: int, data: memoryview) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space left"):
            log.append([b"b" * 100])
    log.append([b"c"])
    assert [(record.sequence, record.body) for record in _all(log)] == [(0, b"a"), (1, b"c")]


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, clock: _Clock) -> None:
    path = tmp_path / "partition-0.log"
    path.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(LogFormatError, match="not an event log"):
        PartitionLog(path, clock)
    assert path.read_bytes().startswith(b"PK")


def test_enqueued_times_never_run_backwards(log: PartitionLog, clock: _Clock) -> None:
    log.append([b"a"])
    clock.now_ms -= 1000
    log.append([b"b"])
    clock.now_ms += 2000
    log.append([b"c"])
    assert [record.enqueued_ms for record in _all(log)] == [_START_MS, _START_MS, _START_MS + 1000]


def test_a_log_that_was_created_again_has_offsets_beyond_the_old_ones_and_newer_times(
    tmp_path: Path, clock: _Clock
) -> None:
    path = tmp_path / "partition-0.log"
    old = PartitionLog(path, clock)
    old.append([b"x" * 1000] * 500)
    old.close()
    path.unlink()
    clock.now_ms += 1
    new = PartitionLog(path, clock)
    new.append([b"a", b"b"])
    assert new.base > old.base + old.end
    assert [record.sequence for record in _all(new)] == [0, 1]
    assert new.position_of_offset(old.base + old.last_position, inclusive=False) == new.start
    new.close()


@settings(max_examples=40, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 3), min_size=1, max_size=400),
    wanted=st.integers(-2, 402),
    inclusive=st.booleans(),
)
def test_positions_are_those_of_a_plain_search(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], wanted: int, inclusive: bool
) -> None:
    clock = _Clock()
    log = PartitionLog(tmp_path_factory.mktemp("log") / "partition-0.log", clock)
    for number, gap in enumerate(gaps):
        clock.now_ms += gap
        log.append([b"%d" % number])
    records = _all(log)

    def first(matches: list[bool]) -> int:
        return next((record.position for record, match in zip(records, matches, strict=True) if match), log.end)

    assert log.position_of_sequence(wanted) == first([record.sequence >= wanted for record in records])
    lowest_ms = _START_MS + wanted + (0 if inclusive else 1)
    assert log.position_of_time(_START_MS + wanted, inclusive=inclusive) == first(
        [record.enqueued_ms >= lowest_ms for record in records]
    )
    lowest = log.start + 20 * wanted + (0 if inclusive else 1)
    assert log.position_of_offset(log.base + log.start + 20 * wanted, inclusive=inclusive) == first(
        [record.position >= lowest for record in records]
    )
    log.close()
