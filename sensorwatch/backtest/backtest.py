"""What the detectors would have said of a past range, by the very steps that train, score and publish.

Models are trained on the windows before the range and score those in it; alerts follow from the predictions. Nothing is
stored: the steps run over the store's windows, with models, predictions and alerts in memory. A second way scores the
range with the models that scored it live, and compares.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.backtest.in_memory import MemoryAlerts, MemoryModels, MemoryPredictions
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.models.read_only_store import ReadOnlyStore
from sensorwatch.models.records import ModelRef
from sensorwatch.sensors.records import SensorKey
from sensorwatch.simulation.matching import Detection, match
from sensorwatch.tasks.prediction_schema import ANOMALOUS
from sensorwatch.tasks.records import TaskSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.models.ports import ModelRegistry, WindowSource
    from sensorwatch.scheduling.ports import RunStore
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.simulation.anomalies import InjectedAnomaly
    from sensorwatch.tasks.ports import PredictionFiles

__all__ = ["BacktestReport", "LiveComparison", "SensorBacktest", "Steps", "backtest", "compare_with_live"]

_DAY_SECONDS = 86_400
_ALL = 1_000_000
_TOLERANCE = 1e-9


class Steps(Protocol):
    """The steps, bound to their settings."""

    def train(self, task: TaskSpec, store: ReadOnlyStore, models: MemoryModels) -> object:
        """Train a shard."""
        ...

    def score(
        self, task: TaskSpec, store: ReadOnlyStore, models: MemoryModels, predictions: MemoryPredictions
    ) -> object:
        """Score a shard."""
        ...

    def publish(self, name: str, predictions: pa.Table, alerts: MemoryAlerts) -> object:
        """Make alerts of predictions."""
        ...


@dataclass(frozen=True, slots=True)
class SensorBacktest:
    """One sensor's figures, or those of all.

    Attributes
    ----------
    device, tag
        Its names; empty for all sensors together.
    state, reason
        What training said of it.
    windows
        Windows scored.
    anomalies, alerts
        Anomalous windows among them, and alerts opened.
    sensor_days
        Length of the windows scored, in days.
    injected, detected
        Labelled anomalies, and those with an anomalous window; None without labels.
    precision
        Share (0-1) of anomalous windows in a labelled anomaly; None without labels or anomalous windows.
    """

    device: str
    tag: str
    state: str
    reason: str
    windows: int
    anomalies: int
    alerts: int
    sensor_days: float
    injected: int | None
    detected: int | None
    precision: float | None

    @property
    def recall(self) -> float | None:
        """Share (0-1) of labelled anomalies that were detected; None where there are none."""
        return self.detected / self.injected if self.injected and self.detected is not None else None

    @property
    def anomalies_per_day(self) -> float | None:
        """Anomalous windows per sensor-day; None where nothing was scored."""
        return self.anomalies / self.sensor_days if self.sensor_days else None

    @property
    def alerts_per_day(self) -> float | None:
        """Alerts per sensor-day; None where nothing was scored."""
        return self.alerts / self.sensor_days if self.sensor_days else None


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """Every sensor's figures, ordered by id, and those of all together."""

    sensors: tuple[SensorBacktest, ...]
    total: SensorBacktest


@dataclass(frozen=True, slots=True)
class LiveComparison:
    """How the scores of the same models over the same range compare with those given live.

    Attributes
    ----------
    compared
        Windows scored both times. A window scored live more than once counts with its newest score.
    largest_difference
        Between two scores of one window.
    labels_differ
        Windows that were anomalous one time only.
    missing
        Windows scored live that could not be scored again, as their model or they themselves are gone.
    """

    compared: int
    largest_difference: float
    labels_differ: int
    missing: int

    @property
    def equal(self) -> bool:
        """Whether all scores are equal within 1e-9, and all labels."""
        return self.largest_difference <= _TOLERANCE and not self.labels_differ and not self.missing


def backtest(
    start: datetime,
    end: datetime,
    *,
    store: WindowSource,
    steps: Steps,
    window_seconds: int,
    labels: Sequence[InjectedAnomaly] | None = None,
) -> BacktestReport:
    """Train every sensor on the windows up to ``start`` and score those with ``start < end_of_window <= end`` (UTC).

    Parameters
    ----------
    start, end
        The range.
    store
        Where windows and sensors come from; nothing is written.
    steps
        The steps with their settings.
    window_seconds
        Length of a window.
    labels
        Known anomalies, for precision and recall. A label that does not meet the range is left out.

    Raises
    ------
    InvalidInputError
        The range is empty.
    """
    if start >= end:
        raise InvalidInputError(f"expected a range that begins before it ends, got {start} to {end}")
    past = ReadOnlyStore(store)
    known = None if labels is None else [label for label in labels if label.start < end and label.end > start]
    rows: list[SensorBacktest] = []
    detections: list[Detection] = []
    for shard, sensors in _by_shard(store.sensors()).items():
        models, predictions, alerts = MemoryModels(), MemoryPredictions(), MemoryAlerts()
        steps.train(TaskSpec("backtest", "train", "train", shard, None, start), past, models)
        steps.score(TaskSpec("backtest", "score", "score", shard, start, end), past, models, predictions)
        current = models.current(shard)
        trained = {} if current is None else _states(models.load(current))
        if predictions.table is not None:
            steps.publish("backtest", predictions.table, alerts)
        windows, anomalies, found = _counts(predictions.table)
        opened = Counter(alert.sensor_id for alert in alerts.alerts.values())
        for sensor in sensors:
            own = [Detection(*sensor.key, end) for end in found.get(sensor.sensor_id, ())]
            detections += own
            rows.append(
                _figures(
                    sensor.key,
                    trained.get(sensor.sensor_id, ("no-data", "no windows to train on")),
                    windows[sensor.sensor_id],
                    anomalies[sensor.sensor_id],
                    opened[sensor.sensor_id],
                    window_seconds,
                    own,
                    None if known is None else [label for label in known if (label.device, label.tag) == sensor.key],
                )
            )
    total = _figures(
        SensorKey("", ""),
        ("", ""),
        sum(row.windows for row in rows),
        sum(row.anomalies for row in rows),
        sum(row.alerts for row in rows),
        window_seconds,
        detections,
        known,
    )
    return BacktestReport(tuple(rows), total)


def _by_shard(sensors: Sequence[SensorStatus]) -> dict[int, list[SensorStatus]]:
    shards: dict[int, list[SensorStatus]] = {}
    for sensor in sensors:
        shards.setdefault(sensor.shard, []).append(sensor)
    return shards


def _states(models: pa.Table) -> dict[int, tuple[str, str]]:
    rows = models.select(["sensor_id", "state", "reason"]).to_pylist()
    return {row["sensor_id"]: (row["state"], row["reason"]) for row in rows}


def _counts(table: pa.Table | None) -> tuple[Counter[int], Counter[int], dict[int, list[int]]]:
    windows: Counter[int] = Counter()
    found: dict[int, list[int]] = {}
    if table is not None:
        for row in pc.value_counts(table["sensor_id"]).to_pylist():
            windows[row["values"]] = row["counts"]
        anomalous = table.filter(pc.equal(table["prediction"], ANOMALOUS))
        for sensor_id, end in zip(anomalous["sensor_id"].to_pylist(), anomalous["ts"].to_pylist(), strict=True):
            found.setdefault(sensor_id, []).append(end)
    return windows, Counter({sensor_id: len(ends) for sensor_id, ends in found.items()}), found


def _figures(
    key: SensorKey,
    state: tuple[str, str],
    windows: int,
    anomalies: int,
    alerts: int,
    window_seconds: int,
    detections: Sequence[Detection],
    labels: Sequence[InjectedAnomaly] | None,
) -> SensorBacktest:
    matched = None if labels is None else match(labels, detections, window_seconds=window_seconds)
    return SensorBacktest(
        *key,
        *state,
        windows=windows,
        anomalies=anomalies,
        alerts=alerts,
        sensor_days=windows * window_seconds / _DAY_SECONDS,
        injected=matched.total.injected if matched else None,
        detected=matched.total.detected if matched else None,
        precision=matched.precision if matched else None,
    )


# ---- against what was said live --------------------------------------------------------------------------------------


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
    """Score the range with the models that scored it live, and compare with the prediction files.

    Only windows with ``start < end_of_window <= end`` (UTC) that were scored live are compared.
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
        for (sensor_id, window), (score, label, version) in live.items():
            if version != ref.version or sensor_id not in sensor_ids:
                continue
            if (sensor_id, window) not in again:
                missing += 1
                continue
            score_again, label_again = again[sensor_id, window]
            compared += 1
            largest = max(largest, abs(score - score_again))
            labels_differ += label != label_again
    return LiveComparison(compared, largest, labels_differ, missing)


def _live(
    start: datetime, end: datetime, runs: RunStore, predictions: PredictionFiles
) -> dict[tuple[int, int], tuple[float, int, str]]:
    """Return of every window scored live its newest score, its label, and the version of its model."""
    found: dict[tuple[int, int], tuple[float, int, str]] = {}
    low, high = start.timestamp(), end.timestamp()
    for run in reversed(runs.runs("score", limit=_ALL)):
        if run.window_end <= start:
            continue
        for name in predictions.names(run.run_id):
            table = predictions.read(name)
            inside = pc.and_(pc.greater(table["ts"], low), pc.less_equal(table["ts"], high))
            rows = table.filter(inside).select(["sensor_id", "ts", "score", "prediction", "model_version"])
            for sensor_id, window, score, label, version in zip(
                *(column.to_pylist() for column in rows.columns), strict=True
            ):
                found[sensor_id, window] = (score, label, version)
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
    predictions = MemoryPredictions()
    task = TaskSpec("backtest", "score", "score", ref.shard, start, end)
    steps.score(task, ReadOnlyStore(store), MemoryModels({ref: models.filter(wanted)}), predictions)
    if predictions.table is None:
        return {}
    columns = (predictions.table[name].to_pylist() for name in ("sensor_id", "ts", "score", "prediction"))
    return {(sensor_id, window): (score, label) for sensor_id, window, score, label in zip(*columns, strict=True)}
