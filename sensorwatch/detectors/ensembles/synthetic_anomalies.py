"""Which detectors would find faults in a sensor: faults of known kinds are put into windows of it, and looked for.

Every kind of fault is there once, in stretches of their own with undisturbed windows in between. Their sizes are drawn
between a few times the noise from window to window and a few times the spread of all values, so that some hide in the
noise, and some in the sensor's usual range. Windows just behind a fault count as found too: a detector that looks back
over some windows finds them there, and that is no false alarm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors.windowing.series import Series

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["LEAST_WINDOWS", "average_precisions", "inject"]

_KINDS = 7
_LONGEST = 60
_BEHIND = 15
"""Windows behind a fault that count as it."""

_SEED = 20_260_101
_NORMAL_MEDIAN = 1.4826
"""A standard deviation in median absolute deviations, of a normal distribution."""

_MOST_EXPONENT = 500
"""Squares of larger values than two to this power, and faults of their size, can be beyond all numbers."""

LEAST_WINDOWS = 12 * _KINDS
"""Fewer have no room for a fault of every kind."""


def inject(series: Series, copy: int) -> tuple[Series, Flags]:
    """Return the series with faults, and which windows are disturbed, or follow a disturbed one.

    A sensor with fewer than ``LEAST_WINDOWS`` windows stays as it is. A fault that would go beyond all numbers ends
    at the largest one.

    Parameters
    ----------
    series
        Finite values.
    copy
        Another number gives other faults of the same kinds.
    """
    values, disturbed = series.values.copy(), np.zeros(len(series.values), np.bool_)
    for first, last in zip(series.offsets[:-1].tolist(), series.offsets[1:].tolist(), strict=True):
        if last - first >= LEAST_WINDOWS:
            # The same draws for every sensor: its weights must not depend on its neighbours.
            rng = np.random.default_rng((_SEED, copy))
            values[first:last] = _disturbed(values[first:last], disturbed[first:last], rng)
    return Series(series.offsets, series.times, values), disturbed


def _disturbed(values: Floats, disturbed: Flags, rng: np.random.Generator) -> Floats:
    """Return the values with faults, and note where; a power of two brings huge ones down and back, which is exact."""
    down = max(0, int(np.frexp(np.abs(values).max())[1]) - _MOST_EXPONENT)
    scaled = np.ldexp(values, -down)
    _disturb(scaled, disturbed, rng)
    most = np.ldexp(np.finfo(np.float64).max, -down)
    return np.where(disturbed, np.ldexp(np.clip(scaled, -most, most), down), values)


def _disturb(values: Floats, disturbed: Flags, rng: np.random.Generator) -> None:
    slot = len(values) // _KINDS
    least, most = _sizes(values)
    for number, kind in enumerate(rng.permutation(_KINDS).tolist()):
        length = int(rng.integers(max(slot // 6, 2), min(slot // 2, _LONGEST) + 1)) if kind else int(rng.integers(1, 3))
        first = number * slot + int(rng.integers(slot // 4, slot - length))
        size = float(rng.choice((-1.0, 1.0)) * least * (most / least) ** rng.random())
        part = slice(first, first + length)
        values[part] = _faulty(kind, values, part, size, rng)
        disturbed[first : first + length + _BEHIND] = True


def _sizes(values: Floats) -> tuple[float, float]:
    """Return the smallest and the largest size of a fault."""
    spread = float(values.std())
    if not spread > 0:
        spread = max(abs(float(values[0])), 1.0)
    noise = _NORMAL_MEDIAN * float(np.median(np.abs(np.diff(values)))) / np.sqrt(2.0)
    return 3.0 * min(max(noise, 0.02 * spread), spread), 3.0 * spread


def _faulty(kind: int, values: Floats, part: slice, size: float, rng: np.random.Generator) -> Floats:
    clean = values[part]
    n = len(clean)
    match kind:
        case 0 | 1:  # a spike; a shifted level
            return clean + size
        case 2:  # a ramp
            return clean + size * np.arange(1, n + 1) / n
        case 3:  # noise
            noise: Floats = clean + abs(size) * rng.standard_normal(n)
            return noise
        case 4:  # an oscillation
            wave: Floats = clean + size * np.sin(2.0 * np.pi * np.arange(n) / rng.uniform(4.0, 20.0))
            return wave
        case 5:  # the last value stays
            return np.full(n, values[max(part.start - 1, 0)])
        case _:  # the course of another time, backwards
            other = int(rng.integers(0, len(values) - n + 1))
            backwards: Floats = values[other : other + n][::-1].copy()
            return backwards


def average_precisions(disturbed: Flags, rarities: Mapping[str, Floats], series: Series) -> dict[str, Floats]:
    """Return each detector's average precision in finding the disturbed windows, shape ``(n_sensors,)``.

    Parameters
    ----------
    disturbed
        Whether each window is, shape ``(n_values,)``.
    rarities
        By each detector, shape ``(n_values,)``; NaN ranks last.
    series
        Whose windows they are.

    Returns
    -------
    dict
        0-1; NaN for a sensor without disturbed windows.
    """
    found = {name: np.full(series.n_sensors, np.nan) for name in rarities}
    for i, (first, last) in enumerate(zip(series.offsets[:-1], series.offsets[1:], strict=True)):
        labels = disturbed[first:last]
        if labels.any():
            for name, rarity in rarities.items():
                found[name][i] = _average_precision(labels, np.nan_to_num(rarity[first:last], nan=-1.0))
    return found


def _average_precision(labels: Flags, rarity: Floats) -> float:
    order = np.argsort(-rarity, kind="stable")
    ordered = rarity[order]
    # Equal rarities are found together.
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    hits = np.cumsum(labels[order])[ends]
    return float((np.diff(hits, prepend=0) * (hits / (ends + 1.0))).sum() / labels.sum())
