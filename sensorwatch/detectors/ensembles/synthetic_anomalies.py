"""Synthetic anomalies in a sensor's windows, and the average precision of detectors in finding them.

Every kind of anomaly occurs once, in a stretch of its own, with unchanged windows in between. Sizes are drawn between a
few times the noise from window to window and a few times the spread of all values, so that some anomalies are hidden in
the noise, and some in the sensor's normal range. The windows just after an anomaly are labelled anomalous, too: a
detector that looks back flags them because of the anomaly, and that is no false alarm.
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

__all__ = ["MIN_WINDOWS", "add_synthetic_anomalies", "average_precisions"]

_KINDS = 7
_LONGEST = 60
_AFTER = 15
"""Windows after an anomaly that are labelled anomalous, too."""

_SEED = 20_260_101
_NORMAL_MEDIAN = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations."""

_MAX_EXPONENT = 500
"""Squares of values above two to this power, and anomalies of their size, may overflow."""

MIN_WINDOWS = 12 * _KINDS
"""Fewer windows have no room for an anomaly of every kind."""


def add_synthetic_anomalies(series: Series, draw: int) -> tuple[Series, Flags]:
    """Return the series with anomalies, and whether each window is labelled anomalous, shape ``(n_values,)``.

    A sensor with fewer than ``MIN_WINDOWS`` windows is not changed. Values that would overflow become the largest
    finite number.

    Parameters
    ----------
    series
        Windows with finite values.
    draw
        Number of the draw: another number gives other anomalies of the same kinds.
    """
    values, labels = series.values.copy(), np.zeros(len(series.values), np.bool_)
    for first, last in zip(series.offsets[:-1].tolist(), series.offsets[1:].tolist(), strict=True):
        if last - first >= MIN_WINDOWS:
            # The same draws for every sensor: its weights must not depend on the other sensors.
            rng = np.random.default_rng((_SEED, draw))
            values[first:last] = _with_anomalies(values[first:last], labels[first:last], rng)
    return Series(series.offsets, series.times, values), labels


def _with_anomalies(values: Floats, labels: Flags, rng: np.random.Generator) -> Floats:
    """Return one sensor's values with anomalies, and label them in place.

    Huge values are scaled down by a power of two, which is exact, and back again.
    """
    down = max(0, int(np.frexp(np.abs(values).max())[1]) - _MAX_EXPONENT)
    scaled = np.ldexp(values, -down)
    _add_anomalies(scaled, labels, rng)
    most = np.ldexp(np.finfo(np.float64).max, -down)
    return np.where(labels, np.ldexp(np.clip(scaled, -most, most), down), values)


def _add_anomalies(values: Floats, labels: Flags, rng: np.random.Generator) -> None:
    slot = len(values) // _KINDS
    least, most = _sizes(values)
    for number, kind in enumerate(rng.permutation(_KINDS).tolist()):
        length = int(rng.integers(max(slot // 6, 2), min(slot // 2, _LONGEST) + 1)) if kind else int(rng.integers(1, 3))
        first = number * slot + int(rng.integers(slot // 4, slot - length))
        size = float(rng.choice((-1.0, 1.0)) * least * (most / least) ** rng.random())
        part = slice(first, first + length)
        values[part] = _anomalous(kind, values, part, size, rng)
        labels[first : first + length + _AFTER] = True


def _sizes(values: Floats) -> tuple[float, float]:
    """Return the smallest and the largest size of an anomaly."""
    spread = float(values.std())
    if not spread > 0:
        spread = max(abs(float(values[0])), 1.0)
    noise = _NORMAL_MEDIAN * float(np.median(np.abs(np.diff(values)))) / np.sqrt(2.0)
    return 3.0 * min(max(noise, 0.02 * spread), spread), 3.0 * spread


def _anomalous(kind: int, values: Floats, part: slice, size: float, rng: np.random.Generator) -> Floats:
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
        case 5:  # a frozen value
            return np.full(n, values[max(part.start - 1, 0)])
        case _:  # another stretch, in reverse
            other = int(rng.integers(0, len(values) - n + 1))
            reverse: Floats = values[other : other + n][::-1].copy()
            return reverse


def average_precisions(labels: Flags, rarities: Mapping[str, Floats], series: Series) -> dict[str, Floats]:
    """Return each detector's average precision in finding the anomalous windows, shape ``(n_sensors,)``.

    Parameters
    ----------
    labels
        Whether each window is anomalous, shape ``(n_values,)``.
    rarities
        Rarity of each window by each detector, shape ``(n_values,)``; NaN ranks last.
    series
        Windows.

    Returns
    -------
    dict
        By detector, 0-1; NaN for a sensor without anomalous windows.

    Examples
    --------
    >>> series = Series(np.array([0, 4]), 5 * np.arange(4), np.zeros(4))
    >>> labels, rarity = np.array([False, True, True, False]), np.array([0.1, 2.0, 0.5, 0.9])
    >>> average_precisions(labels, {"range": rarity}, series)["range"].round(3).tolist()
    [0.833]
    """
    found = {name: np.full(series.n_sensors, np.nan) for name in rarities}
    for i, (first, last) in enumerate(zip(series.offsets[:-1], series.offsets[1:], strict=True)):
        own = labels[first:last]
        if own.any():
            for name, rarity in rarities.items():
                found[name][i] = _average_precision(own, np.nan_to_num(rarity[first:last], nan=-1.0))
    return found


def _average_precision(labels: Flags, rarity: Floats) -> float:
    order = np.argsort(-rarity, kind="stable")
    ordered = rarity[order]
    # Windows of equal rarity are found together.
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    hits = np.cumsum(labels[order])[ends]
    return float((np.diff(hits, prepend=0) * (hits / (ends + 1.0))).sum() / labels.sum())
