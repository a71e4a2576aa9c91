"""Backtest of a past range with the same steps that train, score and publish in operation.

Models are trained on the windows before the range and score the windows in it; alerts follow from the predictions.
Nothing is stored: the steps read the store's windows and keep models, predictions and alerts in memory.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.backtest.in_memory import InMemoryAlerts, InMemoryModels, InMemoryPredictions
from sensorwatch.errors import InvalidInputError
from sensorwatch.models.read_only_store import ReadOnlyStore
from sensorwatch.sensors.records import SensorKey
from sensorwatch.sensors.reporting_profile import covered_seconds
from sensorwatch.simulation.matching import Detection, match
from sensorwatch.tasks.prediction_schema import ANOMALOUS
from sensorwatch.tasks.records import TaskSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.models.ports import WindowSource
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.simulation.anomalies import InjectedAnomaly

__all__ = ["BacktestReport", "SensorBacktest", "Steps", "backtest"]

_DAY_SECONDS = 86_400


class Steps(Protocol):
    """The steps of a backtest, bound to their settings."""

    def train(self, task: TaskSpec, store: ReadOnlyStore, models: InMemoryModels) -> object:
        """Train the models of a shard.

        Parameters
        ----------
        task
            The shard and the windows to train on.
        store
            Source of windows and sensors.
        models
            Destination of the models.
        """
        ...

    def score(
        self, task: TaskSpec, store: ReadOnlyStore, models: InMemoryModels, predictions: InMemoryPredictions
    ) -> object:
        """Score the windows of a shard.

        Parameters
        ----------
        task
            The shard and the windows to score.
        store
            Source of windows and sensors.
        models
            Source of the models.
        predictions
            Destination of the predictions.
        """
        ...

    def publish(self, name: str, predictions: pa.Table, alerts: InMemoryAlerts) -> object:
        """Publish predictions as alerts.

        Parameters
        ----------
        name
            Name of the prediction file.
        predictions
            Its predictions.
        alerts
            Destination of the alerts.
        """
        ...


@dataclass(frozen=True, slots=True)
class SensorBacktest:
    """Figures of one sensor, or of all sensors together.

    Attributes
    ----------
    device, tag
        Names of the sensor; empty for all sensors together.
    state, reason
        State of the sensor after training, and its reason.
    windows
        Number of scored windows.
    anomalies
        Number of anomalous windows.
    alerts
        Number of alerts that opened.
    sensor_days
        Time that the scored windows cover, in days; outages are not covered.
    injected
        Number of labelled anomalies; None without labels.
    detected
        Number of labelled anomalies with at least one anomalous window; None without labels.
    precision
        Share (0-1) of the anomalous windows that overlap a labelled anomaly; None without labels or anomalous windows.
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
        """Share (0-1) of labelled anomalies that were detected; None if there are none."""
        return self.detected / self.injected if self.injected and self.detected is not None else None

    @property
    def anomalies_per_day(self) -> float | None:
        """Anomalous windows per sensor-day; None if nothing was scored."""
        return self.anomalies / self.sensor_days if self.sensor_days else None

    @property
    def alerts_per_day(self) -> float | None:
        """Alerts per sensor-day; None if nothing was scored."""
        return self.alerts / self.sensor_days if self.sensor_days else None


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """Figures of each sensor, ordered by id, and of all sensors together."""

    sensors: tuple[SensorBacktest, ...]
    total: SensorBacktest


def backtest(
    start: datetime,
    end: datetime,
    *,
    store: WindowSource,
    steps: Steps,
    window_seconds: int,
    labels: Sequence[InjectedAnomaly] | None = None,
) -> BacktestReport:
    """Train every sensor on the windows up to ``start`` and score those with ``start < end_of_window <= end``.

    Parameters
    ----------
    start
        Exclusive start of the range (UTC).
    end
        Inclusive end of the range (UTC).
    store
        Source of windows and sensors; nothing is written to it.
    steps
        The steps, bound to their settings.
    window_seconds
        Length of a window, in seconds.
    labels
        Known anomalies, for precision and recall. Labels outside the range are ignored. None: no labels.

    Raises
    ------
    InvalidInputError
        The range is empty.
    """
    if start >= end:
        raise InvalidInputError(f"expected a range whose start is before its end, got {start} to {end}")
    past = ReadOnlyStore(store)
    known = None if labels is None else [label for label in labels if label.start < end and label.end > start]
    rows: list[SensorBacktest] = []
    detections: list[Detection] = []
    covered_total = 0
    for shard, sensors in _by_shard(store.sensors()).items():
        models, predictions, alerts = InMemoryModels(), InMemoryPredictions(), InMemoryAlerts(past.profiles)
        steps.train(TaskSpec("backtest", "train", "train", shard, None, start), past, models)
        steps.score(TaskSpec("backtest", "score", "score", shard, start, end), past, models, predictions)
        current = models.current(shard)
        trained = {} if current is None else _states(models.load(current))
        if predictions.table is not None:
            steps.publish("backtest", predictions.table, alerts)
        windows, anomalies, found = _counts(predictions.table)
        covered = _covered(predictions.table, window_seconds)
        covered_total += covered.total()
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
                    covered[sensor.sensor_id],
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
        covered_total,
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


def _covered(table: pa.Table | None, window_seconds: int) -> Counter[int]:
    """Return the seconds that the windows of each sensor cover."""
    if table is None:
        return Counter()
    rows = table.select(["sensor_id", "ts"]).sort_by([("sensor_id", "ascending"), ("ts", "ascending")])
    sensor_ids, first = np.unique(rows["sensor_id"].to_numpy(), return_index=True)
    ends = np.split(rows["ts"].to_numpy(), first[1:])
    return Counter({i: covered_seconds(own, window_seconds) for i, own in zip(sensor_ids.tolist(), ends, strict=True)})


def _figures(
    key: SensorKey,
    state: tuple[str, str],
    windows: int,
    anomalies: int,
    alerts: int,
    seconds: int,
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
        sensor_days=seconds / _DAY_SECONDS,
        injected=matched.total.injected if matched else None,
        detected=matched.total.detected if matched else None,
        precision=matched.precision if matched else None,
    )
