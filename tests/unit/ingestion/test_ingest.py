from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from fakes.ingestion import FakeDeadLetters, FakeIngestStore
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.errors import TransientError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ticks_of
from sensorwatch.ingestion.ingest import Ingest, IngestRules, ingest
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, RawEvent, Window
from sensorwatch.ingestion.windows import window_end
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings import load_settings

PARTITION = Partition("readings", "$Default", "0")
OTHER = Partition("readings", "$Default", "1")
START = datetime(2026, 11, 20, 10, tzinfo=UTC)
RULES = IngestRules(window_seconds=5, lateness_seconds=60)
NAMES = ["a", "b"]


def body(seconds: float, value: float = 1.0, device: str = "a") -> bytes:
    moment = START + timedelta(seconds=seconds)
    return json.dumps({"TS": moment.isoformat(), "Device": device, "Tag": "t", "Value": value}).encode()


def event(number: int, content: bytes, at: float | None = None) -> RawEvent:
    return RawEvent(number, START + timedelta(seconds=3600 + number if at is None else at), content)


def run(
    events: Sequence[RawEvent],
    store: FakeIngestStore,
    letters: FakeDeadLetters | None = None,
    rules: IngestRules = RULES,
) -> IngestCounts:
    return ingest(PARTITION, events, store=store, dead_letters=letters or FakeDeadLetters(), rules=rules)


def counts_of(windows: Iterable[Window]) -> list[int]:
    return [window.readings for window in windows]


def test_an_empty_batch_commits_nothing() -> None:
    store = FakeIngestStore()
    assert run([], store) == IngestCounts(0, 0, 0, 0, 0)
    assert store.ingest_status() == []


def test_readings_of_one_window_become_one_aggregate() -> None:
    store = FakeIngestStore()
    counts = run(
        [event(0, body(1, 2.0)), event(1, body(2, 4.0)), event(2, body(5, -1.0)), event(3, body(5.1, 9.0))], store
    )
    assert counts == IngestCounts(4, 4, 0, 0, 0)
    end = int(START.timestamp()) + 5
    assert store.windows[0, end] == Window(0, end, 3, 5.0, -1.0, 4.0, 21.0)
    assert store.windows[0, end + 5] == Window(0, end + 5, 1, 9.0, 9.0, 9.0, 81.0)


def test_the_rules_follow_the_settings() -> None:
    rules = IngestRules.from_settings(
        load_settings({"DATABASE_URL": "sqlite:///:memory:", "LATENESS_SECONDS": "7", "FUTURE_SECONDS": "9"})
    )
    assert (rules.window_seconds, rules.lateness_seconds) == (5, 7)
    assert rules.readings.future_ticks == 9 * TICKS_PER_SECOND
    assert rules.readings.earliest_ticks == ticks_of(datetime(2000, 1, 1, tzinfo=UTC))


def test_a_replayed_batch_changes_nothing_but_the_duplicates() -> None:
    store = FakeIngestStore()
    batch = [event(0, body(1)), event(1, b"[1, " + body(2) + b"]")]
    assert run(batch, store) == IngestCounts(3, 2, 0, 0, 1)
    windows = dict(store.windows)
    assert run(batch, store) == IngestCounts(3, 0, 0, 3, 0)
    assert store.windows == windows
    assert store.counts[PARTITION] == IngestCounts(6, 2, 0, 3, 1)


def test_an_event_twice_in_a_batch_counts_once() -> None:
    store = FakeIngestStore()
    assert run([event(0, body(1)), event(0, body(1))], store) == IngestCounts(2, 1, 0, 1, 0)


def test_events_in_any_order_are_judged_by_their_sequence_numbers() -> None:
    letters = FakeDeadLetters()
    counts = run([event(1, body(0)), event(0, body(100)), event(2, body(100))], FakeIngestStore(), letters)
    assert counts == IngestCounts(3, 2, 1, 0, 0)
    assert [letter.sequence_number for letter in letters.letters.values()] == [1]


def test_bad_readings_go_to_the_dead_letters_and_the_rest_is_counted() -> None:
    store, letters = FakeIngestStore(), FakeDeadLetters()
    batch = [event(0, b"\xff"), event(1, body(1)), event(2, b"[" + body(2) + b", 7]"), event(3, body(9e6))]
    assert run(batch, store, letters) == IngestCounts(5, 2, 0, 0, 3)
    assert letters.reasons() == ["not-utf8", "not-object", "far-future"]
    assert [(x.sequence_number, x.index) for x in letters.letters.values()] == [(0, 0), (2, 1), (3, 0)]
    assert [x.body for x in letters.letters.values()] == [batch[0].body, batch[2].body, batch[3].body]


@pytest.mark.parametrize(
    ("lateness", "behind", "late"), [(60, 55, 0), (60, 60, 1), (60, 65, 1), (0, 0, 0), (0, 5, 1), (3, 5, 1)]
)
def test_lateness_is_measured_from_the_sensors_newest_window(lateness: int, behind: int, late: int) -> None:
    rules = IngestRules(window_seconds=5, lateness_seconds=lateness)
    for cut in (0, 1):
        store = FakeIngestStore()
        batch = [event(0, body(1000)), event(1, body(1000 - behind))]
        results = [run(part, store, rules=rules) for part in (batch[:cut], batch[cut:])]
        assert sum(result.late for result in results) == late


def test_one_stalled_sensor_delays_no_other() -> None:
    store = FakeIngestStore()
    assert run([event(0, body(1000)), event(1, body(0, device="b"))], store).late == 0


def test_dead_letters_are_kept_before_the_commit() -> None:
    store, letters = FakeIngestStore(), FakeDeadLetters()

    def crash() -> None:
        assert letters.reasons() == ["not-json"]
        raise TransientError("the database is away")

    store.before_commit = crash
    with pytest.raises(TransientError):
        run([event(0, b"x")], store, letters)
    assert store.marks == {}


def test_two_consumers_of_a_partition_count_each_reading_once() -> None:
    store, letters = FakeIngestStore(), FakeDeadLetters()
    one, two = Ingest(store, letters, RULES), Ingest(store, letters, RULES)
    events = [event(number, body(number)) for number in range(10)]
    one(PARTITION, events[:3])
    two(PARTITION, events[:6])
    assert one(PARTITION, events[3:8]) == IngestCounts(5, 2, 0, 3, 0)
    assert two(PARTITION, events[6:]) == IngestCounts(4, 2, 0, 2, 0)
    assert sum(counts_of(store.windows.values())) == 10


def test_a_commit_that_another_consumer_overtook_is_judged_again() -> None:
    store, letters = FakeIngestStore(), FakeDeadLetters()
    events = [event(number, body(number)) for number in range(4)]
    store.before_commit = once(lambda: Ingest(store, letters, RULES)(PARTITION, events[:3]))
    assert run(events, store, letters) == IngestCounts(4, 1, 0, 3, 0)
    assert sum(counts_of(store.windows.values())) == 4


@pytest.mark.parametrize("hook", ["before_last_windows", "after_last_windows"])
def test_a_reading_that_another_consumer_accepts_meanwhile_becomes_no_dead_letter(hook: str) -> None:
    store, letters = FakeIngestStore(), FakeDeadLetters()
    events = [event(0, body(0)), event(1, body(1000))]
    setattr(store, hook, once(lambda: Ingest(store, letters, RULES)(PARTITION, events)))
    assert run(events[:1], store, letters) == IngestCounts(1, 0, 0, 1, 0)
    assert letters.letters == {}


def test_a_checkpoint_that_never_holds_still_ends_in_a_transient_error() -> None:
    store = FakeIngestStore()
    numbers = iter(range(100, 200))

    def move() -> None:
        store.marks[PARTITION] = OffsetCheckpoint(next(numbers), START)

    store.before_commit = move
    with pytest.raises(TransientError, match="partition 0 of readings: other consumers committed first 5 times"):
        run([event(1000, body(1))], store)


def test_a_hub_that_was_created_again_is_ingested_from_its_start(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeIngestStore()
    step = Ingest(store, FakeDeadLetters(), RULES)
    step(PARTITION, [event(number, body(1), at=100 + number) for number in range(50)])
    with caplog.at_level(logging.WARNING):
        fresh = [event(number, body(1), at=500 + number) for number in range(3)]
        assert step(PARTITION, fresh) == IngestCounts(3, 3, 0, 0, 0)
    assert "created again" in caplog.text
    assert step(PARTITION, fresh) == IngestCounts(3, 0, 0, 3, 0)
    assert store.marks[PARTITION] == OffsetCheckpoint(2, fresh[-1].enqueued_time)


def test_a_batch_with_the_old_hubs_end_and_the_new_hubs_start_is_applied_once() -> None:
    store = FakeIngestStore()
    old = [event(number, body(1), at=100 + number) for number in range(8)]
    new = [event(number, body(1), at=500 + number) for number in range(12)]
    run(old[:6], store)
    assert run(new[:9] + old[4:], store) == IngestCounts(13, 11, 0, 2, 0)
    assert run(old[4:] + new, store) == IngestCounts(16, 3, 0, 13, 0)
    assert store.marks[PARTITION] == OffsetCheckpoint(11, new[-1].enqueued_time)


def test_a_hubs_clock_that_steps_back_makes_no_event_new_again() -> None:
    store = FakeIngestStore()
    batch = [event(0, body(1), at=100), event(1, body(1), at=40), event(2, body(1), at=41)]
    assert run(batch, store).accepted == 3
    assert run(batch, store).duplicate == 3
    assert run([event(3, body(1), at=42)], store).accepted == 1
    assert run(batch, store).duplicate == 3


def test_a_store_that_was_wiped_is_filled_with_ids_of_its_own() -> None:
    store, letters = FakeIngestStore(), FakeDeadLetters()
    step = Ingest(store, letters, RULES)
    step(PARTITION, [event(0, body(1)), event(1, body(1, device="b"))])
    for table in (store.ids, store.windows, store.marks, store.counts):
        table.clear()
    step(PARTITION, [event(2, body(1, device="b"))])
    assert store.ids == {SensorKey("b", "t"): 0}
    assert [window.sensor_id for window in store.windows.values()] == [0]


def test_a_sensor_that_comes_through_two_partitions_has_one_watermark() -> None:
    store, letters = FakeIngestStore(), FakeDeadLetters()
    step = Ingest(store, letters, RULES)
    step(PARTITION, [event(0, body(1000))])
    assert step(OTHER, [event(0, body(0))]) == IngestCounts(1, 0, 1, 0, 0)


def once(action: Callable[[], object]) -> Callable[[], None]:
    pending = [action]

    def run_once() -> None:
        if pending:
            pending.pop()()

    return run_once


Stream = list[tuple[str, int, float] | None]


@st.composite
def streams(draw: st.DrawFn) -> list[RawEvent]:
    element = st.none() | st.tuples(
        st.sampled_from(NAMES), st.integers(0, 200), st.integers(-9999, 9999).map(lambda n: n / 100)
    )
    drawn: list[Stream] = draw(st.lists(st.lists(element, min_size=1, max_size=3), min_size=1, max_size=25))
    return [event(number, _array(elements)) for number, elements in enumerate(drawn)]


def _array(elements: Stream) -> bytes:
    return b"[" + b",".join(b"7" if x is None else body(x[1], x[2], x[0]) for x in elements) + b"]"


def reference(
    events: Sequence[RawEvent],
) -> tuple[dict[tuple[SensorKey, int], list[float]], IngestCounts, set[tuple[int, int]]]:
    """Return what a plain loop over all events once, in order, makes of them: values by window, counts, letters."""
    windows: dict[tuple[SensorKey, int], list[float]] = defaultdict(list)
    newest: dict[SensorKey, int] = {}
    late, invalid = set(), set()
    for item in events:
        for index, element in enumerate(json.loads(item.body)):
            if not isinstance(element, dict):
                invalid.add((item.sequence_number, index))
                continue
            key = SensorKey(element["Device"], element["Tag"])
            end = window_end(ticks_of(datetime.fromisoformat(element["TS"])), 5)
            if end <= newest.get(key, 0) - 60:
                late.add((item.sequence_number, index))
                continue
            newest[key] = max(end, newest.get(key, 0))
            windows[key, end].append(element["Value"])
    accepted = sum(map(len, windows.values()))
    total = accepted + len(late) + len(invalid)
    return windows, IngestCounts(total, accepted, len(late), 0, len(invalid)), late | invalid


@settings(deadline=None)
@given(events=streams(), data=st.data())
def test_any_cut_redelivery_and_crash_ends_like_one_undisturbed_run(
    events: list[RawEvent], data: st.DataObject
) -> None:
    store, letters = FakeIngestStore(), FakeDeadLetters()
    consumers = [Ingest(store, letters, RULES), Ingest(store, letters, RULES)]
    checkpoint = 0
    faults = 6
    while checkpoint < len(events):
        consumer = data.draw(st.sampled_from(consumers))
        upto = data.draw(st.integers(checkpoint + 1, len(events)))
        batch = data.draw(st.permutations(events[checkpoint:upto]))
        fault = data.draw(st.sampled_from(["", "before", "after", "lost", "overtaken"])) if faults else ""
        faults -= bool(fault)
        rival = consumers[1 - consumers.index(consumer)]
        first_half = events[checkpoint : (checkpoint + upto + 1) // 2]
        overtake = once(partial(rival, PARTITION, first_half))
        store.before_commit = {"before": crash, "overtaken": overtake}.get(fault, nothing)
        store.after_commit = crash if fault == "after" else nothing
        try:
            consumer(PARTITION, batch)
        except TransientError:
            continue
        finally:
            store.before_commit = store.after_commit = nothing
        # A lost checkpoint: the function succeeded, yet its events come again.
        checkpoint = upto if fault != "lost" else data.draw(st.integers(checkpoint, upto))

    windows, counts, rejected = reference(events)
    assert {key: window.readings for key, window in store.by_name().items()} == {k: len(v) for k, v in windows.items()}
    for key, window in store.by_name().items():
        assert window.total == pytest.approx(sum(windows[key]), abs=1e-9)
        assert (window.minimum, window.maximum) == (min(windows[key]), max(windows[key]))
        assert window.sum_of_squares == pytest.approx(sum(value * value for value in windows[key]))
    stored = store.counts[PARTITION]
    assert (stored.accepted, stored.late, stored.invalid) == (counts.accepted, counts.late, counts.invalid)
    assert stored.received == stored.accepted + stored.late + stored.duplicate + stored.invalid
    assert {(x.sequence_number, x.index) for x in letters.letters.values()} == rejected


def nothing() -> None:
    pass


def crash() -> None:
    raise TransientError("the connection broke")


def test_a_process_that_has_seen_too_many_sensors_forgets_them_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorwatch.ingestion.ingest._REMEMBERED_SENSORS", 3)
    store = FakeIngestStore()
    step = Ingest(store, FakeDeadLetters(), RULES)
    for number in range(8):
        content = [body(5 * number, float(number), device=f"d{each}") for each in range(number % 3 + 1, number % 3 + 4)]
        step(PARTITION, [event(10 * number + i, each) for i, each in enumerate(content)])
    assert len(store.ids) > 3
    assert sum(counts_of(store.windows.values())) == 8 * 3
    assert step(PARTITION, [event(0, body(0))]) == IngestCounts(1, 0, 0, 1, 0)
