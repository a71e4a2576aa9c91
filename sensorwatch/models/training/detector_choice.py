"""Which detector each sensor of a shard is trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.config.detectors import NO_DETECTOR, NO_PARAMETERS
from sensorwatch.detectors.factory import detector
from sensorwatch.models.table import IMPORTED, specifications

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from sensorwatch.config.detectors import DetectorChoice
    from sensorwatch.config.file import Configuration
    from sensorwatch.detectors.base import Detector
    from sensorwatch.detectors.windowing.series import Series
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["ChosenDetectors", "DetectorGroup", "TrainingWindows"]


@dataclass(frozen=True, slots=True)
class TrainingWindows:
    """How many windows with a finite value sensors need.

    Attributes
    ----------
    minimum
        For a model; a sensor with fewer is warming.
    warming
        For one that stands in until then.
    stand_in
        The detector of the latter, where no rule names one; ``none``: there is none.
    """

    minimum: int
    warming: int = 20
    stand_in: str = NO_DETECTOR


class DetectorGroup(NamedTuple):
    """Sensors that one detector is fitted for; ``provisional`` where it stands in for theirs."""

    detector: Detector
    provisional: bool
    sensor_ids: npt.NDArray[np.int64]
    series: Series


class ChosenDetectors:
    """The detectors of some sensors, by the configuration's rules.

    Parameters
    ----------
    configuration
        The rules.
    default
        Name of the detector of sensors that no rule matches.

    Raises
    ------
    InvalidInputError
        There is no detector ``default``.
    """

    def __init__(self, configuration: Configuration, default: str) -> None:
        self._configuration = configuration
        self._default = default
        self._made = {(default, NO_PARAMETERS): detector(default, policy=configuration.estimators)}
        self._choices: dict[int, DetectorChoice] = {}

    def to_train(self, sensors: Sequence[SensorStatus], models: pa.Table | None) -> list[SensorStatus]:
        """Return the sensors that may be trained: all but those whose model was imported and that no rule names."""
        self._choices = {sensor.sensor_id: self._configuration.choice(sensor.key, self._default) for sensor in sensors}
        imported: set[int] = set()
        if models is not None:
            asked = zip(models["sensor_id"].to_pylist(), specifications(models), strict=True)
            imported = {sensor_id for sensor_id, specification in asked if specification.startswith(IMPORTED)}
        return [
            sensor for sensor in sensors if sensor.sensor_id not in imported or self._choices[sensor.sensor_id].ruled
        ]

    def groups(
        self, sensor_ids: npt.NDArray[np.int64], series: Series, needed: TrainingWindows
    ) -> Iterator[DetectorGroup]:
        """Yield each detector with its sensors and their series, all sensors once, in the order of the detectors."""
        lengths = series.finite().lengths
        few = ((lengths >= needed.warming) & (lengths < needed.minimum)).tolist()
        keys = [
            _key(self._choices[sensor_id], needed.stand_in if short else None)
            for sensor_id, short in zip(sensor_ids.tolist(), few, strict=True)
        ]
        names = sorted(set(keys))
        if len(names) == 1:
            yield DetectorGroup(self._detector(names[0]), names[0].provisional, sensor_ids, series)
            return
        position = {name: i for i, name in enumerate(names)}
        group = np.array([position[key] for key in keys])
        for i, name in enumerate(names):
            keep = group == i
            yield DetectorGroup(self._detector(name), name.provisional, sensor_ids[keep], series.of(keep))

    def _detector(self, key: _Key) -> Detector:
        if key[:2] not in self._made:
            self._made[key[:2]] = detector(*key[:2], policy=self._configuration.estimators)
        return self._made[key[:2]]


class _Key(NamedTuple):
    detector: str
    specification: str
    provisional: bool


def _key(choice: DetectorChoice, stand_in: str | None) -> _Key:
    """Return what a sensor gets; ``stand_in`` is None for one that needs no stand-in."""
    if stand_in is not None:
        stand_in = choice.warming or stand_in
    if stand_in in (None, NO_DETECTOR):
        return _Key(choice.detector, choice.specification, provisional=False)
    return _Key(stand_in, NO_PARAMETERS, provisional=True)
