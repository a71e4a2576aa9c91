"""Faults that are put into a healthy signal, each with its label.

- ``spike``: for some seconds the value jumps by 8-12 times the noise.
- ``level-shift``: for minutes it lies 7-10 times the noise beside its course.
- ``stuck``: it stays exactly at the last healthy value. It remains in range, so a model of the range can't see it.
- ``dropout``: it reads 0, as a dead transmitter does.
- ``noise-burst``: the noise is 8 times as strong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from sensorwatch.errors import InvalidInputError
from sensorwatch.simulation.signals import generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from sensorwatch.sensors.records import SensorKey
    from sensorwatch.simulation.signals import Signal

__all__ = ["ANOMALY_KINDS", "LABEL_KINDS", "AnomalyKind", "InjectedAnomaly", "LabelKind", "disturb", "plan_anomalies"]

AnomalyKind = Literal["dropout", "level-shift", "noise-burst", "spike", "stuck"]
ANOMALY_KINDS: tuple[AnomalyKind, ...] = get_args(AnomalyKind)

LabelKind = AnomalyKind | Literal["busy", "marked"]
"""What a label may say: one of the faults here, that a simulated processor was busy, or that a piece of a composed
signal marked what it gave."""

LABEL_KINDS: tuple[LabelKind, ...] = (*ANOMALY_KINDS, "busy", "marked")

_SECONDS: dict[AnomalyKind, int] = {"dropout": 60, "level-shift": 120, "noise-burst": 60, "spike": 10, "stuck": 120}
_REST_SECONDS = 60
_PLACING_TRIES = 200
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class InjectedAnomaly:
    """One fault's label: the readings with ``start <= time < end`` (UTC) are disturbed."""

    device: str
    tag: str
    kind: LabelKind
    start: datetime
    end: datetime


def plan_anomalies(
    sensors: Sequence[SensorKey], start: datetime, end: datetime, *, per_kind: int, seed: int
) -> list[InjectedAnomaly]:
    """Choose sensors and times for anomalies between ``start`` and ``end`` (UTC), ordered by start.

    Sensors take turns. Two anomalies of a sensor have at least a minute between them, and none begins in the first
    minute, so that there is something healthy to compare with.

    Raises
    ------
    InvalidInputError
        They don't fit into the range.
    """
    rng = generator(seed, "plan", start.isoformat(), end.isoformat())
    order = rng.permutation(len(sensors))
    planned: list[InjectedAnomaly] = []
    for number, kind in enumerate(kind for _ in range(per_kind) for kind in ANOMALY_KINDS):
        planned.append(_place(sensors, order, number, kind, planned, start, end, rng))
    return sorted(planned, key=lambda anomaly: (anomaly.start, anomaly.device, anomaly.tag))


def _place(
    sensors: Sequence[SensorKey],
    order: npt.NDArray[np.int64],
    number: int,
    kind: AnomalyKind,
    planned: Sequence[InjectedAnomaly],
    start: datetime,
    end: datetime,
    rng: np.random.Generator,
) -> InjectedAnomaly:
    rest = timedelta(seconds=_REST_SECONDS)
    length = timedelta(seconds=_SECONDS[kind])
    room_seconds = int((end - start - rest - length).total_seconds())
    for attempt in range(_PLACING_TRIES if room_seconds >= 0 else 0):
        device, tag = sensors[order[(number + attempt) % len(sensors)]]
        begin = start + rest + timedelta(seconds=int(rng.integers(0, room_seconds + 1)))
        if not any(
            (device, tag) == (other.device, other.tag)
            and begin < other.end + rest
            and other.start < begin + length + rest
            for other in planned
        ):
            return InjectedAnomaly(device, tag, kind, begin, begin + length)
    raise InvalidInputError(
        f"no room for anomaly {number + 1} ({kind}, {_SECONDS[kind]} s) on {len(sensors)} sensors between "
        f"{start.astimezone(UTC):%H:%M:%S} and {end.astimezone(UTC):%H:%M:%S}; take a longer range or fewer anomalies"
    )


def disturb(
    kind: AnomalyKind, clean: npt.NDArray[np.float64], signal: Signal, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the values of an anomaly's readings.

    Parameters
    ----------
    kind
        What happens.
    clean
        Healthy values, shape ``(1 + n_readings,)``: that of the reading before the anomaly, then those in it.
    signal
        Of the sensor.
    rng
        Decides magnitude and direction.

    Returns
    -------
    numpy.ndarray
        Shape ``(n_readings,)``.
    """
    healthy = clean[1:]
    direction = rng.choice((-1.0, 1.0))
    values: npt.NDArray[np.float64]
    match kind:
        case "spike":
            values = healthy + direction * rng.uniform(8, 12) * signal.noise
        case "level-shift":
            values = healthy + direction * rng.uniform(7, 10) * signal.noise
        case "stuck":
            values = np.full(len(healthy), clean[0])
        case "dropout":
            values = np.zeros(len(healthy))
        case "noise-burst":
            values = healthy + 8 * signal.noise * rng.standard_normal(len(healthy))
    return values.round(_DECIMALS)
