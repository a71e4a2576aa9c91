"""Simulated processors whose load follows a Markov chain that labels its values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from sensorwatch.errors import InvalidInputError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.simulation.markov import MarkovSignal
from sensorwatch.simulation.self_labelled import SelfLabelledFleet

if TYPE_CHECKING:
    from sensorwatch.simulation.anomalies import LabelKind
    from sensorwatch.simulation.labelled_values import LabelledValues, ReadingSpan

__all__ = ["CpuFleet"]

_TAG = "load"


@dataclass(frozen=True)
class CpuFleet(SelfLabelledFleet):
    """Processors ``cpu-1``, ``cpu-2`` and so on, each with the tag ``load``; the same seed gives the same readings.

    Attributes
    ----------
    processors
        Number of processors.
    interval_seconds
        Time between two readings of a processor, in seconds, at least 0.001.
    seed
        Seed of all random numbers.
    signal
        Markov chain of every processor; random numbers differ from processor to processor.
    """

    label_kind: ClassVar[LabelKind] = "busy"

    processors: int = 1
    interval_seconds: float = 5.0
    seed: int = 1
    signal: MarkovSignal = field(default_factory=MarkovSignal)

    def __post_init__(self) -> None:
        self._check_interval()
        if self.processors < 1:
            raise InvalidInputError(f"processors must be at least 1, got `{self.processors}`")

    @property
    def sensors(self) -> tuple[SensorKey, ...]:
        """The sensors."""
        return tuple(SensorKey(f"cpu-{number + 1}", _TAG) for number in range(self.processors))

    def _emit(self, sensor: SensorKey, span: ReadingSpan) -> LabelledValues:
        return self.signal.emit(span.first, len(span.seconds), seed=self.seed, device=sensor.device, tag=sensor.tag)
