"""Which detector each sensor of a shard is trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.configuration import NO_PARAMETERS
from sensorwatch.detectors import Series, detector
from sensorwatch.shards import IMPORTED, specifications

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from sensorwatch.configuration import Configuration, DetectorChoice
    from sensorwatch.detectors import Detector
    from sensorwatch.records import SensorStatus

__all__ = ["ChosenDetectors"]


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
        self, sensor_ids: npt.NDArray[np.int64], series: Series
    ) -> Iterator[tuple[Detector, npt.NDArray[np.int64], Series]]:
        """Yield each detector with its sensors and their series, all sensors once, in the order of the detectors."""
        keys = [self._choices[sensor_id][:2] for sensor_id in sensor_ids.tolist()]
        names = sorted(set(keys))
        if len(names) == 1:
            yield self._detector(names[0]), sensor_ids, series
            return
        position = {name: i for i, name in enumerate(names)}
        group = np.array([position[key] for key in keys])
        for i, name in enumerate(names):
            keep = group == i
            values = np.repeat(keep, series.lengths)
            offsets = np.concatenate(([0], np.cumsum(series.lengths[keep]))).astype(np.int64)
            yield self._detector(name), sensor_ids[keep], Series(offsets, series.times[values], series.values[values])

    def _detector(self, key: tuple[str, str]) -> Detector:
        if key not in self._made:
            self._made[key] = detector(*key, policy=self._configuration.estimators)
        return self._made[key]
