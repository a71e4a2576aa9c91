"""Means and standard deviations of the signals over the last half-days.

Readings are summed up by half-day, ``(start, end]``; windows of 12, 24 and 36 hours are one, two and three of them.
Each half-day is described by its count, its mean and the sum of squared deviations from that mean (two passes over the
readings), and half-days are merged by the formula of Chan, Golub and LeVeque (1983): unlike differences of running
sums this loses no digits, however large a signal's level is beside its noise.
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
    """Readings of each machine and half-day: shapes ``(n_machines, n_samples)`` and twice ``(…, n_samples, 4)``.

    ``mean`` and ``squares`` (the sum of squared deviations from the mean) are 0 where ``readings`` is.
    """

    readings: npt.NDArray[np.float64]
    mean: Floats
    squares: Floats


def half_day_moments(telemetry: Telemetry, machines: int, first: int, last: int) -> Moments:
    """Return the moments of the half-days that end at samples ``first`` to ``last`` (inclusive).

    Parameters
    ----------
    telemetry
        Ordered by (machine, hour).
    machines
        Number of machines.
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
    """Return of each sample the moments of so many half-days up to it, leaving out the last ``skip`` of them.

    Half-days before the first count as empty. Widths are doubled: 60 half-days take 8 merges.
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
    """Return the sample standard deviation (divisor n - 1), NaN where there are fewer than two readings."""
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
