"""Alerts of kind ``flatline``: sensors whose values no longer vary.

A run is a sequence of successive windows of equal value. Windows at or before the newest processed window are ignored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from sensorwatch.alerts.flat_runs import FlatChanges, FlatRun
from sensorwatch.alerts.records import Alert, AlertChanges, Notification
from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from sensorwatch.alerts.flat_runs import FlatProgress
    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.ports import FlatlineStore
    from sensorwatch.sensors.records import ReportingProfile

__all__ = ["SensorWindows", "flat_changes", "watch_flatlines"]

_SEVERITY = "medium"
_SCORE = 72.5
"""Middle of the severity's range of scores."""

_USUAL_FACTOR = 2
"""Factor by which a run must exceed the longest run in the sensor's training windows."""


class SensorWindows(NamedTuple):
    """Windows as columns of shape ``(n_windows,)``, ordered by sensor and end.

    ``end`` is in seconds since 1970-01-01T00:00:00Z.
    """

    sensor_id: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


class _Run(NamedTuple):
    """Windows of equal value: ends of the first, the last, and the next window that differs."""

    sensor_id: int
    value: float
    since: int
    until: int
    windows: int
    broken_at: int | None


def flat_changes(
    windows: SensorWindows, keys: Mapping[int, SensorKey], progress: FlatProgress, policy: AlertPolicy
) -> FlatChanges:
    """Process the windows of a prediction file and return the changes. Pure.

    Parameters
    ----------
    windows
        Windows of one shard.
    keys
        Names of its sensors, by id.
    progress
        Stored progress of these sensors.
    policy
        Limits of each sensor, and its downtime.
    """
    if progress.until is not None:
        new = windows.end > progress.until
        windows = SensorWindows(windows.sensor_id[new], windows.end[new], windows.value[new])
    if not len(windows.end):
        return FlatChanges(progress.until, (), (), AlertChanges((), (), ()))
    kept: list[FlatRun] = []
    ended: list[int] = []
    alerts: dict[str, Alert] = {}
    notifications: list[Notification] = []
    for sensor_id, runs in _runs_by_sensor(windows, progress.runs).items():
        stored = progress.runs.get(sensor_id)
        for run in runs:
            alert_id = stored.alert_id if stored is not None and stored.since == run.since else None
            alert = progress.alerts.get(alert_id) if alert_id is not None else None
            if alert_id is None and (alert := _opened(run, keys[sensor_id], progress.profiles, policy)) is not None:
                alert_id = alert.alert_id
                notifications.append(Notification.opened(alert))
                alerts[alert_id] = alert
            if alert is not None and alert.cleared_end is None and run.broken_at is not None:
                alert = replace(alert, cleared_end=max(run.broken_at, alert.opened_end))
                notifications.append(Notification.cleared(alert))
                alerts[alert.alert_id] = alert
            if run.broken_at is None:
                now = FlatRun(sensor_id, run.value, run.since, alert_id)
                if run.windows == 1 and stored is not None:
                    ended.append(sensor_id)
                elif run.windows > 1 and now != stored:
                    kept.append(now)
    until = int(windows.end.max())
    return FlatChanges(until, kept, ended, AlertChanges((), list(alerts.values()), notifications))


def _runs_by_sensor(windows: SensorWindows, stored: Mapping[int, FlatRun]) -> dict[int, list[_Run]]:
    """Return the runs of each sensor in order: those with several windows, and those that follow a stored run."""
    sensor_id, end, value = windows
    begins = np.ones(len(end), np.bool_)
    begins[1:] = (sensor_id[1:] != sensor_id[:-1]) | (value[1:] != value[:-1])
    first = np.flatnonzero(begins)
    last = np.concatenate((first[1:], [len(end)])) - 1
    follows = np.zeros(len(first), np.bool_)
    follows[:-1] = sensor_id[first[1:]] == sensor_id[first[:-1]]
    remembered = np.isin(sensor_id[first], np.fromiter(stored, np.int64, len(stored)))
    found: dict[int, list[_Run]] = {}
    for i in np.flatnonzero((last > first) | remembered).tolist():
        sensor = int(sensor_id[first[i]])
        run = _Run(
            sensor_id=sensor,
            value=float(value[first[i]]),
            since=int(end[first[i]]),
            until=int(end[last[i]]),
            windows=int(last[i] - first[i]) + 1,
            broken_at=int(end[first[i + 1]]) if follows[i] else None,
        )
        runs = found.setdefault(sensor, [])
        before = stored.get(sensor)
        if not runs and before is not None:
            if before.value == run.value:
                run = run._replace(since=before.since, windows=run.windows + 1)
            else:
                runs.append(_Run(sensor, before.value, before.since, before.since, 2, run.since))
        runs.append(run)
    return found


def _opened(run: _Run, key: SensorKey, profiles: Mapping[int, ReportingProfile], policy: AlertPolicy) -> Alert | None:
    profile = profiles.get(run.sensor_id)
    seconds = policy.flatline_seconds(key)
    if profile is None or profile.flat_seconds is None or seconds is None:
        return None
    limit = max(seconds, _USUAL_FACTOR * profile.flat_seconds)
    if run.until - run.since < limit:
        return None
    since = policy.downtime.last_end(key, run.since, run.until) or run.since
    opened_end = max(since, run.since) + limit
    if run.until < opened_end or policy.suppressed_now(key, run.until):
        return None
    return Alert(
        alert_id=f"{run.sensor_id}-flatline-{run.since}",
        sensor_id=run.sensor_id,
        opened_end=opened_end,
        last_anomaly_end=run.until,
        cleared_end=None,
        anomalies=0,
        peak_score=_SCORE,
        severity=_SEVERITY,
        kind="flatline",
        peak_value=run.value,
    )


def watch_flatlines(predictions: pa.Table, *, store: FlatlineStore, policy: AlertPolicy) -> tuple[int, int]:
    """Open and clear the flatline alerts of a prediction file.

    Rescored windows and windows that are not newer than the processed ones are ignored, so a file that arrives twice
    changes nothing.

    Parameters
    ----------
    predictions
        Predictions of one shard, with the columns of :mod:`sensorwatch.tasks.prediction_schema`.
    store
        Store of the runs and alerts.
    policy
        Limits of each sensor, and its downtime.

    Returns
    -------
    tuple of int
        Numbers of alerts opened and cleared.
    """
    rows = predictions.filter(pc.invert(predictions["rescored"]))
    rows = rows.sort_by([("sensor_id", "ascending"), ("ts", "ascending")])
    if not rows.num_rows:
        return 0, 0
    windows = SensorWindows(*(rows[name].to_numpy() for name in ("sensor_id", "ts", "value")))
    ids, first = np.unique(windows.sensor_id, return_index=True)
    named = rows.select(["device", "tag"]).take(first)
    names = zip(ids.tolist(), named["device"].to_pylist(), named["tag"].to_pylist(), strict=True)
    keys = {sensor_id: SensorKey(device, tag) for sensor_id, device, tag in names}

    def decide(progress: FlatProgress) -> FlatChanges:
        return flat_changes(windows, keys, progress, policy)

    return store.watch_flat(keys, decide)
