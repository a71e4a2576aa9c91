"""A process that stores alerts and delivers their notifications to one webhook; tests kill it.

Arguments: database file, webhook URL, how many sensors have an alert (0: only deliver), hours that its clock is ahead.
It says ``committed`` when the alerts are stored, goes on at a line of input, and says ``delivered`` at its end.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from functools import partial

from sensorwatch.alerts.deliver import DeliveryRules, Outbox
from sensorwatch.alerts.records import Alert, AlertChanges, Notification
from sensorwatch.alerts.sinks import sinks
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings import load_settings
from sensorwatch.store import SqlStore, open_store

END = 1_795_169_700


def store_alerts(store: SqlStore, count: int) -> None:
    """Store an alert that opens and one that clears for each sensor, each with its notification in one transaction."""
    store.sensor_ids([SensorKey(f"press-{number}", "flow") for number in range(count)])
    for cleared_end in (None, END + 300):
        for number in range(count):
            alert = Alert(f"{number}-{END}", number, END, END, cleared_end, 3, 90.0, "high")
            opened = cleared_end is None
            key = f"{alert.alert_id}:{'opened' if opened else 'cleared'}"
            changes = AlertChanges([], [alert], [Notification(key, "opened" if opened else "cleared", alert)])
            store.publish([], [], [], partial(_always, changes))


def _always(changes: AlertChanges, _: object) -> AlertChanges:
    return changes


def main() -> None:
    database, url, sensors, hours = sys.argv[1:]
    ahead = timedelta(hours=float(hours))
    settings = load_settings({"DATABASE_URL": f"sqlite:///{database}", "WEBHOOKS": f"ops={url}"})

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    store = open_store(settings.database_url.get_secret_value(), shard_size=1000, clock=clock)
    if int(sensors):
        store_alerts(store, int(sensors))
        print("committed", flush=True)
        sys.stdin.readline()
    Outbox(store, sinks(settings, clock), clock, DeliveryRules.from_settings(settings)).deliver()
    print("delivered", flush=True)


if __name__ == "__main__":
    main()
