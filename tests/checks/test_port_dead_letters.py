"""Dead letters in memory and in blobs keep the same contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from fakes.ingestion import FakeDeadLetters

from sensorwatch.errors import ConflictError, InvalidInputError
from sensorwatch.ingestion.dead_letters import BlobDeadLetters
from sensorwatch.ingestion.records import DeadLetter, Partition

if TYPE_CHECKING:
    from sensorwatch.ingestion.ports import DeadLetters

EVENING = datetime(2026, 11, 20, 23, 59, 59, 123000, tzinfo=UTC)
DAY = "2026-11-20"
PARTITION = Partition("readings", "$Default", "3")


def letter(number: int, index: int = 0, body: bytes = b"x", at: datetime = EVENING) -> DeadLetter:
    return DeadLetter(PARTITION, number, at, index, "not-json", "Expecting value at character 0", body)


@pytest.fixture(params=["fake", pytest.param("blob", marks=pytest.mark.wire)])
def dead_letters(request: pytest.FixtureRequest) -> DeadLetters:
    return FakeDeadLetters() if request.param == "fake" else BlobDeadLetters(request.getfixturevalue("container"))


def test_letters_come_back_as_they_were_written(dead_letters: DeadLetters) -> None:
    bodies = [b"", b"\xff\x00", "°\u2028\n\r".encode(), b'{"Value": NaN}', b"y" * 5_000_000]
    letters = [letter(number, body=body) for number, body in enumerate(bodies)]
    dead_letters.write(letters)
    assert list(dead_letters.read()) == letters


def test_an_event_may_have_many_bad_readings(dead_letters: DeadLetters) -> None:
    letters = [letter(number, index, b"[1, 1]") for number in (0, 1) for index in range(2)]
    dead_letters.write(letters)
    assert list(dead_letters.read(DAY)) == letters


def test_letters_written_again_are_read_once(dead_letters: DeadLetters) -> None:
    letters = [letter(number) for number in (7, 8, 9)]
    dead_letters.write(letters)
    dead_letters.write(list(reversed(letters)))
    assert list(dead_letters.read()) == letters


def test_letters_written_with_other_batch_boundaries_are_read_once(dead_letters: DeadLetters) -> None:
    letters = [letter(number) for number in range(4)]
    dead_letters.write(letters[:3])
    dead_letters.write(letters[1:])
    assert sorted(x.sequence_number for x in dead_letters.read()) == [0, 1, 2, 3]


def test_a_hub_that_was_created_again_has_letters_of_its_own(dead_letters: DeadLetters) -> None:
    old, new = letter(0), replace(letter(0), enqueued_time=EVENING - timedelta(hours=1))
    dead_letters.write([old])
    dead_letters.write([new])
    assert sorted(dead_letters.read(), key=lambda x: x.enqueued_time) == [new, old]


def test_letters_are_read_by_day_and_partition(dead_letters: DeadLetters) -> None:
    before, after = letter(0), letter(1, at=EVENING + timedelta(seconds=1))
    first = replace(letter(5), partition=PARTITION._replace(partition_id="2"))
    dead_letters.write([before, after])
    dead_letters.write([first])
    assert list(dead_letters.read(DAY)) == [first, before]
    assert list(dead_letters.read("2026-11-21")) == [after]
    assert list(dead_letters.read()) == [first, before, after]


def test_letters_of_the_last_hour_are_read_without_older_ones(dead_letters: DeadLetters) -> None:
    now = datetime.now(UTC)
    written = [letter(1, at=now), letter(2, at=now)]
    dead_letters.write(written)
    hour, soon = timedelta(hours=1), now + timedelta(minutes=1)
    assert list(dead_letters.written_within(hour, soon)) == written
    assert list(dead_letters.written_within(hour, now + timedelta(hours=3))) == []


def test_days_are_those_of_utc(dead_letters: DeadLetters) -> None:
    dead_letters.write([letter(0, at=EVENING.astimezone(timezone(timedelta(hours=2))))])
    assert dead_letters.days() == [DAY]
    assert [found.enqueued_time for found in dead_letters.read(DAY)] == [EVENING]


def test_a_replay_comes_back_as_it_was_noted(dead_letters: DeadLetters) -> None:
    letters = (letter(7, 0, b"1"), letter(7, 1, b"2"), letter(7, 2, b"2"), letter(8, 0, b"\xff"), letter(9))
    added = dead_letters.add_replay(DAY, 0, letters, accept_late=True)
    dead_letters.add_replay(DAY, 1, letters[:1], accept_late=False)
    first, second = dead_letters.replays(DAY)
    assert first == added
    assert (first.day, first.number, first.accept_late, first.letters) == (DAY, 0, True, letters)
    assert (second.number, second.accept_late, second.letters) == (1, False, letters[:1])
    assert (first.partition.hub, first.partition.consumer_group) == ("readings", "$Default")
    assert first.partition.partition_id.startswith("replay-")
    assert first.partition != second.partition
    assert len(first.partition.partition_id) <= 32


def test_the_number_of_a_replay_is_given_once(dead_letters: DeadLetters) -> None:
    added = dead_letters.add_replay(DAY, 0, [letter(1)], accept_late=False)
    with pytest.raises(ConflictError):
        dead_letters.add_replay(DAY, 0, [letter(2)], accept_late=False)
    assert list(dead_letters.replays(DAY)) == [added]


def test_days_are_those_of_letters_and_replays(dead_letters: DeadLetters) -> None:
    assert dead_letters.days() == []
    dead_letters.write([letter(0), letter(1, at=EVENING + timedelta(days=1))])
    dead_letters.add_replay("2026-11-19", 0, [letter(0, at=EVENING - timedelta(days=1))], accept_late=False)
    assert dead_letters.days() == ["2026-11-19", DAY, "2026-11-21"]
    assert len(list(dead_letters.read())) == 2
    assert list(dead_letters.replays(DAY)) == []


def test_an_invalid_day_is_refused(dead_letters: DeadLetters) -> None:
    for ask in (dead_letters.read, dead_letters.replays):
        with pytest.raises(InvalidInputError, match="a day like 2026-11-20, got `yesterday`"):
            list(ask("yesterday"))
    with pytest.raises(InvalidInputError, match="got `yesterday`"):
        dead_letters.add_replay("yesterday", 0, [letter(0)], accept_late=False)
