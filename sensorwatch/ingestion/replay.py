"""Replay of dead letters: each is ingested again exactly once, however often the replay is called.

The letters are first recorded in a log of numbered replays per day; no letter is in two of them. A number can be used
only once, so two callers can't replay the same letter: the second one reads the first one's replay and leaves its
letters out. The result does not depend on how calls select letters, or how letters are distributed over blobs.

A replay is then ingested as a partition of its own, in which its letters are numbered: the partition's offset
checkpoint, which commits together with the windows, tells its progress. The next call for the same day completes an
interrupted replay with its original options. A reading that is rejected again becomes a dead letter of the replay's
partition.

A letter waits while its event is beyond the checkpoint of its partition: the hub will deliver the event again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sensorwatch.errors import ConflictError
from sensorwatch.ingestion.decode import element_at
from sensorwatch.ingestion.ingest import NEVER_LATE_SECONDS, Ingest
from sensorwatch.ingestion.records import REPLAY_PREFIX, IngestCounts, RawEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sensorwatch.ingestion.ingest import IngestRules
    from sensorwatch.ingestion.ports import DeadLetters, IngestStore
    from sensorwatch.ingestion.records import DeadLetter, OffsetCheckpoint, Partition, Replay

__all__ = ["LetterState", "ReplayOutcome", "Selection", "replay", "select"]

LetterState = Literal["waiting", "new", "begun", "replayed"]
"""State of a letter: event not applied yet; never replayed; replay not completed; replayed."""

_MAX_LETTERS = 10_000
_MAX_BYTES = 32 * 1024 * 1024
_BATCH_EVENTS = 1_000
_TRIES = 10
# Such a body was rejected before it was decoded: the letter stands for all of it.
_WHOLE_BODY = "too-large"


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection of dead letters; None selects all.

    Attributes
    ----------
    day
        Day of the enqueued times (UTC, ``2026-11-20``).
    reason
        Code of the reason (``late``).
    partition
        Id of the partition that they came from.
    """

    day: str | None = None
    reason: str | None = None
    partition: str | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Return whether a letter of the day is selected."""
        return self.reason in (None, letter.reason) and self.partition in (None, letter.partition.partition_id)


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """Result of a call, in letters.

    Attributes
    ----------
    taken
        Letters replayed by this call.
    before
        Selected letters that were replayed before.
    waiting
        Selected letters whose event is not applied yet.
    counts
        Readings ingested by this call, including those of interrupted replays that it completed. Readings that were
        rejected again count as ``late`` or ``invalid``.
    """

    taken: int
    before: int
    waiting: int
    counts: IngestCounts


_Identity = tuple[object, ...]


def select(
    selection: Selection, *, store: IngestStore, dead_letters: DeadLetters
) -> Iterator[tuple[DeadLetter, LetterState]]:
    """Yield the selected letters with their state, by day and partition.

    Raises
    ------
    InvalidInputError, NotFoundError, TransientError
        As the dead letters and the store raise them.
    """
    checkpoints = {status.partition: status.checkpoint for status in store.ingest_status()}
    for day in _days(selection, dead_letters):
        states: dict[_Identity, LetterState] = {}
        for item in dead_letters.replays(day):
            done = _done(checkpoints.get(item.partition))
            for number, letter in enumerate(item.letters):
                states[_identity(letter)] = "replayed" if number < done else "begun"
        for letter in dead_letters.read(day):
            if selection.takes(letter):
                untouched: LetterState = "new" if _is_applied(letter, checkpoints) else "waiting"
                yield letter, states.get(_identity(letter), untouched)


def replay(
    selection: Selection,
    *,
    store: IngestStore,
    dead_letters: DeadLetters,
    rules: IngestRules,
    accept_late: bool = False,
    again: bool = False,
    dry_run: bool = False,
) -> ReplayOutcome:
    """Ingest the selected letters again, and complete interrupted replays of their days.

    Parameters
    ----------
    selection
        The letters.
    store, dead_letters, rules
        As for :func:`~sensorwatch.ingestion.ingest.ingest`.
    accept_late
        Accept readings however late they are.
    again
        Include letters that an earlier replay rejected again.
    dry_run
        Only count letters; ``counts`` are zero then.

    Raises
    ------
    TransientError
        The store or the dead letters can't be reached. The next call continues where this one ended.
    InvalidInputError, NotFoundError
        As the dead letters raise them.
    """
    total = ReplayOutcome(0, 0, 0, IngestCounts(0, 0, 0, 0, 0))
    for day in _days(selection, dead_letters):
        of_day = _DayReplay(day, selection, store, dead_letters, rules, again=again)
        outcome = of_day.count() if dry_run else of_day.run(accept_late=accept_late)
        total = ReplayOutcome(
            total.taken + outcome.taken,
            total.before + outcome.before,
            total.waiting + outcome.waiting,
            _add(total.counts, outcome.counts),
        )
    return total


class _DayReplay:
    """The work of one call on one day."""

    def __init__(
        self,
        day: str,
        selection: Selection,
        store: IngestStore,
        dead_letters: DeadLetters,
        rules: IngestRules,
        *,
        again: bool,
    ) -> None:
        self._day = day
        self._selection = selection
        self._store = store
        self._dead_letters = dead_letters
        self._steps = {
            accept_late: Ingest(
                store,
                dead_letters,
                replace(rules, lateness_seconds=NEVER_LATE_SECONDS) if accept_late else rules,
            )
            for accept_late in (False, True)
        }
        self._checkpoints = {status.partition: status.checkpoint for status in store.ingest_status()}
        # Replays that were completed before this call. It must not replay what it (or a concurrent call) rejects again:
        # it would never end.
        self._finished = {
            item.partition
            for item in (dead_letters.replays(day) if again else ())
            if _done(self._checkpoints.get(item.partition)) == len(item.letters)
        }
        self._logged: set[_Identity] = set()
        self._replays = 0
        self._taken = self._before = self._waiting = 0
        self._counts = IngestCounts(0, 0, 0, 0, 0)

    def count(self) -> ReplayOutcome:
        """Return the letters that a run would replay."""
        self._read_log(finish=False)
        for letters in self._untaken():
            self._taken += len(letters)
        return self._outcome()

    def run(self, *, accept_late: bool) -> ReplayOutcome:
        """Complete interrupted replays, then replay the remaining letters."""
        self._read_log(finish=True)
        for letters in self._untaken():
            self._take(letters, accept_late=accept_late)
        return self._outcome()

    def _outcome(self) -> ReplayOutcome:
        return ReplayOutcome(self._taken, self._before, self._waiting, self._counts)

    def _read_log(self, *, finish: bool) -> None:
        self._replays = 0
        for item in self._dead_letters.replays(self._day):
            self._replays += 1
            self._logged.update(map(_identity, item.letters))
            if finish:
                self._ingest(item)

    def _untaken(self) -> Iterator[list[DeadLetter]]:
        """Yield the selected letters that are in no replay, in groups of limited size."""
        letters: list[DeadLetter] = []
        size = 0
        for letter in self._dead_letters.read(self._day):
            if not self._selection.takes(letter) or not self._is_eligible(letter):
                continue
            if _identity(letter) in self._logged:
                self._before += 1
            elif not _is_applied(letter, self._checkpoints):
                self._waiting += 1
            else:
                letters.append(_alone(letter))
                size += len(letters[-1].body)
                if len(letters) == _MAX_LETTERS or size > _MAX_BYTES:
                    yield letters
                    letters, size = [], 0
        if letters:
            yield letters

    def _is_eligible(self, letter: DeadLetter) -> bool:
        return not letter.partition.partition_id.startswith(REPLAY_PREFIX) or letter.partition in self._finished

    def _take(self, letters: list[DeadLetter], *, accept_late: bool) -> None:
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                item = self._dead_letters.add_replay(self._day, self._replays, letters, accept_late=accept_late)
            except ConflictError:
                if last:
                    raise
                # The replay of another caller, or our own if the answer to the first try was lost.
                self._read_log(finish=True)
                before = len(letters)
                letters = [letter for letter in letters if _identity(letter) not in self._logged]
                self._before += before - len(letters)
                if not letters:
                    return
            else:
                self._replays += 1
                self._taken += len(letters)
                self._ingest(item)
                return

    def _ingest(self, item: Replay) -> None:
        step = self._steps[item.accept_late]
        for first in range(_done(self._store.offset_checkpoint(item.partition)), len(item.letters), _BATCH_EVENTS):
            events = [
                RawEvent(number, letter.enqueued_time, letter.body)
                for number, letter in enumerate(item.letters[first : first + _BATCH_EVENTS], start=first)
            ]
            self._counts = _add(self._counts, step(item.partition, events))


def _days(selection: Selection, dead_letters: DeadLetters) -> list[str]:
    return dead_letters.days() if selection.day is None else [selection.day]


def _identity(letter: DeadLetter) -> _Identity:
    return letter.partition, letter.sequence_number, letter.enqueued_time, letter.index


def _alone(letter: DeadLetter) -> DeadLetter:
    """Return a letter with the body of its reading alone: other readings of the event may have been accepted."""
    if letter.reason == _WHOLE_BODY:
        return letter
    return replace(letter, body=element_at(letter.body, letter.index))


def _done(checkpoint: OffsetCheckpoint | None) -> int:
    """Return the number of letters of a replay that are ingested."""
    return 0 if checkpoint is None else checkpoint.sequence_number + 1


def _is_applied(letter: DeadLetter, checkpoints: Mapping[Partition, OffsetCheckpoint]) -> bool:
    checkpoint = checkpoints.get(letter.partition)
    if checkpoint is None:
        return False
    if letter.enqueued_time < checkpoint.enqueued_time:
        # A higher number is possible too: the letter is from a hub that was created again since.
        return True
    return letter.sequence_number <= checkpoint.sequence_number and letter.enqueued_time == checkpoint.enqueued_time


def _add(first: IngestCounts, second: IngestCounts) -> IngestCounts:
    return IngestCounts(*(a + b for a, b in zip(first, second, strict=True)))
