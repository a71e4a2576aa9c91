"""Concurrent calls of models on threads, under a deadline that holds even if a model never returns.

A thread cannot be stopped from outside. A call that misses its deadline is therefore abandoned: its result is dropped,
and its thread takes the next call when it is done. At most :data:`MAX_ABANDONED_CALLS` calls of a model may run on
after they were abandoned. Until one of them is done, further calls of the model are abandoned without being started,
so a model that hangs blocks that many threads and no more.

Threads do not help against an extension that never releases the interpreter lock: it stops the whole process.
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

__all__ = ["MAX_ABANDONED_CALLS", "Call", "CallGroup", "ModelThreads"]

_log = logging.getLogger(__name__)

MAX_ABANDONED_CALLS = 2
"""Maximum number of abandoned calls of one model that are still running; at this number it is not called again."""

_T = TypeVar("_T")


@dataclass(eq=False, slots=True)
class Call(Generic[_T]):
    """One call of a model.

    Attributes
    ----------
    key
        Identifies the model.
    work
        Function that calls the model.
    done
        Queue that receives the call when it is done, unless it was abandoned.
    began
        Start, by the clock of :class:`ModelThreads`.
    seconds
        Duration; None while the call is running.
    value, error
        Result or exception of ``work``.
    abandoned
        True if the call missed its deadline, or was never started because its model hangs.
    """

    key: Hashable
    work: Callable[[], _T]
    done: SimpleQueue[Call[_T]]
    began: float = 0.0
    seconds: float | None = None
    value: _T | None = None
    error: Exception | None = None
    abandoned: bool = False


class ModelThreads(Generic[_T]):
    """Daemon threads that call models; started on demand and kept.

    Parameters
    ----------
    limit
        Maximum number of threads.
    on_late
        Receives the key and the duration in seconds of every abandoned call that ends.
    monotonic
        Monotonic clock, in seconds.
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
        """Number of threads that were started."""
        return self._threads

    def start(self, work: Iterable[tuple[Hashable, Callable[[], _T]]]) -> CallGroup[_T]:
        """Start a call for each pair of a model's key and a function.

        Calls of a model that hangs are abandoned at once.
        """
        done: SimpleQueue[Call[_T]] = SimpleQueue()
        began = self._monotonic()
        calls = [Call(key, function, done, began) for key, function in work]
        for call in calls:
            self._start(call)
        return CallGroup(calls, done, self)

    def _start(self, call: Call[_T]) -> None:
        with self._lock:
            if self._overdue.get(call.key, 0) >= MAX_ABANDONED_CALLS:
                call.abandoned = True
                return
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._limit:
                self._threads += 1
                # A daemon thread, because a call that hangs must not keep the process from exiting.
                threading.Thread(target=self._run, name=f"model-{self._threads}", daemon=True).start()
            else:
                # All threads are busy: below 0, the number counts calls that wait for one while their deadline runs.
                self._idle -= 1
        self._waiting.put(call)

    def _run(self) -> None:
        while True:
            call = self._waiting.get()
            if not call.abandoned:
                try:
                    call.value = call.work()
                except Exception as exc:  # noqa: BLE001 - any error of a model is its result
                    call.error = exc
            seconds = self._monotonic() - call.began
            with self._lock:
                call.seconds = seconds
                self._idle += 1
                abandoned = call.abandoned
                if abandoned:
                    self._overdue[call.key] -= 1
            if abandoned:
                self._on_late(call.key, seconds)
            else:
                call.done.put(call)

    def abandon(self, call: Call[_T]) -> None:
        """Abandon a call if it is not done."""
        with self._lock:
            if call.seconds is None and not call.abandoned:
                call.abandoned = True
                self._overdue[call.key] = self._overdue.get(call.key, 0) + 1


class CallGroup(Generic[_T]):
    """Calls that were started together, in the order in which they were given."""

    def __init__(self, calls: list[Call[_T]], done: SimpleQueue[Call[_T]], threads: ModelThreads[_T]) -> None:
        self.calls = calls
        self._done = done
        self._threads = threads

    def wait(
        self, until: float, which: Sequence[int] | None = None, monotonic: Callable[[], float] = time.perf_counter
    ) -> None:
        """Wait for calls until a deadline, then abandon those that are not done.

        Parameters
        ----------
        until
            Deadline, by the clock ``monotonic``.
        which
            Positions of the calls; None for all.
        monotonic
            Monotonic clock, in seconds.
        """
        chosen = self.calls if which is None else [self.calls[at] for at in which]
        while any(call.seconds is None and not call.abandoned for call in chosen):
            try:
                self._done.get(timeout=max(until - monotonic(), 0.0))
            except Empty:
                break
        for call in chosen:
            self._threads.abandon(call)
