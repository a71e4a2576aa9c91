"""Simulated fleet with composed signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sensorwatch.errors import InvalidInputError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.simulation.self_labelled import SelfLabelledFleet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sensorwatch.simulation.anomalies import LabelKind
    from sensorwatch.simulation.labelled_values import LabelledValues, ReadingSpan
    from sensorwatch.simulation.shapes import Shape

__all__ = ["ComposedFleet"]


@dataclass(frozen=True)
class ComposedFleet(SelfLabelledFleet):
    """Devices that all have the same tags, each tag with its signal; random numbers differ from sensor to sensor.

    Attributes
    ----------
    devices
        Names of the devices.
    signals
        Signals by tag.
    interval_seconds
        Time between two readings of a sensor, in seconds, at least 0.001.
    seed
        Seed of all random numbers.

    Raises
    ------
    InvalidInputError
        There are no sensors, the interval is too short, or a value of a signal is not finite.
    """

    label_kind: ClassVar[LabelKind] = "marked"

    devices: tuple[str, ...]
    signals: Mapping[str, Shape]
    interval_seconds: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        self._check_interval()
        if not self.sensors:
            raise InvalidInputError("a fleet needs at least one device and one tag")

    @property
    def sensors(self) -> tuple[SensorKey, ...]:
        """The sensors, device by device."""
        return tuple(SensorKey(device, tag) for device in self.devices for tag in self.signals)

    def _emit(self, sensor: SensorKey, span: ReadingSpan) -> LabelledValues:
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.signals[sensor.tag].over(span)
        if not np.isfinite(found.values).all():
            raise InvalidInputError(
                f"the signal of `{sensor.tag}` exceeds the range of numbers; multiply smaller signals"
            )
        return found
