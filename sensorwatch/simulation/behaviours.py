"""Normal behaviour of simulated sensors for the synthetic benchmark: six kinds, each with random parameters.

- ``steady``: noise around a level, with more or less correlation from window to window.
- ``daily``: a daily cycle with harmonics and another amplitude at the weekend.
- ``cyclic``: a machine cycle of about 15 to 60 windows that varies in length and height.
- ``drifting``: a random walk of the level over days.
- ``switching``: two to four levels, each held for a while, like the modes of a machine.
- ``bursty``: quiet, with random bursts that decay, like load, traffic or demand.

Half of the sensors also have a slow trend. Noise is normal or heavy-tailed. Values are rounded as an instrument does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["BEHAVIOURS", "Behaviour", "Course", "course"]

Behaviour = Literal["bursty", "cyclic", "daily", "drifting", "steady", "switching"]
BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)

_DAY_SECONDS = 86_400
_THURSDAY = 3
"""Weekday of 1970-01-01, Monday being 0."""


@dataclass(frozen=True, slots=True)
class Course:
    """Windows of a healthy sensor.

    Attributes
    ----------
    values
        Values of the windows, shape ``(n_windows,)``, float64.
    noise
        Standard deviation of the noise, which no model can predict.
    decimals
        Number of decimals of the values.
    """

    values: Floats
    noise: float
    decimals: int


def course(kind: Behaviour, times: npt.NDArray[np.int64], rng: np.random.Generator) -> Course:
    """Return windows of a healthy sensor with random parameters.

    Parameters
    ----------
    kind
        Kind of behaviour.
    times
        Ends of the windows in seconds since 1970-01-01T00:00:00Z, evenly spaced, shape ``(n_windows,)``, int64.
    rng
        Random generator for all parameters and noise.
    """
    noise = 10 ** rng.uniform(-2, 1)
    shape = (_SHAPES[kind](times, rng) + _ageing(len(times), rng)) * noise
    level = noise * rng.uniform(-20, 200)
    decimals = max(0, round(1 - math.log10(noise)))
    values = level + shape + noise * _noise(len(times), rng)
    return Course(values.round(decimals), noise, decimals)


def _ageing(n: int, rng: np.random.Generator) -> Floats:
    """Return the slow trend that half of the sensors have, shape ``(n,)``."""
    if rng.random() < 0.5:
        return np.zeros(n)
    return rng.uniform(1, 5) * np.sin(rng.uniform(0.5, 4) * np.linspace(0, math.pi, n) + rng.uniform(0, math.tau))


def _noise(n: int, rng: np.random.Generator) -> Floats:
    """Return normal or heavy-tailed noise with a standard deviation of 1, shape ``(n,)``."""
    if rng.random() < 0.5:
        return rng.standard_normal(n)
    freedom = rng.uniform(4, 10)
    return rng.standard_t(freedom, n) * math.sqrt((freedom - 2) / freedom)


def _correlated(n: int, correlation: float, rng: np.random.Generator) -> Floats:
    """Return a first-order autoregressive series with a standard deviation of 1, shape ``(n,)``."""
    steps = rng.standard_normal(n) * math.sqrt(1 - correlation**2)
    values = np.empty(n)
    value = rng.standard_normal()
    for i, step in enumerate(steps):
        value = correlation * value + step
        values[i] = value
    return values


def _steady(times: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    return rng.uniform(0.5, 4) * _correlated(len(times), rng.uniform(0.3, 0.98), rng)


def _daily(times: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    angle = math.tau * times / _DAY_SECONDS
    shape = np.zeros(len(times))
    for harmonic in range(1, int(rng.integers(2, 5))):
        shape += np.sin(harmonic * angle + rng.uniform(0, math.tau)) * rng.uniform(0.4, 1.2) / harmonic
    weekend = (times // _DAY_SECONDS + _THURSDAY) % 7 >= 5
    return rng.uniform(2, 12) * np.where(weekend, rng.uniform(0.3, 1.1), 1.0) * shape


def _cyclic(times: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    period = rng.uniform(15, 60)
    wobble = rng.uniform(0, 0.05)
    phase = np.cumsum(1 / period * (1 + wobble * _correlated(len(times), 0.98, rng)))
    amplitude = rng.uniform(2, 10) * (1 + rng.uniform(0, 0.15) * _correlated(len(times), 0.98, rng))
    sharpness = rng.uniform(0.5, 3)
    return amplitude * np.tanh(sharpness * np.sin(math.tau * phase)) + 0.3 * amplitude * np.sin(2 * math.tau * phase)


def _drifting(times: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    return np.cumsum(rng.standard_normal(len(times))) * rng.uniform(0.05, 0.3)


def _switching(times: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    levels = rng.uniform(4, 15) * rng.permutation(int(rng.integers(2, 5)))
    dwell = rng.uniform(30, 200)
    switches = np.cumsum(rng.random(len(times)) < 1 / dwell)
    mode = np.cumsum(rng.integers(1, len(levels), switches[-1] + 1)) % len(levels)
    return np.asarray(levels[mode[switches]])


def _bursty(times: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    n = len(times)
    bursts = (rng.random(n) < rng.uniform(0.005, 0.03)) * rng.gamma(2.0, rng.uniform(2, 5), n)
    fade = np.exp(-np.arange(60) / rng.uniform(2, 12))
    return np.convolve(bursts, fade)[:n]


_SHAPES = {
    "bursty": _bursty,
    "cyclic": _cyclic,
    "daily": _daily,
    "drifting": _drifting,
    "steady": _steady,
    "switching": _switching,
}
