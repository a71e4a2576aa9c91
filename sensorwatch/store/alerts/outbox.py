"""The outbox: queues of notifications for each sink, and the health of the sinks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import sqlalchemy as sa

from sensorwatch.alerts.message import subject_of
from sensorwatch.alerts.records import FAILING_AFTER, ClaimedNotification, SinkStatus
from sensorwatch.store.alerts.rows import notification_of, notification_row
from sensorwatch.store.connection.database import StorePart, take_lock
from sensorwatch.store.connection.types import UtcTime
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.tables import deliveries, held_notifications, notification_sinks, notifications

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime
    from typing import Any

    from sensorwatch.alerts.records import Notification
    from sensorwatch.store.dialects import Dialect

__all__ = ["OutboxPart", "drop_held", "enqueue", "hold", "hold_until", "release_due", "standing"]

_LOCK = "outbox"
_PAGE = 500
_KEPT_ERROR = 1000


class OutboxPart(StorePart):
    """Implements :class:`~sensorwatch.alerts.ports.OutboxStore`.

    Every change of a queue holds the lock of the outbox, so that two hosts never claim the same notification.
    """

    def hand_out(self, sinks: Collection[str], now: datetime) -> int:
        """Queue each new notification for these sinks; return the number of new notifications."""
        new = _new_notifications().limit(1)
        if not self._database.read(lambda connection: connection.execute(new).all()):
            return 0
        total = 0
        while True:
            count = self._database.write(lambda connection: self._hand_out_page(connection, sinks, now))
            total += count
            if count < _PAGE:
                return total

    def _hand_out_page(self, connection: sa.Connection, sinks: Collection[str], now: datetime) -> int:
        take_lock(connection, _LOCK)
        found = [notification_of(row) for row in connection.execute(_new_notifications().limit(_PAGE))]
        dialect = self._database.dialect
        dialect.upsert(connection, notification_sinks, [_sink_row(sink, now) for sink in sinks], overwrite=False)
        # Positions only have to grow among waiting deliveries, which have an index.
        last = connection.execute(
            sa.select(sa.func.coalesce(sa.func.max(deliveries.c.Position), 0)).where(deliveries.c.SettledAt.is_(None))
        ).scalar_one()
        rows = [
            _delivery_row(sink, notification, position, now)
            for position, notification in enumerate(found, last + 1)
            for sink in sinks
        ]
        dialect.upsert(connection, deliveries, rows, overwrite=False)
        handed_out = [{"NotificationKey": notification.key, "HandedOutAt": now} for notification in found]
        dialect.update(connection, notifications, ["NotificationKey"], handed_out)
        return len(found)

    def sinks_with_work(self, sinks: Collection[str], now: datetime) -> list[str]:
        """Return those of ``sinks``, in the given order, that have a notification due and are not in a retry pause."""
        sink = notification_sinks.c
        query = (
            sa.select(deliveries.c.Sink)
            .join_from(deliveries, notification_sinks, sink.Sink == deliveries.c.Sink)
            .where(*_due(now), sa.or_(sink.RetryAt.is_(None), sink.RetryAt <= now))
            .distinct()
        )
        found = self._database.read(lambda connection: {row[0] for row in connection.execute(query)})
        return [name for name in sinks if name in found]

    def claim(self, sink: str, now: datetime, *, limit: int, lease_seconds: float) -> list[ClaimedNotification]:
        """Claim due notifications, oldest first; see :meth:`~sensorwatch.alerts.ports.OutboxStore.claim`."""
        lease = uuid4().hex
        until = _after(now, lease_seconds)

        def work(connection: sa.Connection) -> list[ClaimedNotification]:
            take_lock(connection, _LOCK)
            state = connection.execute(
                sa.select(notification_sinks.c.Failures, notification_sinks.c.RetryAt).where(
                    notification_sinks.c.Sink == sink
                )
            ).one_or_none()
            if state is None or (state.RetryAt is not None and state.RetryAt > now):
                return []
            query = _heads(sink, now).limit(1 if state.Failures >= FAILING_AFTER else limit)
            found = [
                ClaimedNotification(notification_of(row), row.Attempts, lease)
                for row in connection.execute(query).all()
            ]
            rows = [
                {
                    "Sink": sink,
                    "NotificationKey": claimed.notification.key,
                    "Lease": lease,
                    "LeasedUntil": until,
                }
                for claimed in found
            ]
            self._database.dialect.update(connection, deliveries, ["Sink", "NotificationKey"], rows)
            return found

        return self._database.write(work)

    def settle(self, sink: str, claimed: ClaimedNotification, now: datetime) -> int:
        """Record a delivery; see :meth:`~sensorwatch.alerts.ports.OutboxStore.settle`.

        It counts even if the lease has expired, because the receiver has the message.
        """

        def work(connection: sa.Connection) -> int:
            take_lock(connection, _LOCK)
            key = claimed.notification.key
            connection.execute(
                deliveries.update()
                .where(
                    deliveries.c.Sink == sink,
                    deliveries.c.NotificationKey == key,
                    deliveries.c.DeliveredAt.is_(None),
                )
                .values(
                    DeliveredAt=now, SettledAt=now, Attempts=deliveries.c.Attempts + 1, Lease=None, LeasedUntil=None
                )
            )
            self._complete(connection, [key], now)
            failures = _failures(connection, sink)
            if failures >= FAILING_AFTER:
                # The sink works again, so its waiting notifications are due now.
                connection.execute(
                    deliveries.update()
                    .where(deliveries.c.Sink == sink, deliveries.c.SettledAt.is_(None), deliveries.c.NextAttempt > now)
                    .values(NextAttempt=now)
                )
            connection.execute(
                notification_sinks.update()
                .where(notification_sinks.c.Sink == sink)
                .values(Failures=0, FailingSince=None, RetryAt=None, LastDeliveryAt=now)
            )
            return failures

        return self._database.write(work)

    def postpone(
        self,
        sink: str,
        claimed: ClaimedNotification,
        error: str,
        now: datetime,
        pause: Callable[[int], timedelta],
    ) -> int:
        """Record a failed attempt; see :meth:`~sensorwatch.alerts.ports.OutboxStore.postpone`."""

        def work(connection: sa.Connection) -> int:
            take_lock(connection, _LOCK)
            attempts = claimed.attempts + 1
            connection.execute(
                _own(sink, claimed).values(
                    Attempts=attempts,
                    NextAttempt=now + pause(attempts),
                    LastError=error[:_KEPT_ERROR],
                    Lease=None,
                    LeasedUntil=None,
                )
            )
            failures = _failures(connection, sink) + 1
            connection.execute(
                notification_sinks.update()
                .where(notification_sinks.c.Sink == sink)
                .values(
                    Failures=failures,
                    FailingSince=sa.func.coalesce(notification_sinks.c.FailingSince, sa.literal(now, UtcTime)),
                    RetryAt=None if failures < FAILING_AFTER else now + pause(failures - FAILING_AFTER + 1),
                    LastError=error[:_KEPT_ERROR],
                )
            )
            return failures

        return self._database.write(work)

    def release(self, sink: str, claimed: Collection[ClaimedNotification]) -> None:
        """Return claimed notifications that were not attempted to the queue."""

        def work(connection: sa.Connection) -> None:
            take_lock(connection, _LOCK)
            for one in claimed:
                connection.execute(_own(sink, one).values(Lease=None, LeasedUntil=None))

        if claimed:
            self._database.write(work)

    def give_up(self, before: datetime, now: datetime) -> list[tuple[str, str]]:
        """Drop deliveries that were queued before ``before``; return (sink, notification key) of each, ordered."""
        delivery = deliveries.c
        old = (
            sa.select(delivery.Sink, delivery.NotificationKey)
            .where(delivery.SettledAt.is_(None), delivery.HandedOutAt < before, _free(now))
            .order_by(delivery.Sink, delivery.Position)
        )
        if not self._database.read(lambda connection: connection.execute(old.limit(1)).all()):
            return []

        def work(connection: sa.Connection) -> list[tuple[str, str]]:
            take_lock(connection, _LOCK)
            found = [(row.Sink, row.NotificationKey) for row in connection.execute(old).all()]
            rows = [{"Sink": sink, "NotificationKey": key, "SettledAt": now} for sink, key in found]
            self._database.dialect.update(connection, deliveries, ["Sink", "NotificationKey"], rows)
            self._complete(connection, {key for _, key in found}, now)
            return found

        return self._database.write(work)

    def _complete(self, connection: sa.Connection, keys: Collection[str], now: datetime) -> None:
        """Mark notifications as delivered if all their deliveries are settled."""
        given = value_rows(self._database.dialect, notifications.c.NotificationKey, keys)
        waiting = sa.exists(
            sa.select(sa.literal_column("1"))
            .select_from(deliveries)
            .where(
                deliveries.c.NotificationKey == notifications.c.NotificationKey,
                deliveries.c.SettledAt.is_(None),
            )
            .correlate(notifications)
        )
        connection.execute(
            notifications.update()
            .where(
                notifications.c.NotificationKey == given.c.NotificationKey,
                notifications.c.DeliveredAt.is_(None),
                ~waiting,
            )
            .values(DeliveredAt=now)
        )

    def sink_status(self) -> list[SinkStatus]:
        """Return the health of every sink that ever had a queue, ordered by name."""
        waiting = (
            sa.select(sa.func.count())
            .select_from(deliveries)
            .where(deliveries.c.Sink == notification_sinks.c.Sink, deliveries.c.SettledAt.is_(None))
            .scalar_subquery()
            .label("Waiting")
        )
        query = sa.select(notification_sinks, waiting).order_by(notification_sinks.c.Sink)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [
            SinkStatus(
                name=row.Sink,
                since=row.AddedAt,
                failures=row.Failures,
                failing_since=row.FailingSince,
                retry_at=row.RetryAt,
                last_error=row.LastError,
                last_delivery=row.LastDeliveryAt,
                waiting=row.Waiting,
            )
            for row in rows
        ]


def _new_notifications() -> sa.Select[Any]:
    """Return notifications without a queue; for one window, opened ones come before cleared ones."""
    table = notifications.c
    rank = sa.case((table.Event == "opened", 0), (table.Event == "cleared", 2), else_=1)
    return (
        sa.select(table.NotificationKey, table.Event, table.Alert, table.Incident)
        .where(table.DeliveredAt.is_(None), table.HandedOutAt.is_(None))
        .order_by(table.TS, rank, table.NotificationKey)
    )


def _heads(sink: str, now: datetime) -> sa.Select[Any]:
    """Return due notifications: of each subject, only the first that waits."""
    earlier = deliveries.alias("earlier")
    behind = sa.exists(
        sa.select(sa.literal_column("1"))
        .select_from(earlier)
        .where(
            earlier.c.Sink == deliveries.c.Sink,
            earlier.c.Subject == deliveries.c.Subject,
            earlier.c.SettledAt.is_(None),
            earlier.c.Position < deliveries.c.Position,
        )
        .correlate(deliveries)
    )
    table = notifications.c
    return (
        sa.select(table.NotificationKey, table.Event, table.Alert, table.Incident, deliveries.c.Attempts)
        .join_from(deliveries, notifications, table.NotificationKey == deliveries.c.NotificationKey)
        .where(deliveries.c.Sink == sink, *_due(now), ~behind)
        .order_by(deliveries.c.Position)
    )


def _due(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (deliveries.c.SettledAt.is_(None), deliveries.c.NextAttempt <= now, _free(now))


def _free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(deliveries.c.LeasedUntil.is_(None), deliveries.c.LeasedUntil <= now)


def _own(sink: str, claimed: ClaimedNotification) -> sa.Update:
    return deliveries.update().where(
        deliveries.c.Sink == sink,
        deliveries.c.NotificationKey == claimed.notification.key,
        deliveries.c.Lease == claimed.lease,
        deliveries.c.SettledAt.is_(None),
    )


def _failures(connection: sa.Connection, sink: str) -> int:
    query = sa.select(notification_sinks.c.Failures).where(notification_sinks.c.Sink == sink)
    failures: int = connection.execute(query).scalar_one()
    return failures


def _sink_row(sink: str, now: datetime) -> dict[str, object]:
    return {
        "Sink": sink,
        "AddedAt": now,
        "Failures": 0,
        "FailingSince": None,
        "RetryAt": None,
        "LastError": "",
        "LastDeliveryAt": None,
    }


def _delivery_row(sink: str, notification: Notification, position: int, now: datetime) -> dict[str, object]:
    return {
        "Sink": sink,
        "NotificationKey": notification.key,
        "Subject": subject_of(notification),
        "Position": position,
        "HandedOutAt": now,
        "Attempts": 0,
        "NextAttempt": now,
        "Lease": None,
        "LeasedUntil": None,
        "LastError": "",
        "DeliveredAt": None,
        "SettledAt": None,
    }


def _after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def enqueue(connection: sa.Connection, dialect: Dialect, notifications_given: Iterable[Notification]) -> None:
    """Add notifications to the outbox.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    notifications_given
        The notifications.
    """
    rows = [notification_row(notification) | {"DeliveredAt": None} for notification in notifications_given]
    dialect.upsert(connection, notifications, rows, overwrite=False)


def hold(connection: sa.Connection, dialect: Dialect, held: Iterable[tuple[Notification, str, datetime]]) -> None:
    """Hold notifications back until a given time.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    held
        Notifications, each with the id of its alert or incident, and the time until which it is held.
    """
    rows = [
        notification_row(notification) | {"AlertId": about, "UntilTime": until} for notification, about, until in held
    ]
    dialect.upsert(connection, held_notifications, rows, overwrite=False)


def standing(
    connection: sa.Connection, dialect: Dialect, keys: Collection[str]
) -> dict[str, Literal["queued", "held"]]:
    """Return whether notifications are queued or held, by key; unknown keys are left out.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    keys
        Keys of notifications.
    """
    if not keys:
        return {}
    found: dict[str, Literal["queued", "held"]] = {}
    for table, word in ((held_notifications, "held"), (notifications, "queued")):
        given = value_rows(dialect, table.c.NotificationKey, sorted(keys))
        query = sa.select(table.c.NotificationKey).join_from(
            given, table, table.c.NotificationKey == given.c.NotificationKey
        )
        found |= dict.fromkeys(connection.execute(query).scalars(), word)
    return found


def drop_held(connection: sa.Connection, dialect: Dialect, keys: Iterable[str]) -> None:
    """Delete held notifications.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    keys
        Keys of the notifications.
    """
    dialect.delete(connection, held_notifications, [{"NotificationKey": key} for key in keys])


def hold_until(connection: sa.Connection, dialect: Dialect, about: Collection[str], until: datetime) -> None:
    """Change the time until which the notifications of alerts or incidents are held.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    about
        Ids of the alerts or incidents.
    until
        New time.
    """
    if not about:
        return
    table = held_notifications.c
    given = value_rows(dialect, table.AlertId, sorted(about))
    connection.execute(held_notifications.update().where(table.AlertId == given.c.AlertId).values(UntilTime=until))


def release_due(connection: sa.Connection, dialect: Dialect, now: datetime) -> int:
    """Move held notifications whose time has come to the outbox; return their number.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    now
        Current time.
    """
    table = held_notifications
    due = connection.execute(sa.select(table).where(table.c.UntilTime <= now)).all()
    enqueue(connection, dialect, [notification_of(row) for row in due])
    drop_held(connection, dialect, [row.NotificationKey for row in due])
    return len(due)
