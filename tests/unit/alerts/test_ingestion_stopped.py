"""Absence judged against progress: stops of ingestion, backlogs and replays, over a real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sensorwatch.alerts.ingestion_stopped import INGESTION_KEY, watch_ingestion
from sensorwatch.alerts.no_data import watch_no_data
from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.config.file import parse_configuration
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import ReportingProfile, SensorKey
from sensorwatch.store import SqlStore, open_store

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
T0 = int(NOW.timestamp())
HUB = Partition("readings", "$Default", "0")
KEYS = [SensorKey(f"press-{i}", "flow") for i in range(3)]
LIMIT = 300


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    store = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=10, clock=lambda: NOW)
    store.sensor_ids(KEYS)
    store.record_reporting_profiles([ReportingProfile(i, 5, None, 5) for i in range(3)])
    yield store
    store.dispose()


@pytest.fixture
def ingest(store: SqlStore) -> Callable[..., None]:
    """Store a window that ends so many seconds after NOW, of each of these sensors."""

    def taken(end: int, *sensor_ids: int) -> None:
        before = store.offset_checkpoint(HUB)
        after = OffsetCheckpoint(0 if before is None else before.sequence_number + 1, NOW)
        windows = [Window(sensor_id, T0 + end, 1, 1.0, 1.0, 1.0, 1.0) for sensor_id in sensor_ids]
        store.commit_ingest(HUB, before, after, windows, IngestCounts(len(windows), len(windows), 0, 0, 0))

    return taken


def sweep(store: SqlStore, seconds: int, text: str = "") -> dict[str, int]:
    """Watch at so many seconds after NOW; return the open alerts by kind."""
    configuration = parse_configuration(text, "f")
    policy = AlertPolicy(AlertDefaults(AlertRules(3, 5, 300)), configuration.alerts, configuration.downtimes)
    now = NOW + timedelta(seconds=seconds)
    progress = watch_ingestion(store=store, policy=policy, now=now).progress
    watch_no_data(store=store, policy=policy, now=now, progress=progress)
    kinds = [alert.kind for alert in store.alerts(open_only=True)]
    return {kind: kinds.count(kind) for kind in kinds}


def test_a_total_stop_is_one_alert_that_ends_when_readings_arrive(store: SqlStore, ingest: Callable[..., None]) -> None:
    ingest(0, 0, 1, 2)
    assert sweep(store, 0) == {}
    assert sweep(store, LIMIT) == {}
    assert sweep(store, LIMIT + 60) == {"ingestion-stopped": 1}
    assert sweep(store, 3600) == {"ingestion-stopped": 1}
    ingest(3605, 0, 1, 2)
    assert sweep(store, 3610) == {}
    (alert,) = store.alerts()
    assert (alert.severity, alert.opened_end, alert.cleared_end) == ("critical", T0 + LIMIT, T0 + 3610)
    assert store.sensors_by_id([alert.sensor_id])[alert.sensor_id].key == INGESTION_KEY


def test_one_sensor_without_data_among_others_is_an_alert_of_its_own(
    store: SqlStore, ingest: Callable[..., None]
) -> None:
    for seconds in range(0, 600, 60):
        ingest(seconds, *((0, 1, 2) if seconds == 0 else (0, 1)))
        found = sweep(store, seconds)
        assert found == ({"no-data": 1} if seconds > LIMIT else {}), seconds


def test_a_backlog_in_order_after_an_outage_opens_nothing(store: SqlStore, ingest: Callable[..., None]) -> None:
    ingest(0, 0, 1, 2)
    assert sweep(store, 0) == {}
    # Nothing for 40 minutes, in which nobody looks; then the backlog in pieces, a device after the other.
    for piece in range(20):
        for sensor_id in range(3):
            ingest(120 * (piece + 1), sensor_id)
        assert sweep(store, 2400 + 10 * piece) == {}, piece
    assert store.alerts() == []


def test_after_a_stop_every_sensor_has_its_usual_time_to_come_back(
    store: SqlStore, ingest: Callable[..., None]
) -> None:
    ingest(0, 0, 1, 2)
    sweep(store, 0)
    assert sweep(store, 600) == {"ingestion-stopped": 1}
    ingest(1200, 0, 1)
    assert sweep(store, 1200) == {}
    for seconds in range(1260, 1200 + LIMIT + 1, 60):
        ingest(seconds, 0, 1)
        assert sweep(store, seconds) == {}, seconds
    ingest(1260 + LIMIT, 0, 1)
    assert sweep(store, 1260 + LIMIT) == {"no-data": 1}


def test_a_replayed_recording_with_gaps_opens_nothing(store: SqlStore, ingest: Callable[..., None]) -> None:
    # Yesterday's data, in which one sensor has a gap of hours and another one ends early.
    for step, end in enumerate(range(-86_400, -43_200, 3600)):
        sensors = [0, *([1] if end < -72_000 else []), *([2] if not -80_000 < end < -60_000 else [])]
        ingest(end, *sensors)
        assert sweep(store, step) == {}
    assert sweep(store, 60) == {}


def test_a_fleet_of_slow_sensors_may_be_quiet_for_long(store: SqlStore, ingest: Callable[..., None]) -> None:
    store.record_reporting_profiles([ReportingProfile(i, 3600, None, 3700) for i in range(3)])
    ingest(0, 0, 1, 2)
    sweep(store, 0)
    assert sweep(store, 36_000) == {}
    assert sweep(store, 36_060) == {"ingestion-stopped": 1}


def test_switching_no_data_off_switches_the_alert_of_a_stop_off(store: SqlStore, ingest: Callable[..., None]) -> None:
    off = "alerts: {rules: [{no_data: false}]}"
    ingest(0, 0, 1, 2)
    sweep(store, 0, off)
    assert sweep(store, 3600, off) == {}


def test_watching_twice_and_from_two_places_opens_one_alert(
    store: SqlStore, ingest: Callable[..., None], tmp_path: Path
) -> None:
    ingest(0, 0, 1, 2)
    sweep(store, 0)
    other = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=10, clock=lambda: NOW)
    for each in (store, other, store):
        assert sweep(each, 900) == {"ingestion-stopped": 1}
    other.dispose()
    assert len(store.alerts()) == 1
    assert len([one for one in store.pending_notifications() if one.event == "opened"]) == 1
