"""What a healthy sensor reads: a level, noise around it, a daily cycle and a slow drift.

Everything follows from the seed and the sensor's name, and a value from the seed, the name and the reading's number
alone: a range gives the same readings however it is cut.
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
# Typical level and noise of a tag, and how far sensors of that tag differ in level (as a share of it).
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
    """A healthy sensor, in the unit of its values.

    Attributes
    ----------
    level
        What it reads on average.
    noise
        Standard deviation of one reading around the slow course of the signal.
    daily_amplitude, daily_phase
        Half the height of the daily cycle; its phase in radians.
    drift_amplitude, drift_period_days, drift_phase
        The drift is a wander over weeks, so that it neither jumps nor runs away.
    """

    level: float
    noise: float
    daily_amplitude: float
    daily_phase: float
    drift_amplitude: float
    drift_period_days: float
    drift_phase: float


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return a random generator that belongs to the names, whatever other generators were used before."""
    digest = hashlib.sha256("\0".join(map(str, (seed, *names))).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))


def signal_of(device: str, tag: str, seed: int) -> Signal:
    """Return the healthy course of a sensor."""
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
        Of the sensor.
    first
        Number of the first reading; it and its successors select the noise.
    seconds
        Times of the readings in seconds since 1970-01-01T00:00:00Z, shape ``(n_readings,)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(n_readings,)``, three decimals.
    """
    days = seconds / _DAY_SECONDS
    daily = signal.daily_amplitude * np.sin(math.tau * days + signal.daily_phase)
    drift = signal.drift_amplitude * np.sin(math.tau * days / signal.drift_period_days + signal.drift_phase)
    noise = signal.noise * drawn(first, len(seconds), np.random.Generator.standard_normal, seed, "noise", device, tag)
    return np.round(signal.level + daily + drift + noise, _DECIMALS)


def drawn(
    first: int, count: int, draw: Callable[[np.random.Generator, int], Floats], seed: int, *names: str | int
) -> Floats:
    """Return random numbers by their position, drawn in blocks that each have a generator of their own.

    Parameters
    ----------
    first, count
        Which of them; positions may be negative.
    draw
        Returns so many numbers of a generator.
    seed, names
        To whom the numbers belong.

    Returns
    -------
    numpy.ndarray
        Shape ``(count,)``.

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
