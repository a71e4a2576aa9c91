"""Ports of the alert domain: the store of anomalies and alerts, the outbox, and the sinks.

Ends of windows are in seconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from sensorwatch.alerts.flat_runs import FlatChanges, FlatProgress
    from sensorwatch.alerts.handling import Tolerance
    from sensorwatch.alerts.message import AlertMessage
    from sensorwatch.alerts.no_data import SensorActivity
    from sensorwatch.alerts.records import (
        Alert,
        AlertChanges,
        AlertState,
        Anomaly,
        ClaimedNotification,
        PublishOutcome,
    )
    from sensorwatch.sensors.records import SensorKey

__all__ = ["AlertSink", "AlertStore", "FlatlineStore", "NoDataStore", "OutboxStore"]


class AlertStore(Protocol):
    """Anomalies and alerts of published prediction files."""

    def publish(
        self,
        anomalies: Sequence[Anomaly],
        withdrawn: Sequence[tuple[int, int]],
        sensor_ids: Collection[int],
        decide: Callable[[Mapping[int, AlertState]], AlertChanges],
    ) -> PublishOutcome:
        """Store the anomalies and alerts of a prediction file in one transaction.

        Parameters
        ----------
        anomalies
            Anomalous windows. An anomaly replaces a stored one of the same sensor and end.
        withdrawn
            (sensor_id, end) of windows that turned out to be normal; their anomalies are deleted. A window that is also
            in ``anomalies`` is anomalous.
        sensor_ids
            Sensors whose states ``decide`` needs.
        decide
            Pure function from the stored states of ``sensor_ids`` to the changes. It is called inside the transaction,
            and again if the transaction is repeated.
        """
        ...

    def mark_published(self, name: str) -> None:
        """Record that a prediction file was published; a second call changes nothing."""
        ...

    def tolerances(self, sensor_ids: Collection[int]) -> dict[int, list[Tolerance]]:
        """Return the tolerances of these sensors by sensor id; sensors without one are left out."""
        ...


class FlatlineStore(Protocol):
    """Runs of equal windows, and their alerts."""

    def watch_flat(self, sensor_ids: Collection[int], decide: Callable[[FlatProgress], FlatChanges]) -> tuple[int, int]:
        """Apply the flatline rule to some sensors of one shard in one transaction.

        Parameters
        ----------
        sensor_ids
            Sensors of one shard.
        decide
            Pure function from the stored progress to the changes. It is called inside the transaction, and again if the
            transaction is repeated.

        Returns
        -------
        tuple of int
            Numbers of alerts opened and cleared.
        """
        ...


class IngestionWatchStore(Protocol):
    """Progress of ingestion, and the alerts of its stops."""

    def ingestion_progress(self, now: datetime) -> datetime:
        """Return the time (UTC) of the first call after the number of ingested readings last changed.

        ``now`` is that time if it has changed since the call before.
        """
        ...

    def fastest_sensor(self, after: int) -> tuple[int, int] | None:
        """Return usual interval and longest usual gap of the trained sensor that reports most often, in seconds.

        Sensors whose newest window ends at or before ``after`` (seconds since 1970-01-01T00:00:00Z) are left out; None
        if there is no other.
        """
        ...

    def ingestion_alerts(self) -> tuple[dict[str, Alert], int]:
        """Return the open alerts of kind ``ingestion-stopped`` by id, and the end of the newest cleared one or 0."""
        ...

    def newest_window(self) -> datetime | None:
        """Return the end (UTC) of the newest window of all sensors, None if there is none."""
        ...

    def sensor_ids(self, keys: Collection[SensorKey]) -> dict[SensorKey, int]:
        """As :meth:`sensorwatch.ingestion.ports.IngestStore.sensor_ids`."""
        ...

    def settle_alerts(
        self, alert_ids: Collection[str], decide: Callable[[Mapping[str, Alert]], AlertChanges]
    ) -> tuple[int, int]:
        """As :meth:`NoDataStore.settle_alerts`."""
        ...


class NoDataStore(Protocol):
    """Sensors without data, and their alerts."""

    def sensors_without_data(
        self, now: int, intervals: float, floor_seconds: int, retired_seconds: int
    ) -> list[SensorActivity]:
        """Return trained sensors whose newest window is too old, ordered by id.

        Parameters
        ----------
        now
            Current time in seconds since 1970-01-01T00:00:00Z.
        intervals
            The newest window must be older than this number of the sensor's usual intervals.
        floor_seconds
            And older than this, in seconds.
        retired_seconds
            Sensors whose newest window is older than this are left out.
        """
        ...

    def open_no_data_alerts(self) -> tuple[dict[str, Alert], dict[int, SensorActivity]]:
        """Return the open alerts of kind ``no-data`` by id, and the current state of their sensors by sensor id."""
        ...

    def settle_alerts(
        self, alert_ids: Collection[str], decide: Callable[[Mapping[str, Alert]], AlertChanges]
    ) -> tuple[int, int]:
        """Open and clear alerts in one transaction.

        Parameters
        ----------
        alert_ids
            Alerts that ``decide`` needs; unknown ids are ignored.
        decide
            Pure function from the stored alerts, by id, to the changes. It is called inside the transaction, and again
            if the transaction is repeated.

        Returns
        -------
        tuple of int
            Numbers of alerts opened and cleared.
        """
        ...


class OutboxStore(Protocol):
    """Queues of notifications, one for each sink."""

    def hand_out(self, sinks: Collection[str], now: datetime) -> int:
        """Queue each new notification for these sinks; return the number of new notifications.

        A notification is queued once, for the sinks that exist at that time, and keeps its position in their queues.
        """
        ...

    def sinks_with_work(self, sinks: Collection[str], now: datetime) -> list[str]:
        """Return those of ``sinks``, in the given order, that have a notification due and are not in a retry pause."""
        ...

    def claim(self, sink: str, now: datetime, *, limit: int, lease_seconds: float) -> list[ClaimedNotification]:
        """Claim due notifications, oldest first; no other process gets them until the lease expires.

        Of each subject, only the oldest waiting notification is claimed, so that a sink receives them in order. A
        failing sink gets one at a time, and none during its retry pause.

        Parameters
        ----------
        sink
            Name of the sink.
        now
            Current time.
        limit
            Largest number of notifications to claim.
        lease_seconds
            Duration of the lease.
        """
        ...

    def settle(self, sink: str, claimed: ClaimedNotification, now: datetime) -> int:
        """Record a delivery; return the number of failed attempts of the sink in a row before it.

        Parameters
        ----------
        sink
            Name of the sink.
        claimed
            The notification.
        now
            Current time.
        """
        ...

    def postpone(
        self,
        sink: str,
        claimed: ClaimedNotification,
        error: str,
        now: datetime,
        pause: Callable[[int], timedelta],
    ) -> int:
        """Record a failed attempt; return the number of failed attempts of the sink in a row.

        Parameters
        ----------
        sink
            Name of the sink.
        claimed
            The notification.
        error
            Message of the failure.
        now
            Current time.
        pause
            Returns the pause after a number of failed attempts (at least 1).
        """
        ...

    def release(self, sink: str, claimed: Collection[ClaimedNotification]) -> None:
        """Return claimed notifications that were not attempted to the queue."""
        ...

    def give_up(self, before: datetime, now: datetime) -> list[tuple[str, str]]:
        """Drop deliveries that were queued before ``before``; return (sink, notification key) of each."""
        ...


class AlertSink(Protocol):
    """A receiver of alert messages. Delivery is at least once, so receivers deduplicate by the message's key."""

    @property
    def name(self) -> str:
        """Name of the sink in the outbox."""
        ...

    @property
    def waits(self) -> bool:
        """True if sending may block, for example on a network; such sinks are called from several threads."""
        ...

    def send(self, message: AlertMessage) -> None:
        """Deliver one message and return when the receiver has accepted it.

        Raises
        ------
        SensorwatchError
            The receiver did not accept the message.
        """
        ...

    def close(self) -> None:
        """Close open connections; the next :meth:`send` opens them again."""
        ...
