"""Faults of sensors and processes for the synthetic benchmark: ten kinds, from obvious ones to some near the noise.

- ``spike``: one to three windows far from normal.
- ``intermittent``: several single windows far from normal, as from a loose contact.
- ``level-shift``: values away from normal by a constant.
- ``ramp``: values that move away from normal more and more, until a repair.
- ``bump``: values that move away from normal and return smoothly.
- ``noise-burst``: noise that is several times as strong.
- ``oscillation``: an oscillation, as of an unstable control loop.
- ``damped``: changes that are too small, as behind a clogged line or a filter.
- ``stuck``: values that stay at the last one.
- ``dropout``: values of 0, or of a fill value that may be a normal value.

The size of a fault is a few times the noise, independent of the range of the signal. So many faults can be found only
by comparison with the windows before them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from sensorwatch.simulation.behaviours import Course

    Floats = npt.NDArray[np.float64]

__all__ = ["FAULTS", "Fault", "fault_windows", "faulty"]

Fault = Literal[
    "bump",
    "damped",
    "dropout",
    "intermittent",
    "level-shift",
    "noise-burst",
    "oscillation",
    "ramp",
    "spike",
    "stuck",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)

_READS_ZERO = 1 / 3

_WINDOWS: dict[Fault, tuple[int, int]] = {
    "bump": (20, 100),
    "damped": (40, 150),
    "dropout": (3, 30),
    "intermittent": (20, 80),
    "level-shift": (15, 120),
    "noise-burst": (15, 80),
    "oscillation": (20, 100),
    "ramp": (40, 150),
    "spike": (1, 3),
    "stuck": (15, 100),
}


def fault_windows(kind: Fault, rng: np.random.Generator) -> int:
    """Return a random length for a fault of this kind, in windows."""
    shortest, longest = _WINDOWS[kind]
    return int(rng.integers(shortest, longest + 1))


def faulty(kind: Fault, healthy: Course, first: int, n: int, rng: np.random.Generator) -> Floats:
    """Return the values of the windows in a fault.

    Parameters
    ----------
    kind
        Kind of the fault.
    healthy
        Windows of the healthy sensor.
    first
        Position of the fault's first window, at least 1.
    n
        Number of windows in the fault.
    rng
        Random generator for magnitude and direction.

    Returns
    -------
    numpy.ndarray
        Shape ``(n,)``, float64.
    """
    clean = healthy.values[first : first + n]
    values: Floats = _VALUES[kind](clean, healthy, float(healthy.values[first - 1]), rng)
    return values.round(healthy.decimals)


def _off(healthy: Course, least: float, most: float, rng: np.random.Generator) -> float:
    """Return a random signed distance of ``least`` to ``most`` times the noise."""
    return float(rng.choice((-1, 1)) * rng.uniform(least, most) * healthy.noise)


def _bump(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    arch: Floats = np.sin(math.pi * (np.arange(len(clean)) + 0.5) / len(clean))
    return clean + _off(healthy, 2, 7, rng) * arch


def _damped(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    part, mean = rng.uniform(0.05, 0.5), float(np.mean(clean))
    return mean + part * (clean - mean)


def _dropout(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    if rng.random() < _READS_ZERO:
        return np.zeros(len(clean))
    return np.full(len(clean), float(rng.choice(healthy.values)))


def _intermittent(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    off = rng.random(len(clean)) < rng.uniform(0.1, 0.4)
    off[[0, -1]] = True
    sizes = _off(healthy, 3, 9, rng) * rng.uniform(0.5, 1.0, len(clean))
    return clean + np.where(off, sizes, 0.0)


def _level_shift(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    return clean + _off(healthy, 2, 6, rng)


def _noise_burst(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    return clean + abs(_off(healthy, 2, 5, rng)) * rng.standard_normal(len(clean))


def _oscillation(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    wave: Floats = np.sin(math.tau * np.arange(len(clean)) / rng.uniform(4, 20))
    return clean + _off(healthy, 1.5, 5, rng) * wave


def _ramp(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    return clean + _off(healthy, 3, 8, rng) * np.arange(1, len(clean) + 1) / len(clean)


def _spike(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    return clean + _off(healthy, 4, 12, rng)


def _stuck(clean: Floats, healthy: Course, before: float, rng: np.random.Generator) -> Floats:
    return np.full(len(clean), before)


_VALUES: dict[Fault, Callable[[Floats, Course, float, np.random.Generator], Floats]] = {
    "bump": _bump,
    "damped": _damped,
    "dropout": _dropout,
    "intermittent": _intermittent,
    "level-shift": _level_shift,
    "noise-burst": _noise_burst,
    "oscillation": _oscillation,
    "ramp": _ramp,
    "spike": _spike,
    "stuck": _stuck,
}
