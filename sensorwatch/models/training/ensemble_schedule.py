"""Which sensors an ensemble weighs its members for in a training task: few at a time, those that waited longest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import NEW_NORMAL_SECONDS, Continuing, Former
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

__all__ = ["EnsembleRules", "GoingOn"]

_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class EnsembleRules:
    """What ensembles keep to.

    Attributes
    ----------
    weights_days
        A sensor's members are weighed anew when its weights are this old, by the windows that it was trained on.
    weights_sensors
        At most so many sensors are weighed in one training task.
    new_normal_seconds
        How long a lasting change is an alarm, where a rule says nothing else.
    """

    weights_days: float = 7.0
    weights_sensors: int = 200
    new_normal_seconds: int = NEW_NORMAL_SECONDS


class GoingOn:
    """Fits the detectors of a training task on what is known from the models before.

    Parameters
    ----------
    sensors
        The shard's sensors. Those of one tag are alike.
    models
        Its models in use; None: there are none.
    rules
        What to keep to.
    """

    def __init__(self, sensors: Sequence[SensorStatus], models: pa.Table | None, rules: EnsembleRules) -> None:
        self._models = models
        self._rules = rules
        self._left = rules.weights_sensors
        tags = {tag: i for i, tag in enumerate(sorted({str(sensor.key.tag) for sensor in sensors}))}
        self._tag = {sensor.sensor_id: tags[str(sensor.key.tag)] for sensor in sensors}

    def fit(self, chosen: Detector, sensor_ids: Integers, series: Series, enough: Flags) -> Fitted:
        """Fit a detector for some sensors.

        Parameters
        ----------
        chosen, series
            The detector, and what it is fitted on.
        sensor_ids, enough
            Whose windows these are, and whether they are enough for a model; shape ``(n_sensors,)``.
        """
        if not isinstance(chosen, Continuing):
            return chosen.fit(series)
        ids = sensor_ids.tolist()
        params = self._former(chosen.name, ids)
        alike = np.array([self._tag.get(sensor_id, -1) for sensor_id in ids], np.int64)
        weigh = self._due(params, series, enough)
        self._left -= int(weigh.sum())
        return chosen.fit_on(series, Former(params, weigh, alike, self._rules.new_normal_seconds))

    def _former(self, name: str, ids: Sequence[int]) -> pa.StructArray:
        column = params_column(name)
        if self._models is None or column not in self._models.column_names:
            return pa.nulls(len(ids), pa.struct([]))
        place = {sensor_id: i for i, sensor_id in enumerate(self._models["sensor_id"].to_pylist())}
        return self._models[column].combine_chunks().take(pa.array([place.get(each) for each in ids], pa.int64()))

    def _due(self, params: pa.StructArray, series: Series, enough: Flags) -> Flags:
        """Return whose members are weighed now, shape ``(n_sensors,)``: the oldest weights first, then by position."""
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
        weigh = np.zeros(len(params), np.bool_)
        weigh[order[: max(self._left, 0)]] = True
        return weigh
