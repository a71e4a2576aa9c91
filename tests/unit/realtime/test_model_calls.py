"""Calls under a deadline: slow and failing models, and models that never return."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from local_stack import wait_until

from sensorwatch.realtime.model_calls import MAX_ABANDONED_CALLS, ModelThreads

LONG = 30.0
SHORT = 0.02


@contextmanager
def hanging() -> Iterator[Callable[[], float]]:
    """Yield a model that hangs until the test is over."""
    release = threading.Event()

    def model() -> float:
        release.wait()
        return 99.0

    try:
        yield model
    finally:
        release.set()


def has_length(items: list[int], length: int) -> bool:
    return len(items) == length


def after(seconds: float) -> float:
    return time.perf_counter() + seconds


def test_answers_come_back_in_the_order_of_the_calls() -> None:
    threads: ModelThreads[float] = ModelThreads(4)
    calls = threads.start([(name, partial(float, value)) for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0))])
    calls.wait(after(LONG))
    assert [(call.key, call.value, call.abandoned) for call in calls.calls] == [
        ("a", 1.0, False),
        ("b", 2.0, False),
        ("c", 3.0, False),
    ]
    assert all(call.seconds is not None and call.seconds >= 0 for call in calls.calls)


def test_a_model_that_hangs_is_late_and_the_others_are_not() -> None:
    threads: ModelThreads[float] = ModelThreads(4)
    with hanging() as stuck:
        calls = threads.start([("stuck", stuck), ("quick", lambda: 1.0)])
        calls.wait(after(LONG), [1])
        calls.wait(after(SHORT), [0])
        assert [call.abandoned for call in calls.calls] == [True, False]


def test_a_model_that_hangs_holds_no_more_than_its_threads() -> None:
    threads: ModelThreads[float] = ModelThreads(16)
    with hanging() as stuck:
        for _ in range(10):
            calls = threads.start([("stuck", stuck), ("quick", lambda: 1.0)])
            calls.wait(after(LONG), [1])
            calls.wait(after(0.0), [0])
            assert calls.calls[0].abandoned
            assert calls.calls[1].value == 1.0
        assert threads.threads <= MAX_ABANDONED_CALLS + 1


def test_a_model_that_comes_back_is_called_again() -> None:
    late: list[str] = []
    threads: ModelThreads[float] = ModelThreads(4, lambda key, seconds: late.append(key))
    with hanging() as stuck:
        began: list[int] = []

        def hang() -> float:
            began.append(1)
            return stuck()

        for number in range(MAX_ABANDONED_CALLS):
            calls = threads.start([("model", hang)])
            # One that has not begun when it is abandoned never hangs.
            wait_until(partial(has_length, began, number + 1), "the call to begin")
            calls.wait(after(0.0))
        refused = threads.start([("model", lambda: 1.0)])
        refused.wait(after(LONG))
        assert refused.calls[0].abandoned
    wait_until(lambda: late == ["model"] * MAX_ABANDONED_CALLS, "the late calls to end")
    again = threads.start([("model", lambda: 1.0)])
    again.wait(after(LONG))
    assert again.calls[0].value == 1.0


def test_an_error_is_an_answer_too() -> None:
    threads: ModelThreads[float] = ModelThreads(1)

    def broken() -> float:
        raise ZeroDivisionError("no good")

    calls = threads.start([("broken", broken), ("fine", lambda: 1.0)])
    calls.wait(after(LONG))
    assert isinstance(calls.calls[0].error, ZeroDivisionError)
    assert calls.calls[1].value == 1.0


@pytest.mark.parametrize("limit", [1, 3])
def test_more_calls_than_threads_are_all_made(limit: int) -> None:
    threads: ModelThreads[int] = ModelThreads(limit)
    calls = threads.start([(number, partial(int, number)) for number in range(50)])
    calls.wait(after(LONG))
    assert [call.value for call in calls.calls] == list(range(50))
    assert threads.threads <= limit
