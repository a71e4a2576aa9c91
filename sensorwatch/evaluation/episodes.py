"""Alarms: episodes of anomalous windows.

A score says how rare one window is. An alarm is an episode: it begins with an anomalous window and lasts as long as at
most ``hold`` normal windows lie between two anomalous ones. Its severity is the highest score since its beginning. So
one episode is one alarm, even if its scores rise and fall.

Charts and rankings use scores; alarm counts use alarms. In operation, alerts correspond to alarms
(:mod:`sensorwatch.alerts.state_machine`): if one anomalous window opens an alert, and the quiet period is one window
longer than the hold, alerts and alarms begin and end with the same windows.
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
        True for each anomalous window of a sensor, shape ``(n_windows,)``, bool.
    hold
        Largest number of normal windows between two anomalous windows of one alarm.

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
    """Return the alarm score of each window: the highest score since the alarm began, 0 without an alarm.

    An alarm lasts from its first anomalous window to the end of the hold after its last one. The alarm score of a
    window does not depend on later windows.

    Parameters
    ----------
    scores
        Scores (0-100), shape ``(n_windows,)``, float64. Scores of normal windows are ignored.
    anomalous, hold
        As in :func:`alarm_spans`.

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
    """Return each score that is higher than those of the ``hold`` windows before it, and 0 for other windows.

    For every threshold, this keeps the first window of an alarm and the windows at which the alarm gets worse, and
    drops its other windows. The value of a window does not depend on later windows.

    Parameters
    ----------
    scores
        Scores (0-100), shape ``(n_windows,)``, float64; NaN counts as 0.
    hold
        Number of previous windows to compare with.

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
