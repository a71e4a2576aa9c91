"""Rules, downtime and missing data on a running stack, from the file beside its settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import StackFactory
from flow_steps import END, fire_and_wait, send, wait_until_ingested
from local_stack import wait_until

from sensorwatch.ingestion.decode import TICKS_PER_SECOND
from sensorwatch.ingestion.records import Reading
from sensorwatch.simulation.anomalies import InjectedAnomaly
from sensorwatch.simulation.fleet import Fleet, device_names, tag_names

pytestmark = pytest.mark.flow

FLEET = Fleet(device_names(2), tag_names(1), seed=3)
FRESH = timedelta(minutes=10)
FAULTS = [
    InjectedAnomaly(device, FLEET.sensors[0].tag, "level-shift", END - timedelta(minutes=8), END - timedelta(minutes=6))
    for device in device_names(2)
]
RULES = f"""
alerts:
  rules:
    - device: {device_names(2)[1]}
      no_data: false
maintenance:
  - device: {device_names(2)[0]}
    from: {(END - timedelta(minutes=9)).isoformat()}
    to: {(END - timedelta(minutes=5)).isoformat()}
    why: new bearing
"""


def test_downtime_and_rules_hold_alerts_back_and_missing_data_raises_them(
    make_stack: StackFactory, tmp_path: Path
) -> None:
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "sensorwatch.yaml").write_text(RULES)
    # A detector that looks back would still see the fault after the downtime.
    stack = make_stack(NO_DATA_FLOOR_SECONDS="60", DETECTOR="ocsvm")
    store = stack.product.store
    sent = send(stack, FLEET.readings(END - timedelta(minutes=30), END - FRESH), readings_per_event=20)
    wait_until_ingested(stack, sent)
    assert fire_and_wait(stack, "train").tasks["succeeded"] == 1
    sent += send(stack, FLEET.readings(END - FRESH, END, FAULTS), readings_per_event=20)
    wait_until_ingested(stack, sent)
    fire_and_wait(stack, "score")

    device = {sensor.sensor_id: sensor.key.device for sensor in store.sensors()}
    serviced, other = device_names(2)
    held_back = store.anomalies(limit=1000, suppressed=True)
    assert {(device[each.sensor_id], each.suppressed) for each in held_back} == {(serviced, "maintenance: new bearing")}
    from_anomalies = [alert for alert in store.alerts() if alert.kind == "anomaly"]
    assert {device[alert.sensor_id] for alert in from_anomalies} == {other}

    def without_data() -> set[str]:
        return {device[alert.sensor_id] for alert in store.alerts(open_only=True) if alert.kind == "no-data"}

    def report(*devices: str) -> None:
        now = int(datetime.now(UTC).timestamp()) * TICKS_PER_SECOND
        send(stack, [Reading(each.device, each.tag, now, 20.0) for each in FLEET.sensors if each.device in devices])

    def alerted_while_another_reports() -> bool:
        # Without any reading, stopped ingestion would be the alert.
        report(other)
        return without_data() == {serviced}

    wait_until(alerted_while_another_reports, "the alert of the sensor without data", limit_seconds=240)
    report(serviced, other)
    wait_until(lambda: not without_data(), "the alert to clear")
    assert {device[alert.sensor_id] for alert in store.alerts() if alert.kind == "no-data"} == {serviced}
