"""Alerts of a backtest depend on how often a sensor reports, as those of the product do."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.publish import publish
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.backtest.in_memory import InMemoryAlerts
from sensorwatch.sensors.records import ReportingProfile
from sensorwatch.tasks.prediction_schema import ANOMALOUS, prediction_schema

EVERY_HOUR = ReportingProfile(0, 3600, None, 3600)


@pytest.mark.parametrize(("profiles", "alerts"), [({0: EVERY_HOUR}, 1), ({}, 0)])
def test_windows_of_a_slow_sensor_count_together(profiles: dict[int, ReportingProfile], alerts: int) -> None:
    anomaly = {
        "sensor_id": 0,
        "device": "tank",
        "tag": "level",
        "value": 9.0,
        "prediction": ANOMALOUS,
        "score": 90.0,
        "severity": "high",
        "expected_low": 0.0,
        "expected_high": 5.0,
        "model_version": "v1",
        "rescored": False,
    }
    rows = [{**anomaly, "ts": 3600 * hour} for hour in range(1, 4)]
    kept = InMemoryAlerts(profiles)
    policy = AlertPolicy(AlertDefaults(AlertRules(3, 5, 300)))
    publish("file", pa.Table.from_pylist(rows, prediction_schema()), store=kept, policy=policy)
    assert len(kept.alerts) == alerts
