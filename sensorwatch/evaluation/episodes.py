"""The alarm channel: what anomalous windows come to for a person, apart from the score of each window.

A window's score says how rare the window is. An alarm says that something is going on: it begins with an anomalous
window, is as severe as the highest score since then, and stays for as long as anomalous windows follow each other with
no more than a hold of normal ones between them. So one episode is one alarm, however its scores go up and down.

Charts and rankings take the scores, whoever counts or is told takes alarms. Live, alarms are alerts
(:mod:`sensorwatch.alerts.state_machine`): with one anomalous window needed and a quiet period of one step more than the
hold, both are the same, window for window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Flags = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["alarm_scores", "alarm_spans", "onset_scores"]


def alarm_spans(anomalous: Flags, hold: int) -> tuple[Integers, Integers]:
    """Return the positions of the first and of the last anomalous window of every alarm.

    Parameters
    ----------
    anomalous
        Whether each window of a sensor is, shape ``(n_windows,)``.
    hold
        Normal windows that an alarm outlasts: an anomalous one that follows sooner belongs to it.

    Examples
    --------
    >>> firsts, lasts = alarm_spans(np.array([True, False, True, False, False, True]), hold=1)
    >>> firsts.tolist(), lasts.tolist()
    ([0, 5], [2, 5])
    """
    at = np.flatnonzero(anomalous)
    begins = np.ones(len(at), np.bool_)
    begins[1:] = np.diff(at) - 1 > hold
    return at[begins], at[np.append(begins[1:], True)[: len(at)]]


def alarm_scores(scores: Floats, anomalous: Flags, hold: int) -> Floats:
    """Return the alarm at each window: the highest score of the alarm that is on so far, 0 where none is.

    An alarm is on from its first anomalous window to the end of the hold behind its last. A value depends on the
    windows up to its own only.

    Parameters
    ----------
    scores
        0-100, shape ``(n_windows,)``; those of normal windows do not count.
    anomalous, hold
        As :func:`alarm_spans` has them.

    Examples
    --------
    >>> scores = np.array([10.0, 60.0, 20.0, 90.0, 30.0, 30.0, 30.0])
    >>> alarm_scores(scores, scores >= 50, hold=1).tolist()
    [0.0, 60.0, 60.0, 90.0, 90.0, 0.0, 0.0]
    """
    alarm = np.zeros(len(scores))
    counted = np.where(anomalous, scores, 0.0)
    for first, last in zip(*alarm_spans(anomalous, hold), strict=True):
        on = slice(int(first), int(last) + hold + 1)
        alarm[on] = np.maximum.accumulate(counted[on])
    return alarm


def onset_scores(scores: Floats, hold: int) -> Floats:
    """Return the scores that are higher than any of the ``hold`` windows before them, 0 elsewhere.

    These are alarms for whatever threshold: the first window beyond it is kept, and so is one at which the alarm gets
    worse, but not all the others that an alarm consists of. A value depends on the windows up to its own only.

    Parameters
    ----------
    scores
        0-100, shape ``(n_windows,)``; NaN is no score.
    hold
        Windows for which what was told need not be told again.

    Examples
    --------
    >>> onset_scores(np.array([10.0, 60.0, 20.0, 90.0, 30.0, 30.0, 35.0]), hold=2).tolist()
    [10.0, 60.0, 0.0, 90.0, 0.0, 0.0, 35.0]
    """
    known = np.nan_to_num(scores, nan=0.0)
    if not hold:
        return known
    before = np.concatenate((np.zeros(hold), known))[:-1]
    highest = np.lib.stride_tricks.sliding_window_view(before, hold).max(axis=1) if len(known) else known
    return np.where(known > highest, known, 0.0)
