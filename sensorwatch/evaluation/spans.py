"""Runs of flagged windows: labelled anomalies, and alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Booleans = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["alarm_spans", "spans"]


def spans(flags: Booleans) -> tuple[Integers, Integers]:
    """Return the first and the last position of every run of True; both belong to it.

    Examples
    --------
    >>> firsts, lasts = spans(np.array([True, False, True, True]))
    >>> firsts.tolist(), lasts.tolist()
    ([0, 2], [0, 3])
    """
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1


def alarm_spans(flags: Booleans, hold: int) -> tuple[Integers, Integers]:
    """Return the first and the last position of every alarm.

    Parameters
    ----------
    flags
        Whether each window is anomalous, shape ``(n_windows,)``.
    hold
        Normal windows that an alarm outlasts: one that follows sooner belongs to it.

    Examples
    --------
    >>> firsts, lasts = alarm_spans(np.array([True, False, True, False, False, True]), hold=1)
    >>> firsts.tolist(), lasts.tolist()
    ([0, 5], [2, 5])
    """
    firsts, lasts = spans(flags)
    apart = firsts[1:] - lasts[:-1] - 1 > hold
    return (
        firsts[np.concatenate(([True], apart))[: len(firsts)]],
        lasts[np.concatenate((apart, [True]))[: len(lasts)]],
    )
