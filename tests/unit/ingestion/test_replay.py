"""Dead letters taken in again, each once: filters, faults, rivals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from fakes.ingestion import FakeDeadLetters, FakeIngestStore
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.errors import ConflictError, TransientError
from sensorwatch.ingestion import replay as replay_module
from sensorwatch.ingestion.decode import ReadingRules, encode, ticks_of
from sensorwatch.ingestion.ingest import IngestRules, ingest
from sensorwatch.ingestion.records import IngestCounts, Partition, RawEvent, Reading
from sensorwatch.ingestion.replay import ReplayOutcome, Selection, replay, select

PARTITION = Partition("readings", "$Default", "0")
OTHER = Partition("readings", "$Default", "1")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = "2026-11-20"
STRICT = IngestRules(window_seconds=5, lateness_seconds=60, readings=ReadingRules(max_body_bytes=1000))
LENIENT = IngestRules(window_seconds=5, lateness_seconds=86_400, readings=ReadingRules(future_ticks=10**15))
ALL = Selection()
NOTHING = IngestCounts(0, 0, 0, 0, 0)


class System:
    """A store and dead letters with the step bound to them."""

    def __init__(self) -> None:
        self.store = FakeIngestStore()
        self.letters = FakeDeadLetters()

    def ingest(self, *events: RawEvent, partition: Partition = PARTITION, rules: IngestRules = STRICT) -> IngestCounts:
        return ingest(partition, events, store=self.store, dead_letters=self.letters, rules=rules)

    def replay(self, selection: Selection = ALL, *, rules: IngestRules = LENIENT, **how: bool) -> ReplayOutcome:
        return replay(selection, store=self.store, dead_letters=self.letters, rules=rules, **how)

    def states(self, selection: Selection = ALL) -> list[str]:
        return [state for _, state in select(selection, store=self.store, dead_letters=self.letters)]

    def accepted(self) -> dict[float, int]:
        """Return how often each value was accepted, where windows hold one value each."""
        return {window.total / window.readings: window.readings for window in self.store.windows.values()}


@pytest.fixture
def system() -> System:
    return System()


def reading(seconds: float, value: float = 1.0) -> bytes:
    return encode(Reading("press", "rpm", ticks_of(NOON + timedelta(seconds=seconds)), value))


def event(number: int, body: bytes, at: datetime = NOON) -> RawEvent:
    return RawEvent(number, at + timedelta(milliseconds=number), body)


def test_a_letter_is_taken_in_once_however_often_it_is_asked_for(system: System) -> None:
    system.ingest(event(0, reading(1000, 7.0)))
    assert system.replay() == ReplayOutcome(1, 0, 0, IngestCounts(1, 1, 0, 0, 0))
    for _ in range(3):
        assert system.replay() == ReplayOutcome(0, 1, 0, NOTHING)
    assert system.accepted() == {7.0: 1}
    assert system.states() == ["replayed"]


def test_accepted_readings_of_the_same_event_as_a_letter_are_not_counted_again(system: System) -> None:
    array = b"[" + b",".join([reading(1, 1.0), reading(1000, 2.0), b"7", reading(11, 3.0)]) + b"]"
    lines = reading(21, 4.0) + b"\n" + reading(2000, 5.0) + b"\n"
    assert system.ingest(event(0, array), event(1, lines)) == IngestCounts(6, 3, 0, 0, 3)
    assert system.replay().counts == IngestCounts(3, 2, 0, 0, 1)
    assert system.accepted() == {1.0: 1, 2.0: 1, 3.0: 1, 4.0: 1, 5.0: 1}


def test_readings_rejected_again_become_letters_of_the_replay(system: System) -> None:
    system.ingest(event(0, b"?"), event(1, reading(1000)))
    replayed = system.replay()
    assert replayed == ReplayOutcome(2, 0, 0, IngestCounts(2, 1, 0, 0, 1))
    rejected = list(system.letters.letters.values())[-1]
    assert rejected.partition == system.letters.log[DAY][0].partition
    assert (rejected.sequence_number, rejected.index, rejected.reason, rejected.body) == (0, 0, "not-json", b"?")
    assert system.states() == ["replayed", "replayed", "new"]


def test_letters_that_a_replay_left_are_taken_on_request_only(system: System) -> None:
    system.ingest(event(0, reading(1000)))
    assert system.replay(rules=STRICT).counts.invalid == 1
    assert system.replay() == ReplayOutcome(0, 1, 0, NOTHING)
    assert system.replay(again=True) == ReplayOutcome(1, 1, 0, IngestCounts(1, 1, 0, 0, 0))
    assert system.replay(again=True) == ReplayOutcome(0, 2, 0, NOTHING)


def test_asking_again_for_what_stays_unusable_ends(system: System) -> None:
    system.ingest(event(0, b"?"))
    for before in range(3):
        assert system.replay(again=True) == ReplayOutcome(1, before, 0, IngestCounts(1, 0, 0, 0, 1))


def test_filters_take_part_of_an_event_and_the_rest_stays_for_later(system: System) -> None:
    system.ingest(event(0, b"[7, " + reading(1000, 2.0) + b"]"))
    system.ingest(event(0, reading(2000, 3.0)), partition=OTHER)
    assert system.replay(Selection(reason="not-object")).counts == IngestCounts(1, 0, 0, 0, 1)
    assert system.replay(Selection(day="2026-11-19")) == ReplayOutcome(0, 0, 0, NOTHING)
    assert system.replay(Selection(day=DAY, partition="1")).counts == IngestCounts(1, 1, 0, 0, 0)
    assert system.replay() == ReplayOutcome(1, 2, 0, IngestCounts(1, 1, 0, 0, 0))
    assert system.accepted() == {2.0: 1, 3.0: 1}


def test_late_readings_are_accepted_when_it_is_asked_for(system: System) -> None:
    system.ingest(event(0, reading(200)), event(1, reading(0, 9.0)))
    assert system.replay(Selection(reason="late"), rules=STRICT, accept_late=True).counts == IngestCounts(1, 1, 0, 0, 0)
    assert system.accepted()[9.0] == 1


def test_late_readings_stay_late_otherwise(system: System) -> None:
    system.ingest(event(0, reading(200)), event(1, reading(0, 9.0)))
    assert system.replay(rules=STRICT).counts == IngestCounts(1, 0, 1, 0, 0)
    assert 9.0 not in system.accepted()


def test_a_body_that_was_too_large_is_taken_whole(system: System) -> None:
    body = b"[" + b",".join(reading(5 * second) for second in range(30)) + b"]"
    assert system.ingest(event(0, body)) == IngestCounts(1, 0, 0, 0, 1)
    assert system.replay().counts == IngestCounts(30, 30, 0, 0, 0)


def test_a_dry_run_changes_nothing(system: System) -> None:
    system.ingest(event(0, b"?"), event(1, reading(1000)))
    for _ in range(2):
        assert system.replay(dry_run=True) == ReplayOutcome(2, 0, 0, NOTHING)
    assert system.letters.log == {}
    system.replay(Selection(reason="not-json"))
    assert system.replay(dry_run=True) == ReplayOutcome(1, 1, 0, NOTHING)


def test_the_letters_of_a_batch_that_was_not_committed_wait(system: System) -> None:
    events = [event(0, reading(1)), event(1, reading(1000, 5.0))]
    system.ingest(events[0])
    with failing_commits(system), suppress(TransientError):
        system.ingest(events[1])
    assert system.states() == ["waiting"]
    assert system.replay() == ReplayOutcome(0, 0, 1, NOTHING)
    # Delivered again, under settings that accept it.
    assert system.ingest(events[1], rules=LENIENT).accepted == 1
    assert system.accepted()[5.0] == 1


def test_letters_of_a_hub_created_again_wait_for_its_events_and_those_of_the_old_one_do_not(system: System) -> None:
    later = NOON + timedelta(hours=1)
    system.ingest(event(50, b"old"))
    system.ingest(event(3, b"new", later))
    with failing_commits(system), suppress(TransientError):
        system.ingest(event(4, b"newest", later))
    found = select(ALL, store=system.store, dead_letters=system.letters)
    assert {letter.body: state for letter, state in found} == {b"old": "new", b"new": "new", b"newest": "waiting"}


def failing_commits(system: System) -> Hooked:
    def fail() -> None:
        raise TransientError("the database is away")

    return Hooked(system.store, "before_commit", fail)


class Hooked:
    """Runs something at a point of a fake for a while."""

    def __init__(self, target: object, name: str, action: Callable[[], None]) -> None:
        self._target, self._name, self._action = target, name, action

    def __enter__(self) -> None:
        setattr(self._target, self._name, self._action)

    def __exit__(self, *_: object) -> None:
        setattr(self._target, self._name, lambda: None)


@pytest.fixture
def small_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "_MAX_LETTERS", 7)
    monkeypatch.setattr(replay_module, "_BATCH_EVENTS", 3)


@pytest.mark.usefixtures("small_replays")
@pytest.mark.parametrize("hook", ["before_commit", "after_commit"])
def test_a_replay_killed_anywhere_is_finished_by_the_next(system: System, hook: str) -> None:
    system.ingest(*(event(number, reading(1000 + 5 * number, number)) for number in range(20)))
    kills = 0
    for crash_at in range(100):
        calls = iter(range(100))

        def crash(calls: Iterator[int] = calls, crash_at: int = crash_at % 3) -> None:
            if next(calls) == crash_at:
                raise TransientError("killed")

        with Hooked(system.store, hook, crash):
            try:
                system.replay()
                break
            except TransientError:
                kills += 1
    assert kills > 3
    assert system.accepted() == dict.fromkeys(map(float, range(20)), 1)
    assert set(system.states()) == {"replayed"}
    assert len(system.store.ingest_status()) > 1
    for status in system.store.ingest_status():
        assert status.counts.received == status.counts.accepted + status.counts.duplicate + status.counts.invalid


@pytest.mark.usefixtures("small_replays")
def test_a_broken_off_replay_is_finished_as_it_was_begun(system: System) -> None:
    system.ingest(event(0, reading(200)), *(event(1 + number, reading(-5 * number, number)) for number in range(5)))
    with failing_commits(system), suppress(TransientError):
        system.replay(rules=STRICT, accept_late=True)
    assert set(system.states()) == {"begun"}
    assert system.replay(rules=STRICT).counts == IngestCounts(5, 5, 0, 0, 0)


@pytest.mark.usefixtures("small_replays")
def test_two_callers_at_once_take_each_letter_once(system: System) -> None:
    system.ingest(*(event(number, reading(1000 + 5 * number, number)) for number in range(20)))
    rivals = iter([Selection(), Selection(reason="far-future")])

    def overtake() -> None:
        for rival in rivals:
            system.replay(rival)

    with Hooked(system.letters, "before_add_replay", overtake):
        outcome = system.replay()
    assert (outcome.taken, outcome.before) == (0, 20)
    assert system.accepted() == dict.fromkeys(map(float, range(20)), 1)


def test_a_number_that_is_always_taken_ends_in_the_conflict(system: System) -> None:
    system.ingest(event(0, b"?"))

    def refuse() -> None:
        raise ConflictError("the container is read-only")

    with Hooked(system.letters, "before_add_replay", refuse), pytest.raises(ConflictError):
        system.replay()
    assert system.states() == ["new"]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_however_letters_are_selected_and_calls_are_killed_each_counts_once(data: st.DataObject) -> None:
    system = System()
    count = data.draw(st.integers(1, 25))
    for number in range(count):
        bad = data.draw(st.sampled_from([b"7", b"?"]))
        partition = data.draw(st.sampled_from([PARTITION, OTHER]))
        system.ingest(event(number, reading(1000 + 5 * number, number) + b"\n" + bad), partition=partition)
    selections = st.builds(
        Selection,
        day=st.sampled_from([None, DAY]),
        reason=st.sampled_from([None, "far-future", "not-json"]),
        partition=st.sampled_from([None, "0", "1"]),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_module, "_MAX_LETTERS", data.draw(st.integers(1, 9)))
        patch.setattr(replay_module, "_BATCH_EVENTS", data.draw(st.integers(1, 4)))
        for _ in range(data.draw(st.integers(0, 6))):
            fuse = iter(range(data.draw(st.integers(0, 4)), -1, -1))

            def burn(fuse: Iterator[int] = fuse) -> None:
                if next(fuse, 1) == 0:
                    raise TransientError("killed")

            hook = data.draw(st.sampled_from(["before_commit", "after_commit"]))
            with Hooked(system.store, hook, burn), suppress(TransientError):
                system.replay(data.draw(selections))
        system.replay()
    assert system.accepted() == dict.fromkeys(map(float, range(count)), 1)
    again = partial(system.replay, dry_run=True)
    assert again().taken == 0
