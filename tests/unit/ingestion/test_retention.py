"""Old windows go, the others stay, and nothing that is needed can be asked to go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fakes.ingestion import FakeDeadLetters

from sensorwatch.errors import SettingsError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ticks_of
from sensorwatch.ingestion.import_readings import import_readings
from sensorwatch.ingestion.ingest import IngestRules
from sensorwatch.ingestion.records import Reading
from sensorwatch.ingestion.retention import delete_old_windows
from sensorwatch.settings import load_settings
from sensorwatch.store import open_store
from sensorwatch.store.sql_store import SqlStore

NOW = datetime(2026, 3, 10, tzinfo=UTC)
OLDEST = NOW - timedelta(days=3)


def store_with(hours: int, *, sensors: int = 3) -> SqlStore:
    """Return a store with a window every half hour of each sensor, two sensors in a shard."""
    store = open_store("sqlite:///:memory:", shard_size=2)
    start = ticks_of(OLDEST)
    rows = [
        Reading(str(sensor), "t", start + 1800 * TICKS_PER_SECOND * i, float(i))
        for i in range(1, hours * 2 + 1)
        for sensor in range(sensors)
    ]
    letters = FakeDeadLetters()
    import_readings("test", rows, store=store, dead_letters=letters, rules=IngestRules())
    assert letters.reasons() == []
    return store


def test_windows_beyond_the_retention_go_and_the_others_stay() -> None:
    store = store_with(72)
    assert delete_old_windows(store=store, clock=lambda: NOW, retention_days=1) == 48 * 2 * 3
    assert store.window_count() == 24 * 2 * 3
    kept = store.read_windows(0, None, NOW)
    assert int(min(kept.end)) == int((NOW - timedelta(days=1)).timestamp()) + 1800
    store.dispose()


def test_done_again_there_is_nothing_left_to_delete() -> None:
    store = store_with(72)
    delete_old_windows(store=store, clock=lambda: NOW, retention_days=2)
    assert delete_old_windows(store=store, clock=lambda: NOW, retention_days=2) == 0
    store.dispose()


def test_without_the_setting_everything_is_kept() -> None:
    store = store_with(4)
    assert delete_old_windows(store=store, clock=lambda: NOW + timedelta(days=999), retention_days=None) == 0
    assert store.window_count() == 4 * 2 * 3
    store.dispose()


def test_a_retention_shorter_than_the_training_is_refused() -> None:
    values = {
        "DATABASE_URL": "sqlite:///:memory:",
        "TRAINING_SECONDS": str(3 * 86_400),
        "WINDOW_RETENTION_DAYS": "2",
    }
    with pytest.raises(SettingsError, match=r"WINDOW_RETENTION_DAYS \(2\) must not be shorter than TRAINING_SECONDS"):
        load_settings(values)
