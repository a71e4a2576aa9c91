"""Means and standard deviations of the signals over half-days.

Readings are aggregated by half-day, ``(start, end]``; windows of 12, 24 and 36 hours are one, two and three half-days.
A half-day is described by its count, its mean and the sum of squared deviations from that mean, computed in two passes.
Half-days are merged by the formula of Chan, Golub and LeVeque (1983). Unlike differences of running sums, this keeps
full precision even if the level of a signal is large compared to its noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.machines.fleet import Floats, Telemetry

__all__ = ["Moments", "half_day_moments", "merged", "standard_deviation"]

_HOURS = 12


class Moments(NamedTuple):
    """Aggregated readings of each machine and half-day.

    ``readings`` is the number of readings, float64 of shape ``(n_machines, n_samples)``. ``mean`` and ``squares``, the
    sum of squared deviations from the mean, are float64 of shape ``(n_machines, n_samples, 4)``, 0 without readings.
    """

    readings: npt.NDArray[np.float64]
    mean: Floats
    squares: Floats


def half_day_moments(telemetry: Telemetry, machines: int, first: int, last: int) -> Moments:
    """Aggregate readings by half-day.

    Parameters
    ----------
    telemetry
        Readings, ordered by (machine, hour).
    machines
        Number of machines.
    first, last
        First and last sample at which a half-day ends (both inclusive), in half-days since 1970-01-01T00:00:00Z.
    """
    samples = last - first + 1
    count = np.zeros((machines, samples))
    mean = np.zeros((machines, samples, telemetry.values.shape[1]))
    squares = np.zeros_like(mean)
    sample = -(-telemetry.hour // _HOURS) - first
    inside = (sample >= 0) & (sample < samples)
    if not inside.any():
        return Moments(count, mean, squares)
    everything = bool(inside.all())
    block = telemetry.machine.astype(np.int64) * samples + sample
    values = telemetry.values
    if not everything:
        block, values = block[inside], values[inside]
    begins = np.flatnonzero(np.r_[True, block[1:] != block[:-1]])
    sizes = np.diff(np.r_[begins, len(block)])
    places = block[begins]
    means = np.add.reduceat(values, begins, axis=0) / sizes[:, None]
    deviations = values - np.repeat(means, sizes, axis=0)
    deviations *= deviations
    count.ravel()[places] = sizes
    mean.reshape(-1, values.shape[1])[places] = means
    squares.reshape(-1, values.shape[1])[places] = np.add.reduceat(deviations, begins, axis=0)
    return Moments(count, mean, squares)


def merged(moments: Moments, half_days: int, skip: int = 0) -> Moments:
    """Merge several half-days up to each sample.

    Half-days before the first are empty. Widths are doubled, so that 60 half-days take 8 merges.

    Parameters
    ----------
    moments
        Aggregated half-days.
    half_days
        Number of half-days to merge, at least 1.
    skip
        Number of half-days between the end of the merged ones and the sample.

    Raises
    ------
    ValueError
        ``half_days`` is 0.
    """
    found: Moments | None = None
    doubled, width, offset = moments, 1, skip
    while half_days:
        if half_days & 1:
            part = _shifted(doubled, offset)
            found = part if found is None else _merge(found, part)
            offset += width
        half_days >>= 1
        if half_days:
            doubled = _merge(doubled, _shifted(doubled, width))
            width *= 2
    if found is None:
        raise ValueError("half_days: expected at least 1, got 0")
    return found


def standard_deviation(moments: Moments) -> Floats:
    """Return the sample standard deviation (divisor n - 1), NaN for fewer than two readings."""
    degrees = np.where(moments.readings > 1, moments.readings - 1, np.nan)
    return np.sqrt(moments.squares / degrees[..., None])


def _shifted(moments: Moments, back: int) -> Moments:
    if back == 0:
        return moments
    back = min(back, moments.readings.shape[1])
    shifted = [np.zeros_like(each) for each in moments]
    for into, each in zip(shifted, moments, strict=True):
        into[:, back:] = each[:, : each.shape[1] - back]
    return Moments(*shifted)


def _merge(left: Moments, right: Moments) -> Moments:
    count = left.readings + right.readings
    safe = np.where(count > 0, count, 1.0)[..., None]
    apart = right.mean - left.mean
    share = right.readings[..., None] / safe
    mean = left.mean + apart * share
    squares = left.squares + right.squares + apart * apart * left.readings[..., None] * share
    return Moments(count, mean, squares)
