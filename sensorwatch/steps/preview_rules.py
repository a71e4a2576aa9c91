"""What other rules would have alerted of; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sensorwatch.alerting.preview import preview
from sensorwatch.ports import SensorStore, WatchStore

if TYPE_CHECKING:
    from datetime import datetime

    from sensorwatch.alerting.policy import AlertPolicy
    from sensorwatch.alerting.preview import SensorPreview

__all__ = ["PreviewStore", "preview_rules"]


class PreviewStore(SensorStore, WatchStore, Protocol):
    """What a preview needs of the store."""


def preview_rules(
    *, store: PreviewStore, in_force: AlertPolicy, proposed: AlertPolicy, start: datetime, end: datetime
) -> list[SensorPreview]:
    """Return what two policies make of the stored anomalies with ``start < end of the window <= end``.

    They suffice: rules only ever hold back anomalous windows, and suppressed ones are stored too. Times are in UTC.
    """
    anomalies = store.anomalies_between(start, end)
    ids = {anomaly.sensor_id for anomaly in anomalies}
    keys = {sensor_id: status.key for sensor_id, status in store.sensors_by_id(ids).items()}
    intervals = {sensor_id: rhythm.interval_seconds for sensor_id, rhythm in store.rhythms(ids).items()}
    return preview(anomalies, keys, intervals, in_force, proposed)
