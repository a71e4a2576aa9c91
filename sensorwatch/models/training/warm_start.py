"""Fitting of detectors from previous models, and the choice of the sensors whose member weights are learned again.

Learning member weights takes about as long as fitting, so a training task does it for a few sensors only: those whose
weights are oldest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.ensembles.composite import NEW_NORMAL_SECONDS, CompositeDetector, PreviousModels
from sensorwatch.detectors.ensembles.member_weights import OWN
from sensorwatch.models.table import params_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from sensorwatch.detectors.base import Detector, Fitted
    from sensorwatch.detectors.windowing.series import Series
    from sensorwatch.sensors.records import SensorStatus

    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["EnsembleRules", "WarmStart"]

_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class EnsembleRules:
    """Rules for training ensembles.

    Attributes
    ----------
    weights_days
        Age of a sensor's member weights, in days of its training windows, at which they are learned again.
    weights_sensors
        Largest number of sensors whose weights one training task learns.
    new_normal_seconds
        How long a lasting change is an alarm, where no rule of the configuration says otherwise.
    """

    weights_days: float = 7.0
    weights_sensors: int = 200
    new_normal_seconds: int = NEW_NORMAL_SECONDS


class WarmStart:
    """Fits the detectors of one training task, starting from the previous models of its sensors.

    Parameters
    ----------
    sensors
        The shard's sensors. Sensors with the same tag are a peer group.
    models
        The model table in use; None if there is none.
    rules
        The rules for ensembles.
    """

    def __init__(self, sensors: Sequence[SensorStatus], models: pa.Table | None, rules: EnsembleRules) -> None:
        self._models = models
        self._rules = rules
        self._left = rules.weights_sensors
        tags = {tag: i for i, tag in enumerate(sorted({str(sensor.key.tag) for sensor in sensors}))}
        self._peer_group = {sensor.sensor_id: tags[str(sensor.key.tag)] for sensor in sensors}

    def fit(self, chosen: Detector, sensor_ids: Integers, series: Series, enough: Flags) -> Fitted:
        """Fit a detector for some sensors.

        Parameters
        ----------
        chosen
            The detector.
        sensor_ids
            Ids of the sensors, shape ``(n_sensors,)``, int64.
        series
            Their training windows.
        enough
            True where a sensor has enough windows for a model, shape ``(n_sensors,)``, bool.
        """
        if not isinstance(chosen, CompositeDetector):
            return chosen.fit(series)
        ids = sensor_ids.tolist()
        params = self._previous_params(chosen.name, ids)
        peer_groups = np.array([self._peer_group.get(sensor_id, -1) for sensor_id in ids], np.int64)
        reweigh = self._due(params, series, enough)
        self._left -= int(reweigh.sum())
        previous = PreviousModels(params, reweigh, peer_groups, self._rules.new_normal_seconds)
        return chosen.warm_start(series, previous)

    def _previous_params(self, name: str, ids: Sequence[int]) -> pa.StructArray:
        column = params_column(name)
        if self._models is None or column not in self._models.column_names:
            return pa.nulls(len(ids), pa.struct([]))
        place = {sensor_id: i for i, sensor_id in enumerate(self._models["sensor_id"].to_pylist())}
        return self._models[column].combine_chunks().take(pa.array([place.get(each) for each in ids], pa.int64()))

    def _due(self, params: pa.StructArray, series: Series, enough: Flags) -> Flags:
        """Return True where a sensor's weights are learned now, shape ``(n_sensors,)``: oldest first, then in order."""
        weighed_at = np.full(len(params), -np.inf)
        if params.type.get_field_index("weighed_by") >= 0:
            by = params.field("weighed_by").to_pylist()
            at = params.field("weighed_at").to_pylist()
            for i, valid in enumerate(params.is_valid().to_pylist()):
                if valid and by[i] == OWN:
                    weighed_at[i] = at[i]
        newest = series.newest(np.full(len(params), -np.inf))
        with np.errstate(invalid="ignore"):
            due = enough & (newest - weighed_at >= self._rules.weights_days * _DAY_SECONDS)
        order = np.flatnonzero(due)[np.argsort(weighed_at[due], kind="stable")]
        reweigh = np.zeros(len(params), np.bool_)
        reweigh[order[: max(self._left, 0)]] = True
        return reweigh
