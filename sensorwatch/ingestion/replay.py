"""The replay step: dead letters go through the ingest step once more, each exactly once however often it is called.

What is taken again is first noted in a log: a day's replays, numbered, each holding letters that are in none before it.
A number can be given once only, so two callers can't take the same letter: the second reads the first one's replay and
leaves those letters out. Which letters a call selects, and how they lie in blobs, therefore does not matter.

A replay is then ingested as a partition of its own, in which its letters are numbered: the partition's mark, which
commits together with the windows, says how far it is. One that was broken off is finished by the next call that looks
at its day, as it was begun. What is rejected again becomes a dead letter of the replay's partition.

Letters whose event is not yet below its partition's mark wait: their event will be delivered again, and judged anew.
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
    from sensorwatch.ingestion.records import DeadLetter, IngestMark, Partition, Replay

__all__ = ["LetterState", "ReplayOutcome", "Selection", "replay", "select"]

LetterState = Literal["waiting", "new", "begun", "replayed"]
"""Of a letter: its event is not applied yet; it was never taken again; its replay is not finished; it is."""

_MAX_LETTERS = 10_000
_MAX_BYTES = 32 * 1024 * 1024
_BATCH_EVENTS = 1_000
_TRIES = 10
# The body was refused before it was taken apart: all of it is the letter's.
_WHOLE_BODY = "too-large"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; None stands for all.

    Attributes
    ----------
    day
        On which the hub took their events (UTC, ``2026-11-20``).
    reason
        Why they were rejected, as the code says it (``late``).
    partition
        Id of the partition they came from.
    """

    day: str | None = None
    reason: str | None = None
    partition: str | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Return whether a letter of the day is meant."""
        return self.reason in (None, letter.reason) and self.partition in (None, letter.partition.partition_id)


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a call did, in letters; ``counts`` are the readings that it ingested, those of replays it finished too.

    Attributes
    ----------
    taken
        Letters taken again by this call.
    before
        Selected letters that an earlier replay had taken.
    waiting
        Selected letters whose event is not applied yet.
    counts
        Readings ingested by this call; those rejected again are ``late`` or ``invalid``.
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
        As the dead letters and the store say.
    """
    marks = {status.partition: status.mark for status in store.ingest_status()}
    for day in _days(selection, dead_letters):
        states: dict[_Identity, LetterState] = {}
        for item in dead_letters.replays(day):
            done = _done(marks.get(item.partition))
            for number, letter in enumerate(item.letters):
                states[_identity(letter)] = "replayed" if number < done else "begun"
        for letter in dead_letters.read(day):
            if selection.takes(letter):
                untouched: LetterState = "new" if _is_applied(letter, marks) else "waiting"
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
    """Take the selected letters in again, and finish the replays of those days that were broken off.

    Parameters
    ----------
    selection
        Which letters.
    store, dead_letters, rules
        As for the ingest step.
    accept_late
        No reading is late this time.
    again
        Also letters that a former replay left: those rejected again.
    dry_run
        Only count; ``counts`` are zero then.

    Raises
    ------
    TransientError
        The store or the dead letters are away. Call again: it goes on where this call ended.
    InvalidInputError, NotFoundError
        As the dead letters say.
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
    """One call's work on one day."""

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
        self._marks = {status.partition: status.mark for status in store.ingest_status()}
        # Replays that were finished before. What this call (or another one at the same time) sees rejected again must
        # not be taken by it, or it would never end.
        self._finished = {
            item.partition
            for item in (dead_letters.replays(day) if again else ())
            if _done(self._marks.get(item.partition)) == len(item.letters)
        }
        self._logged: set[_Identity] = set()
        self._replays = 0
        self._taken = self._before = self._waiting = 0
        self._counts = IngestCounts(0, 0, 0, 0, 0)

    def count(self) -> ReplayOutcome:
        """Return what would be taken."""
        self._read_log(finish=False)
        for letters in self._untaken():
            self._taken += len(letters)
        return self._outcome()

    def run(self, *, accept_late: bool) -> ReplayOutcome:
        """Finish what was begun, then take what was not taken."""
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
        """Yield the selected letters that are in no replay, so many at a time."""
        letters: list[DeadLetter] = []
        size = 0
        for letter in self._dead_letters.read(self._day):
            if not self._selection.takes(letter) or not self._is_eligible(letter):
                continue
            if _identity(letter) in self._logged:
                self._before += 1
            elif not _is_applied(letter, self._marks):
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
                # Another caller's replay; or our own, where the answer to the first try was lost.
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
        for first in range(_done(self._store.ingest_mark(item.partition)), len(item.letters), _BATCH_EVENTS):
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
    """Return a letter without the rejected reading's neighbours, which may have been accepted."""
    if letter.reason == _WHOLE_BODY:
        return letter
    return replace(letter, body=element_at(letter.body, letter.index))


def _done(mark: IngestMark | None) -> int:
    """Return how many letters of a replay are ingested."""
    return 0 if mark is None else mark.sequence_number + 1


def _is_applied(letter: DeadLetter, marks: Mapping[Partition, IngestMark]) -> bool:
    mark = marks.get(letter.partition)
    if mark is None:
        return False
    if letter.enqueued_time < mark.enqueued_time:
        # Also with a higher number: then it comes from a hub that was created anew since.
        return True
    return letter.sequence_number <= mark.sequence_number and letter.enqueued_time == mark.enqueued_time


def _add(first: IngestCounts, second: IngestCounts) -> IngestCounts:
    return IngestCounts(*(a + b for a, b in zip(first, second, strict=True)))
