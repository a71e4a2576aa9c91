"""One test over many cases that reports every case that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

__all__ = ["check_every"]

_Case = TypeVar("_Case")


def check_every(cases: Iterable[_Case], check: Callable[[_Case], object]) -> None:
    """Run a check over each case, and report all that fail together.

    Raises
    ------
    AssertionError
        There are no cases.
    ExceptionGroup
        The errors of the cases that failed, each with a note that names its case.
    """
    errors: list[Exception] = []
    number = 0
    for case in cases:
        number += 1
        try:
            check(case)
        except Exception as error:
            error.add_note(f"case: {case!r}"[:300])
            errors.append(error)
    assert number, "there are no cases"
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {number} cases fail", errors)
