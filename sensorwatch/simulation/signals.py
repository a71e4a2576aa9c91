"""Signals of healthy sensors: a level, noise, a daily cycle and a slow drift.

The parameters depend only on the seed and the sensor's name, and a value also on the reading's number. So the readings
don't depend on how a range is divided.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["Signal", "clean_values", "drawn", "generator", "signal_of"]

_DAY_SECONDS = 86_400.0
_BLOCK = 4096
_DECIMALS = 3
# Typical level and noise of a tag, and the largest deviation of a sensor's level from it, as a share of the level.
_TAGS = {
    "temperature": (72.0, 0.4, 0.15),
    "pressure": (6.2, 0.05, 0.2),
    "vibration": (2.8, 0.12, 0.25),
    "current": (28.0, 0.35, 0.3),
    "flow": (118.0, 1.1, 0.15),
}
_OTHER_TAG = (60.0, 0.6, 0.5)


@dataclass(frozen=True, slots=True)
class Signal:
    """Signal of a healthy sensor, in the unit of its values.

    Attributes
    ----------
    level
        Mean value.
    noise
        Standard deviation of a reading around cycle and drift.
    daily_amplitude
        Amplitude of the daily cycle.
    daily_phase
        Phase of the daily cycle, in radians.
    drift_amplitude
        Amplitude of the drift, a sine that neither jumps nor grows without a limit.
    drift_period_days
        Period of the drift, in days.
    drift_phase
        Phase of the drift, in radians.
    """

    level: float
    noise: float
    daily_amplitude: float
    daily_phase: float
    drift_amplitude: float
    drift_period_days: float
    drift_phase: float


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return a random generator that depends only on the seed and the names, not on other generators."""
    digest = hashlib.sha256("\0".join(map(str, (seed, *names))).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))


def signal_of(device: str, tag: str, seed: int) -> Signal:
    """Return the healthy signal of a sensor.

    Parameters
    ----------
    device, tag
        The sensor.
    seed
        Seed of all random numbers.
    """
    level, noise, spread = _TAGS.get(tag, _OTHER_TAG)
    rng = generator(seed, "signal", device, tag)
    return Signal(
        level=level * (1 + spread * rng.uniform(-1, 1)),
        noise=noise * rng.uniform(0.8, 1.2),
        daily_amplitude=noise * rng.uniform(0.5, 1.5),
        daily_phase=rng.uniform(0, math.tau),
        drift_amplitude=noise * rng.uniform(0.5, 3),
        drift_period_days=rng.uniform(15, 40),
        drift_phase=rng.uniform(0, math.tau),
    )


def clean_values(
    signal: Signal, first: int, seconds: npt.NDArray[np.float64], *, seed: int, device: str, tag: str
) -> npt.NDArray[np.float64]:
    """Return a healthy sensor's values.

    Parameters
    ----------
    signal
        Signal of the sensor.
    first
        Number of the first reading; the numbers of readings select their noise.
    seconds
        Times of the readings in seconds since 1970-01-01T00:00:00Z, shape ``(n_readings,)``, float64.
    seed
        Seed of the noise.
    device, tag
        The sensor.

    Returns
    -------
    numpy.ndarray
        Shape ``(n_readings,)``, float64, three decimals.
    """
    days = seconds / _DAY_SECONDS
    daily = signal.daily_amplitude * np.sin(math.tau * days + signal.daily_phase)
    drift = signal.drift_amplitude * np.sin(math.tau * days / signal.drift_period_days + signal.drift_phase)
    noise = signal.noise * drawn(first, len(seconds), np.random.Generator.standard_normal, seed, "noise", device, tag)
    return np.round(signal.level + daily + drift + noise, _DECIMALS)


def drawn(
    first: int, count: int, draw: Callable[[np.random.Generator, int], Floats], seed: int, *names: str | int
) -> Floats:
    """Return random numbers by position, drawn in blocks that each have their own generator.

    Parameters
    ----------
    first
        Position of the first number; may be negative.
    count
        Number of random numbers.
    draw
        Function of a generator and a count that returns that many random numbers.
    seed, *names
        Seed and names that determine the sequence.

    Returns
    -------
    numpy.ndarray
        Shape ``(count,)``, float64.

    Examples
    --------
    >>> numbers = drawn(0, 9, np.random.Generator.random, 1, "press-1", "temperature")
    >>> numbers[5:].tolist() == drawn(5, 4, np.random.Generator.random, 1, "press-1", "temperature").tolist()
    True
    """
    if not count:
        return np.empty(0)
    blocks = range(first // _BLOCK, (first + count - 1) // _BLOCK + 1)
    numbers = np.concatenate([draw(generator(seed, *names, block), _BLOCK) for block in blocks])
    offset = first - blocks[0] * _BLOCK
    return numbers[offset : offset + count]
