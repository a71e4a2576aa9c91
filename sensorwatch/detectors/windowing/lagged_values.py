"""Lagged values: the values of windows together with those of the windows before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["Split", "lagged", "positions", "split"]


def positions(series: Series) -> Integers:
    """Return the place of each window in its sensor's series, from 0, shape ``(n_values,)``."""
    return np.arange(len(series.values)) - np.repeat(series.offsets[:-1], series.lengths)


def lagged(series: Series, width: int, history: Floats | None = None) -> Floats:
    """Return each window's value and the ``width - 1`` values before it, oldest first, shape ``(n_values, width)``.

    They include no value of another sensor and no later value.

    Parameters
    ----------
    series
        Windows with finite values.
    width
        Number of values per window, at least 1.
    history
        Values before the series, oldest first, shape ``(n_sensors, width - 1)``, NaN where unknown. The oldest known
        value stands for the unknown ones. None: all are unknown.

    Examples
    --------
    >>> from sensorwatch.detectors.windowing.series import Series
    >>> series = Series(np.array([0, 3, 4]), np.array([5, 10, 15, 5]), np.array([1.0, 2.0, 3.0, 9.0]))
    >>> lagged(series, 3, np.array([[np.nan, np.nan], [7.0, 8.0]])).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [7.0, 8.0, 9.0]]
    """
    before = width - 1
    if not before:
        return series.values[:, np.newaxis].copy()
    known = np.full((series.n_sensors, before), np.nan) if history is None else history.copy()
    filled = np.flatnonzero(series.lengths)
    newer = np.full(series.n_sensors, np.nan)
    newer[filled] = series.values[series.offsets[filled]]
    for back in range(before - 1, -1, -1):
        known[:, back] = np.where(np.isnan(known[:, back]), newer, known[:, back])
        newer = known[:, back]
    starts = series.offsets[:-1]
    extended = np.insert(series.values, np.repeat(starts, before), known.ravel())
    sensor = np.repeat(np.arange(1, series.n_sensors + 1), series.lengths)
    own = np.arange(len(series.values)) + before * sensor
    return np.asarray(extended[own[:, np.newaxis] + np.arange(-before, 1)])


class Split(NamedTuple):
    """Places of training windows and of test windows, both ascending."""

    train: Integers
    test: Integers


def split(labelled: Integers, width: int, test_share: float) -> Split:
    """Split a sensor's labelled windows into training windows and later test windows, which share no lagged value.

    Parameters
    ----------
    labelled
        Places of the labelled windows in the sensor's series, ascending.
    width
        Number of lagged values per window. Test windows with a lagged value in the training part are left out.
    test_share
        Share (0-1) of the labelled windows in the test part.

    Examples
    --------
    >>> split(np.arange(10), 3, 0.4)
    Split(train=array([0, 1, 2, 3, 4, 5]), test=array([8, 9]))
    """
    first = len(labelled) - int(len(labelled) * test_share)
    train, rest = labelled[:first], labelled[first:]
    if not len(train):
        return Split(train, rest)
    return Split(train, rest[rest >= train[-1] + width])
