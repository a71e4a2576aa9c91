"""Faults that are injected into the readings of a simulated fleet, each with its label.

- ``spike``: for 10 s, the value is 8-12 times the noise away from normal.
- ``level-shift``: for 2 min, the value is 7-10 times the noise away from normal.
- ``stuck``: for 2 min, the value stays at the last healthy one. It is within the normal range, so a detector that only
  checks the range can't find it.
- ``dropout``: for 1 min, the value is 0, as from a dead transmitter.
- ``noise-burst``: for 1 min, the noise is about 8 times as strong.
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
"""Kinds of labels: the injected faults, ``busy`` for a simulated processor, and ``marked`` for values that a shape in a
composed signal marks as anomalous."""

LABEL_KINDS: tuple[LabelKind, ...] = (*ANOMALY_KINDS, "busy", "marked")

_SECONDS: dict[AnomalyKind, int] = {"dropout": 60, "level-shift": 120, "noise-burst": 60, "spike": 10, "stuck": 120}
_REST_SECONDS = 60
_PLACING_TRIES = 200
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class InjectedAnomaly:
    """Label of one fault in the ground truth.

    Attributes
    ----------
    device, tag
        The sensor.
    kind
        Kind of the fault.
    start
        Inclusive start of the disturbed readings (UTC).
    end
        Exclusive end of the disturbed readings (UTC).
    """

    device: str
    tag: str
    kind: LabelKind
    start: datetime
    end: datetime


def plan_anomalies(
    sensors: Sequence[SensorKey], start: datetime, end: datetime, *, per_kind: int, seed: int
) -> list[InjectedAnomaly]:
    """Return faults at random times of a range, ordered by start.

    Sensors take turns. Two faults of one sensor are at least a minute apart, and none begins in the first minute of the
    range, so that there are healthy readings to compare with.

    Parameters
    ----------
    sensors
        The sensors to disturb.
    start
        Inclusive start of the range (UTC).
    end
        Exclusive end of the range (UTC).
    per_kind
        Number of faults of each kind.
    seed
        Seed of all random numbers.

    Raises
    ------
    InvalidInputError
        The faults don't fit into the range.
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
        f"{start.astimezone(UTC):%H:%M:%S} and {end.astimezone(UTC):%H:%M:%S}; use a longer range or fewer anomalies"
    )


def disturb(
    kind: AnomalyKind, clean: npt.NDArray[np.float64], signal: Signal, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the disturbed values of a fault's readings.

    Parameters
    ----------
    kind
        Kind of the fault.
    clean
        Healthy values of the reading before the fault and of the readings in it, shape ``(1 + n_readings,)``, float64.
    signal
        Healthy signal of the sensor.
    rng
        Random generator for magnitude and direction.

    Returns
    -------
    numpy.ndarray
        Shape ``(n_readings,)``, float64, three decimals.
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
