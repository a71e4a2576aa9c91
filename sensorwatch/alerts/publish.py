"""Publication of prediction files as anomalies and alerts. A file that arrives again changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from sensorwatch.alerts.explanation_text import explanation_text
from sensorwatch.alerts.feedback import suppress
from sensorwatch.alerts.ports import AlertStore, FlatlineStore
from sensorwatch.alerts.records import AlertChanges, Anomaly
from sensorwatch.alerts.state_machine import ScoredWindow, advance
from sensorwatch.detectors.explanation import parse_explanation
from sensorwatch.sensors.ports import ProfileStore
from sensorwatch.sensors.records import SensorKey
from sensorwatch.tasks.prediction_schema import ANOMALOUS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pyarrow as pa

    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.records import AlertState, PublishOutcome
    from sensorwatch.alerts.state_machine import AlertRules
    from sensorwatch.sensors.records import ReportingProfile

__all__ = ["PublishingStore", "advance_by_policy", "publish"]

_WARMING = "warming"
"""Reason why anomalies of a fallback model raise no alert."""

_ABOUT = ("expected_low", "expected_high", "model_version", "training_start", "training_end")


class PublishingStore(AlertStore, FlatlineStore, ProfileStore, Protocol):
    """Methods of the store that publishing uses."""

    def served_anomalies(self, sensor_ids: Collection[int], first_end: int, last_end: int) -> list[Anomaly]:
        """As :meth:`sensorwatch.realtime.ports.ServingStore.served_anomalies`."""
        ...


def publish(
    name: str,
    predictions: pa.Table,
    *,
    store: PublishingStore,
    policy: AlertPolicy,
) -> PublishOutcome:
    """Store the anomalies of a prediction file, and open, extend and clear alerts.

    An anomaly that the policy or feedback on an earlier alert suppresses is stored with the reason and opens no alert.

    Parameters
    ----------
    name
        Name of the file, which is recorded as published.
    predictions
        Rows of the file, with the columns of :mod:`sensorwatch.tasks.prediction_schema`.
    store
        Store of anomalies and alerts.
    policy
        Alert rules and downtime.
    """
    import pyarrow.compute as pc

    from sensorwatch.alerts.flatline import watch_flatlines

    anomalous = pc.equal(predictions["prediction"], ANOMALOUS)
    warming = pc.fill_null(predictions["warming"], False)
    anomalies = _anomalies(predictions.filter(anomalous), policy)
    anomalies = suppress(anomalies, store.tolerances({each.sensor_id for each in anomalies if not each.suppressed}))
    normal_again = predictions.filter(pc.and_(predictions["rescored"], pc.invert(anomalous)))
    withdrawn = list(zip(normal_again["sensor_id"].to_pylist(), normal_again["ts"].to_pylist(), strict=True))
    withdrawn += _refuted_in_real_time(predictions.filter(pc.invert(anomalous)), store)
    alarming = {
        (anomaly.sensor_id, anomaly.end): explanation_text(anomaly) for anomaly in anomalies if not anomaly.suppressed
    }
    alarming_sensors = {sensor_id for sensor_id, _ in alarming}
    sensor_ids = pc.unique(predictions["sensor_id"]).to_pylist()
    profiles = store.reporting_profiles(sensor_ids)

    def decide(states: Mapping[int, AlertState]) -> AlertChanges:
        windows, keys = _windows_of(predictions, alarming_sensors | states.keys(), alarming)
        return advance_by_policy(states, windows, keys, policy, profiles)

    outcome = store.publish(anomalies, withdrawn, sensor_ids, decide)
    own = predictions.filter(pc.invert(warming))
    opened, cleared = watch_flatlines(own, store=store, policy=policy)
    store.mark_published(name)
    return replace(
        outcome, alerts_opened=outcome.alerts_opened + opened, alerts_cleared=outcome.alerts_cleared + cleared
    )


def _refuted_in_real_time(normal: pa.Table, store: PublishingStore) -> list[tuple[int, int]]:
    """Return (sensor_id, end) of normal windows that real-time scoring, which sees fewer windows, found anomalous."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not normal.num_rows:
        return []
    sensor_ids, span = pc.unique(normal["sensor_id"]).to_pylist(), pc.min_max(normal["ts"]).as_py()
    served = store.served_anomalies(sensor_ids, span["min"], span["max"])
    if not served:
        return []
    rows = normal.filter(pc.is_in(normal["sensor_id"], pa.array([each.sensor_id for each in served], pa.int64())))
    windows = set(zip(rows["sensor_id"].to_pylist(), rows["ts"].to_pylist(), strict=True))
    return [key for each in served if (key := (each.sensor_id, each.end)) in windows]


def _anomalies(rows: pa.Table, policy: AlertPolicy) -> list[Anomaly]:
    columns = ("sensor_id", "ts", "value", "score", "severity", *_ABOUT)
    found = [Anomaly(*row) for row in zip(*(rows[column].to_pylist() for column in columns), strict=True)]
    why = zip(rows["expected_value"].to_pylist(), rows["explanation"].to_pylist(), strict=True)
    found = [
        replace(anomaly, expected_value=expected, explanation=None if text is None else parse_explanation(text))
        for anomaly, (expected, text) in zip(found, why, strict=True)
    ]
    names = zip(*(rows[column].to_pylist() for column in ("sensor_id", "device", "tag")), strict=True)
    reasons = policy.suppressions(found, {sensor_id: SensorKey(device, tag) for sensor_id, device, tag in names})
    warming = rows["warming"].to_pylist()
    return [
        replace(anomaly, suppressed=_WARMING if stands_in else reason) if stands_in or reason else anomaly
        for anomaly, reason, stands_in in zip(found, reasons, warming, strict=True)
    ]


def _windows_of(
    predictions: pa.Table, sensor_ids: set[int], alarming: Mapping[tuple[int, int], str]
) -> tuple[dict[int, list[ScoredWindow]], dict[int, SensorKey]]:
    """Return the windows of some sensors in ascending order, and the names of the sensors.

    ``alarming`` holds the explanations of the windows that may raise an alert, by (sensor_id, end).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = predictions.filter(pc.is_in(predictions["sensor_id"], pa.array(sorted(sensor_ids), pa.int64())))
    rows = rows.sort_by([("sensor_id", "ascending"), ("ts", "ascending")])
    windows: dict[int, list[ScoredWindow]] = {}
    keys: dict[int, SensorKey] = {}
    columns = ("sensor_id", "device", "tag", "ts", "score", "severity", "value", *_ABOUT)
    for sensor_id, device, tag, end, score, severity, *about in zip(
        *(rows[column].to_pylist() for column in columns), strict=True
    ):
        keys.setdefault(sensor_id, SensorKey(device, tag))
        why = alarming.get((sensor_id, end))
        window = ScoredWindow(end, score, severity, why is not None, *about)
        windows.setdefault(sensor_id, []).append(window._replace(explanation=why or ""))
    return windows, keys


def advance_by_policy(
    states: Mapping[int, AlertState],
    windows: Mapping[int, list[ScoredWindow]],
    keys: Mapping[int, SensorKey],
    policy: AlertPolicy,
    profiles: Mapping[int, ReportingProfile],
) -> AlertChanges:
    """Process the windows of sensors with their own ``k``, ``n`` and quiet period, and return the changes.

    Parameters
    ----------
    states
        Stored states, by sensor id.
    windows
        Windows in ascending order, by sensor id.
    keys
        Names of the sensors, by id.
    policy
        Rules of each sensor.
    profiles
        Reporting profiles, by sensor id, of the sensors that have one.
    """
    groups: dict[AlertRules, dict[int, list[ScoredWindow]]] = {}
    for sensor_id, of_sensor in windows.items():
        groups.setdefault(policy.rules(keys[sensor_id], profiles.get(sensor_id)), {})[sensor_id] = of_sensor
    parts = [advance(states, group, rules) for rules, group in groups.items()]
    return AlertChanges(
        states=[state for part in parts for state in part.states],
        alerts=[alert for part in parts for alert in part.alerts],
        notifications=[notification for part in parts for notification in part.notifications],
    )
