"""Alerts of a database from before people could handle them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from sensorwatch.alerts.handling import AlertAction, HandledAlert
from sensorwatch.alerts.records import Alert
from sensorwatch.store import migrate, open_store
from sensorwatch.store.connection.engine import open_engine

FIRST_ROWS = """\
INSERT INTO Sensors (SensorId, Shard, Device, Tag, DeviceLength, TagLength, FirstSeen) VALUES (0, 0, 'd', 't', 1, 1, 0);
INSERT INTO Alerts (AlertId, SensorId, OpenedEnd, LastAnomalyEnd, Anomalies, PeakScore, Severity)
    VALUES ('0-10', 0, 10, 40, 4, 90.0, 'high');
INSERT INTO AlertStates (SensorId, LastEnd, RecentScores, AlertId) VALUES (0, 40, '[90.0]', '0-10');
INSERT INTO Anomalies (SensorId, TS, Value, Score, Severity, ModelVersion) VALUES (0, 10, 1.5, 90.0, 'high', 'v1')"""


def test_an_older_database_keeps_its_alerts_and_they_can_be_handled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    engine = open_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for row in FIRST_ROWS.split(";"):
            connection.execute(sa.text(row))
    engine.dispose()
    store = open_store(url, shard_size=10)
    try:
        alert = Alert("0-10", 0, 10, 40, None, 4, 90.0, "high")
        assert store.alert("0-10") == HandledAlert(alert)
        assert [(found.end, found.suppressed, found.training_end) for found in store.anomalies()] == [(10, "", None)]
        assert store.act("0-10", AlertAction("resolve", "anna")).alert.cleared_end == 40
        assert [notification.key for notification in store.pending_notifications()] == ["0-10:cleared"]
    finally:
        store.dispose()
