"""Anomalies, alerts, and telling the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from sensorwatch.alerts.flat_runs import FlatChanges, FlatProgress
    from sensorwatch.alerts.handling import (
        AlertAction,
        AlertFilter,
        HandledAlert,
        HistoryEntry,
        Label,
        Silence,
        Tolerance,
    )
    from sensorwatch.alerts.message import AlertMessage
    from sensorwatch.alerts.no_data import SensorActivity
    from sensorwatch.alerts.records import (
        Alert,
        AlertChanges,
        AlertState,
        Anomaly,
        ClaimedNotification,
        Incident,
        Notification,
        PublishOutcome,
        SinkStatus,
    )
    from sensorwatch.sensors.records import ReportingProfile

__all__ = [
    "AlertSink",
    "AlertStore",
    "LifecycleStore",
    "OutboxStore",
    "WatchStore",
]


class AlertStore(Protocol):
    """Anomalies, alerts and the outbox."""

    def publish(
        self,
        anomalies: Sequence[Anomaly],
        withdrawn: Sequence[tuple[int, int]],
        sensor_ids: Collection[int],
        decide: Callable[[Mapping[int, AlertState]], AlertChanges],
    ) -> PublishOutcome:
        """Store a prediction file's consequences in one transaction.

        Parameters
        ----------
        anomalies
            Anomalous windows, stored by (sensor_id, end): one stored before is overwritten, not added.
        withdrawn
            (sensor_id, end) of windows scored again as normal: their anomaly, if any, is removed.
        sensor_ids
            Sensors whose states ``decide`` needs.
        decide
            Called inside the transaction with the stored states of ``sensor_ids`` (those that have one); pure, and
            called again when the transaction has to be repeated.
        """
        ...

    def unpublished(self, names: Collection[str]) -> list[str]:
        """Return those of these prediction files that were not noted as published, in the given order."""
        ...

    def mark_published(self, name: str) -> None:
        """Note that a prediction file's consequences are stored."""
        ...

    def anomalies(
        self, sensor_id: int | None = None, limit: int = 100, *, suppressed: bool | None = None
    ) -> list[Anomaly]:
        """Return the newest anomalies first: those suppressed, those that are not, or (None) both."""
        ...

    def alerts(self, *, open_only: bool = False, limit: int = 100) -> list[Alert]:
        """Return the alerts opened last first."""
        ...

    def pending_notifications(self, limit: int = 100) -> list[Notification]:
        """Return notifications that some sink has still to get, oldest first."""
        ...


class OutboxStore(Protocol):
    """What has still to be delivered to which sink; written by whoever delivers."""

    def hand_out(self, sinks: Collection[str], now: datetime) -> int:
        """Note for each new notification that these sinks have to get it; return how many were new.

        Each is handed out once, to the sinks of that moment, and its place in each sink's queue is fixed with that.
        """
        ...

    def sinks_with_work(self, sinks: Collection[str], now: datetime) -> list[str]:
        """Return those of these sinks, in this order, that are not left alone and have something to try now."""
        ...

    def claim(self, sink: str, now: datetime, *, limit: int, lease_seconds: float) -> list[ClaimedNotification]:
        """Claim notifications to be tried now, oldest first; nobody else gets them until the lease is over.

        Of each subject only the oldest that waits, so that a sink gets them in order. A sink that is failing gets one
        at a time, and none while it is left alone.
        """
        ...

    def settle(self, sink: str, claimed: ClaimedNotification, now: datetime) -> int:
        """Note a delivery; return how many tries of the sink had failed in a row before it."""
        ...

    def postpone(
        self,
        sink: str,
        claimed: ClaimedNotification,
        error: str,
        now: datetime,
        pause: Callable[[int], timedelta],
    ) -> int:
        """Note a failed try; return how many tries of the sink have failed in a row now.

        Parameters
        ----------
        pause
            How long to wait after so many failed tries, at least 1.
        """
        ...

    def release(self, sink: str, claimed: Collection[ClaimedNotification]) -> None:
        """Give back what was claimed and not tried."""
        ...

    def give_up(self, before: datetime, now: datetime) -> list[tuple[str, str]]:
        """Stop trying what was handed out before then; return (sink, key) of each."""
        ...

    def sink_status(self) -> list[SinkStatus]:
        """Return every sink that was ever handed a notification, ordered by name."""
        ...


class LifecycleStore(Protocol):
    """What people do with alerts."""

    def act(self, alert_id: str, action: AlertAction) -> HandledAlert:
        """Do an action with an alert, with all that follows from it, in one transaction; return how it stands then.

        Raises
        ------
        NotFoundError
            No such alert.
        ConflictError, InvalidInputError
            As :func:`sensorwatch.alerts.actions.apply`.
        """
        ...

    def alert(self, alert_id: str) -> HandledAlert:
        """Return an alert with what people did; raises NotFoundError."""
        ...

    def alert_history(self, alert_id: str) -> list[HistoryEntry]:
        """Return what happened to an alert, oldest first; empty for an unknown one."""
        ...

    def handled_alerts(self, wanted: AlertFilter, limit: int = 100) -> list[HandledAlert]:
        """Return the alerts opened last first, with what people did."""
        ...

    def add_silence(self, silence: Silence) -> None:
        """Silence sensors ahead of any alert, and their open alerts; one of this id that exists stays as it is."""
        ...

    def end_silence(self, silence_id: str, actor: str) -> None:
        """End a silence before its time; what it held back is told. One that is over stays as it is.

        Raises
        ------
        NotFoundError
        """
        ...

    def silences(self, *, active_only: bool = True) -> list[Silence]:
        """Return the silences, those that end last first."""
        ...

    def release_held(self) -> int:
        """Hand what silences held back until now to the outbox; return how many notifications that were."""
        ...

    def incidents(self, *, open_only: bool = False, limit: int = 100) -> list[Incident]:
        """Return the incidents opened last first, with their highest alerts."""
        ...

    def tolerances(self, sensor_ids: Collection[int]) -> dict[int, list[Tolerance]]:
        """Return what feedback makes tolerated at these sensors; those without are left out."""
        ...

    def labels(self) -> list[Label]:
        """Return every episode that a person has judged, oldest first."""
        ...


class WatchStore(Protocol):
    """What is watched beside anomalies; times are in seconds since 1970-01-01T00:00:00Z."""

    def record_reporting_profiles(self, profiles: Sequence[ReportingProfile]) -> None:
        """Store how these sensors usually report, in place of what was known."""
        ...

    def reporting_profiles(self, sensor_ids: Collection[int]) -> dict[int, ReportingProfile]:
        """Return how these sensors usually report; those not trained yet are left out."""
        ...

    def anomalies_between(self, start: datetime, end: datetime) -> list[Anomaly]:
        """Return the anomalies with ``start < end of the window <= end``, suppressed ones too, by sensor and end."""
        ...

    def sensors_without_data(
        self, now: int, intervals: float, floor_seconds: int, retired_seconds: int
    ) -> list[SensorActivity]:
        """Return the sensors whose newest window is older than ``floor_seconds`` and so many of its usual intervals.

        Ordered by id; those without windows, not trained yet, or older than ``retired_seconds`` are left out.
        """
        ...

    def open_no_data_alerts(self) -> tuple[dict[str, Alert], dict[int, SensorActivity]]:
        """Return the open alerts of kind no-data by id, and their sensors as they are now."""
        ...

    def settle_alerts(
        self, alert_ids: Collection[str], decide: Callable[[Mapping[str, Alert]], AlertChanges]
    ) -> tuple[int, int]:
        """Store what ``decide`` makes of these alerts as they are, in one transaction.

        ``decide`` gets those that exist; it is pure, and called again when the transaction has to be repeated. Returns
        how many alerts opened and how many cleared.
        """
        ...

    def watch_flat(self, sensor_ids: Collection[int], decide: Callable[[FlatProgress], FlatChanges]) -> tuple[int, int]:
        """Store what ``decide`` makes of what is known of these sensors of one shard, in one transaction.

        Returns how many alerts opened and how many cleared.
        """
        ...


class AlertSink(Protocol):
    """One way to tell the outside; delivered at least once, so receivers go by the message's key.

    ``name`` is what the outbox knows the sink by, ``waits`` whether sending may have to wait for somebody else: such
    sinks are called in threads of their own, and by several at once.
    """

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def waits(self) -> bool:
        """Whether sending may take long."""
        ...

    def send(self, message: AlertMessage) -> None:
        """Deliver one message; returns when the other side has it, and raises a SensorwatchError when it has not."""
        ...

    def close(self) -> None:
        """Close what is open; sending opens it again."""
        ...
