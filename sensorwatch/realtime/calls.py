"""Models called side by side on threads, under a deadline that holds even when one of them never comes back.

A thread can't be ended from outside. So a call that is late is left behind: its answer is dropped, and its thread takes
the next call once it is done. Of one model few are left behind at a time (:data:`OVERDUE_CALLS`); until one of them is
done the model counts as late without being called, so that a model that hangs holds that many threads and no more.

What a thread can't protect from is code that never lets go of the interpreter (an extension that holds its lock): then
nothing in the process moves.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

__all__ = ["OVERDUE_CALLS", "Call", "Calls", "ModelThreads"]

_log = logging.getLogger(__name__)

OVERDUE_CALLS = 2
"""Calls of one model that may be left behind before it is no longer called."""

_T = TypeVar("_T")


@dataclass(eq=False, slots=True)
class Call(Generic[_T]):
    """One call of a model.

    Attributes
    ----------
    seconds
        How long it took; None while it is not done.
    value, error
        What it returned or raised.
    """

    key: Hashable
    work: Callable[[], _T]
    done: SimpleQueue[Call[_T]]
    began: float = 0.0
    seconds: float | None = None
    value: _T | None = None
    error: Exception | None = None
    left_behind: bool = False

    @property
    def late(self) -> bool:
        """Whether it was not done in time."""
        return self.left_behind


class ModelThreads(Generic[_T]):
    """Threads that call models; made when needed, never more than ``limit``.

    Parameters
    ----------
    limit
        Threads at most.
    on_late
        Called with the key and the seconds of a call that was left behind, when it is done after all.
    monotonic
        The clock that seconds are read from.
    """

    def __init__(
        self,
        limit: int,
        on_late: Callable[[Any, float], None] = lambda key, seconds: None,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._limit = limit
        self._on_late = on_late
        self._monotonic = monotonic
        self._waiting: SimpleQueue[Call[_T]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._overdue: dict[Hashable, int] = {}

    @property
    def threads(self) -> int:
        """Threads that there are."""
        return self._threads

    def start(self, work: Iterable[tuple[Hashable, Callable[[], _T]]]) -> Calls[_T]:
        """Start calls, each under the key of its model, and return them; those of models that hang are not started."""
        done: SimpleQueue[Call[_T]] = SimpleQueue()
        began = self._monotonic()
        calls = [Call(key, function, done, began) for key, function in work]
        for call in calls:
            self._start(call)
        return Calls(calls, done, self)

    def _start(self, call: Call[_T]) -> None:
        with self._lock:
            if self._overdue.get(call.key, 0) >= OVERDUE_CALLS:
                call.left_behind = True
                return
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._limit:
                self._threads += 1
                # As a daemon, so that a call that hangs does not keep the process from ending.
                threading.Thread(target=self._run, name=f"model-{self._threads}", daemon=True).start()
            else:
                # All are busy: below 0 it is the calls that wait for a thread, while their deadline runs.
                self._idle -= 1
        self._waiting.put(call)

    def _run(self) -> None:
        while True:
            call = self._waiting.get()
            if not call.left_behind:
                try:
                    call.value = call.work()
                except Exception as exc:  # noqa: BLE001 - whatever a model raises is its answer
                    call.error = exc
            seconds = self._monotonic() - call.began
            with self._lock:
                call.seconds = seconds
                self._idle += 1
                late = call.left_behind
                if late:
                    self._overdue[call.key] -= 1
            if late:
                self._on_late(call.key, seconds)
            else:
                call.done.put(call)

    def leave_behind(self, call: Call[_T]) -> None:
        """Give a call up that is not done."""
        with self._lock:
            if call.seconds is None and not call.left_behind:
                call.left_behind = True
                self._overdue[call.key] = self._overdue.get(call.key, 0) + 1


class Calls(Generic[_T]):
    """Calls that were started together, in their order."""

    def __init__(self, calls: list[Call[_T]], done: SimpleQueue[Call[_T]], threads: ModelThreads[_T]) -> None:
        self.calls = calls
        self._done = done
        self._threads = threads

    def wait(
        self, until: float, which: Sequence[int] | None = None, monotonic: Callable[[], float] = time.perf_counter
    ) -> None:
        """Wait until that time at most for some of them (None: all), and leave behind what is not done then."""
        chosen = self.calls if which is None else [self.calls[at] for at in which]
        while any(call.seconds is None and not call.left_behind for call in chosen):
            try:
                self._done.get(timeout=max(until - monotonic(), 0.0))
            except Empty:
                break
        for call in chosen:
            self._threads.leave_behind(call)
