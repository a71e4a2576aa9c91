"""States of sensors that follow from the models of their shard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sensorwatch.sensors.records import TrainingOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sensorwatch.sensors.ports import SensorStore
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["record_outcomes"]


def record_outcomes(
    store: SensorStore, sensors: Sequence[SensorStatus], models: pa.Table | None
) -> list[TrainingOutcome]:
    """Store the states of a shard's sensors that changed; return the states of all its sensors.

    Parameters
    ----------
    store
        Destination of the states.
    sensors
        The shard's sensors with their stored states.
    models
        The model table in use with its versions filled in; None if there is none.
    """
    outcomes = _outcomes(sensors, models)
    known = {sensor.sensor_id: _known_outcome(sensor) for sensor in sensors}
    store.record_training([outcome for outcome in outcomes if outcome != known[outcome.sensor_id]])
    return outcomes


def _outcomes(sensors: Sequence[SensorStatus], models: pa.Table | None) -> list[TrainingOutcome]:
    columns = ["sensor_id", "state", "reason", "training_end", "version"]
    rows = [] if models is None else models.select(columns).to_pylist()
    by_id = {row["sensor_id"]: row for row in rows}
    outcomes = []
    for sensor in sensors:
        row = by_id.get(sensor.sensor_id)
        if row is None:
            outcomes.append(TrainingOutcome(sensor.sensor_id, "no-data", "no windows yet", None, ""))
            continue
        until = row["training_end"]
        trained_until = None if until is None else datetime.fromtimestamp(until, UTC)
        version = "" if until is None else row["version"]
        outcomes.append(TrainingOutcome(sensor.sensor_id, row["state"], row["reason"], trained_until, version))
    return outcomes


def _known_outcome(sensor: SensorStatus) -> TrainingOutcome:
    return TrainingOutcome(sensor.sensor_id, sensor.state, sensor.reason, sensor.trained_until, sensor.model_version)
