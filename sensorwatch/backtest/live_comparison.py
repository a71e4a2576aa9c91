"""Comparison of the scores that a past range got in operation (live) with new scores by the same models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.backtest.in_memory import InMemoryModels, InMemoryPredictions
from sensorwatch.errors import NotFoundError
from sensorwatch.models.read_only_store import ReadOnlyStore
from sensorwatch.models.records import ModelRef
from sensorwatch.tasks.records import TaskSpec

if TYPE_CHECKING:
    from datetime import datetime

    from sensorwatch.backtest.backtest import Steps
    from sensorwatch.models.ports import ModelRegistry, WindowSource
    from sensorwatch.scheduling.ports import RunStore
    from sensorwatch.tasks.ports import PredictionFiles

__all__ = ["LiveComparison", "compare_with_live"]

_ALL = 1_000_000
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class LiveComparison:
    """Comparison of the live scores of a range with new scores by the same models.

    Attributes
    ----------
    compared
        Number of windows with both scores. The newest live score of a window counts.
    largest_difference
        Largest absolute difference between the two scores of a window.
    labels_differ
        Number of windows that are anomalous by only one of the two scores.
    missing
        Number of windows that were scored live but can't be scored again, because the window or its model is deleted.
    """

    compared: int
    largest_difference: float
    labels_differ: int
    missing: int

    @property
    def equal(self) -> bool:
        """True if all scores are equal within 1e-9, all decisions are equal, and no window is missing."""
        return self.largest_difference <= _TOLERANCE and not self.labels_differ and not self.missing


def compare_with_live(
    start: datetime,
    end: datetime,
    *,
    store: WindowSource,
    runs: RunStore,
    registry: ModelRegistry,
    predictions: PredictionFiles,
    steps: Steps,
) -> LiveComparison:
    """Score a range with the models that scored it live, and compare with the prediction files.

    Only windows with ``start < end_of_window <= end`` that were scored live are compared.

    Parameters
    ----------
    start
        Exclusive start of the range (UTC).
    end
        Inclusive end of the range (UTC).
    store
        Source of windows and sensors; nothing is written to it.
    runs
        Source of the scoring runs.
    registry
        Source of the models.
    predictions
        Source of the live scores.
    steps
        The steps, bound to their settings.
    """
    live = _live(start, end, runs, predictions)
    compared = labels_differ = missing = 0
    largest = 0.0
    shard_of = {sensor.sensor_id: sensor.shard for sensor in store.sensors()}
    versions: dict[ModelRef, set[int]] = {}
    for (sensor_id, _), (_, _, version) in live.items():
        versions.setdefault(ModelRef(shard_of[sensor_id], version), set()).add(sensor_id)
    for ref, sensor_ids in versions.items():
        again = _score_again(ref, sensor_ids, start, end, store, registry, steps)
        for (sensor_id, window), (score, prediction, version) in live.items():
            if version != ref.version or sensor_id not in sensor_ids:
                continue
            if (sensor_id, window) not in again:
                missing += 1
                continue
            score_again, prediction_again = again[sensor_id, window]
            compared += 1
            largest = max(largest, abs(score - score_again))
            labels_differ += prediction != prediction_again
    return LiveComparison(compared, largest, labels_differ, missing)


def _live(
    start: datetime, end: datetime, runs: RunStore, predictions: PredictionFiles
) -> dict[tuple[int, int], tuple[float, int, str]]:
    """Return (score, prediction, model version) of the newest live scoring by (sensor id, end of window)."""
    found: dict[tuple[int, int], tuple[float, int, str]] = {}
    low, high = start.timestamp(), end.timestamp()
    for run in reversed(runs.runs("score", limit=_ALL)):
        if run.window_end <= start:
            continue
        for name in predictions.names(run.run_id):
            table = predictions.read(name)
            inside = pc.and_(pc.greater(table["ts"], low), pc.less_equal(table["ts"], high))
            rows = table.filter(inside).select(["sensor_id", "ts", "score", "prediction", "model_version"])
            for sensor_id, window, score, prediction, version in zip(
                *(column.to_pylist() for column in rows.columns), strict=True
            ):
                found[sensor_id, window] = (score, prediction, version)
    return found


def _score_again(
    ref: ModelRef,
    sensor_ids: set[int],
    start: datetime,
    end: datetime,
    store: WindowSource,
    registry: ModelRegistry,
    steps: Steps,
) -> dict[tuple[int, int], tuple[float, int]]:
    try:
        models = registry.load(ref)
    except NotFoundError:
        return {}
    wanted = pc.is_in(models["sensor_id"], pa.array(sorted(sensor_ids), pa.int64()))
    predictions = InMemoryPredictions()
    task = TaskSpec("backtest", "score", "score", ref.shard, start, end)
    steps.score(task, ReadOnlyStore(store), InMemoryModels({ref: models.filter(wanted)}), predictions)
    if predictions.table is None:
        return {}
    columns = (predictions.table[name].to_pylist() for name in ("sensor_id", "ts", "score", "prediction"))
    return {(sensor_id, window): (score, anomaly) for sensor_id, window, score, anomaly in zip(*columns, strict=True)}
