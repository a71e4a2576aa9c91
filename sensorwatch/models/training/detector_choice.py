"""Choice of the detector that each sensor of a shard is trained with."""

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
    """Numbers of windows with a finite value that training needs of a sensor.

    Attributes
    ----------
    minimum
        Windows needed for a model. A sensor with fewer is in its cold start (state ``warming``).
    fallback_minimum
        Windows needed for the fallback during the cold start.
    fallback
        Detector of the fallback, where no rule of the configuration names one; ``none`` for no fallback.
    """

    minimum: int
    fallback_minimum: int = 20
    fallback: str = NO_DETECTOR


class DetectorGroup(NamedTuple):
    """Sensors that one detector is fitted for.

    Attributes
    ----------
    detector
        The detector.
    is_fallback
        True if it is the fallback of sensors in their cold start.
    sensor_ids
        Ids of the sensors, shape ``(n_sensors,)``, int64.
    series
        Their training windows.
    """

    detector: Detector
    is_fallback: bool
    sensor_ids: npt.NDArray[np.int64]
    series: Series


class ChosenDetectors:
    """The detectors of some sensors, by the rules of the configuration.

    Parameters
    ----------
    configuration
        ``sensorwatch.yaml``: the section ``detectors`` has the rules.
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
        """Return the sensors that may be trained: all but those with an imported model and no rule of their own."""
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
        """Yield one group for each detector, ordered by detector; every sensor is in one group.

        Parameters
        ----------
        sensor_ids
            Ids of sensors that :meth:`to_train` returned, shape ``(n_sensors,)``, int64.
        series
            Their training windows.
        needed
            Numbers of windows that decide between a sensor's detector and its fallback.
        """
        lengths = series.finite().lengths
        few = ((lengths >= needed.fallback_minimum) & (lengths < needed.minimum)).tolist()
        keys = [
            _key(self._choices[sensor_id], needed.fallback if short else None)
            for sensor_id, short in zip(sensor_ids.tolist(), few, strict=True)
        ]
        names = sorted(set(keys))
        if len(names) == 1:
            yield DetectorGroup(self._detector(names[0]), names[0].is_fallback, sensor_ids, series)
            return
        position = {name: i for i, name in enumerate(names)}
        group = np.array([position[key] for key in keys])
        for i, name in enumerate(names):
            keep = group == i
            yield DetectorGroup(self._detector(name), name.is_fallback, sensor_ids[keep], series.of(keep))

    def _detector(self, key: _Key) -> Detector:
        if key[:2] not in self._made:
            self._made[key[:2]] = detector(*key[:2], policy=self._configuration.estimators)
        return self._made[key[:2]]


class _Key(NamedTuple):
    detector: str
    specification: str
    is_fallback: bool


def _key(choice: DetectorChoice, fallback: str | None) -> _Key:
    """Return the detector of a sensor.

    Parameters
    ----------
    choice
        The choice of the configuration.
    fallback
        Default detector of the fallback; None for a sensor that needs no fallback.
    """
    if fallback is not None:
        fallback = choice.fallback or fallback
    if fallback in (None, NO_DETECTOR):
        return _Key(choice.detector, choice.specification, is_fallback=False)
    return _Key(fallback, NO_PARAMETERS, is_fallback=True)
