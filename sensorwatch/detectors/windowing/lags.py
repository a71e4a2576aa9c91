"""Patterns: the values of a window and of the windows before it, at a fixed number of steps.

A sensor's step is the median time between its windows. If windows are missing for at most eight steps, the value before
them takes their place. After a longer gap the sensor starts again and has no pattern until there are enough windows. So
all patterns span about the same time, and a missing window never counts as zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["LONGEST_GAP", "Patterns", "median_step", "patterns", "without_isolated"]

LONGEST_GAP = 8
"""Longest gap, in steps, that the value before it fills."""


class Patterns(NamedTuple):
    """Patterns of one sensor, in the order of time.

    Attributes
    ----------
    values
        Shape ``(n_patterns, size)``, the newest value of each pattern last; read-only, may overlap in memory.
    window
        Position of the window that ends each pattern, shape ``(n_patterns,)``, ascending.
    """

    values: Floats
    window: Integers


def median_step(times: Integers) -> int:
    """Return the median time between windows, in seconds; 1 for fewer than two windows.

    Examples
    --------
    >>> median_step(np.array([10, 20, 30, 300]))
    10
    """
    return max(1, int(np.median(np.diff(times)))) if len(times) > 1 else 1


def without_isolated(values: Floats, least: float) -> Floats:
    """Return values with every isolated one replaced by the nearer of its neighbours.

    Parameters
    ----------
    values
        Finite values, shape ``(n,)``. The first and the last are never isolated.
    least
        A value is isolated if it is above both neighbours, or below both, by more than this.

    Examples
    --------
    >>> without_isolated(np.array([1.0, 2.0, 9.0, 1.0, 9.0, 9.0, 0.0]), 5.0).tolist()
    [1.0, 2.0, 2.0, 9.0, 9.0, 9.0, 0.0]
    """
    if len(values) < 3 or not np.isfinite(least):
        return values
    before, after = values[1:-1] - values[:-2], values[1:-1] - values[2:]
    nearer = np.minimum(np.abs(before), np.abs(after))
    at = np.flatnonzero((before * after > 0) & (nearer > least))
    if not len(at):
        return values
    replaced = values.copy()
    replaced[at + 1] = np.where(np.abs(before[at]) < np.abs(after[at]), values[at], values[at + 2])
    return replaced


def patterns(times: Integers, values: Floats, step: int, size: int) -> Patterns:
    """Return all patterns of ``size`` steps; each ends with a window.

    Parameters
    ----------
    times
        Ends of the windows, ascending, in seconds; shape ``(n,)``.
    values
        Finite values, shape ``(n,)``.
    step
        The sensor's step, in seconds.
    size
        Number of steps in a pattern, including the window itself.

    Examples
    --------
    >>> found = patterns(np.array([10, 20, 40, 500, 510]), np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 10, 2)
    >>> found.values.tolist(), found.window.tolist()
    ([[1.0, 2.0], [2.0, 3.0], [4.0, 5.0]], [1, 2, 4])
    """
    if len(values) < size and (not len(values) or times[-1] - times[0] < (size - 1) * step / 2):
        return Patterns(np.empty((0, size)), np.empty(0, np.int64))
    steps = (np.diff(times) + step // 2) // step
    if len(steps) and steps.max() > 1:
        connected = steps <= LONGEST_GAP
        # The value before a gap fills its steps, except in a longer gap.
        slots = np.concatenate(([1], np.where(connected, np.maximum(steps, 1), 1)))
        position = np.cumsum(slots) - 1
        began = np.concatenate(([0], np.where(connected, 0, position[1:])))
        known = position - np.maximum.accumulate(began) >= size - 1
        values = np.repeat(values, np.append(slots[1:], 1))
    else:
        position = np.arange(len(values))
        known = position >= size - 1
    window = np.flatnonzero(known)
    if len(values) < size:
        return Patterns(np.empty((0, size)), window[:0])
    views = np.lib.stride_tricks.sliding_window_view(values, size)
    first = position[window] - (size - 1)
    if len(first) and first[-1] - first[0] == len(first) - 1:
        return Patterns(views[first[0] : first[-1] + 1], window)
    return Patterns(views[first], window)
