"""The outbox: what is to be told, and what is held back while a silence lasts.

A notification is told once: its key is the primary key, and one that was stored before stays as it is. What is held
waits in a table of its own, so that whoever delivers need not know of silences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from sensorwatch.store.alert_rows import notification_of, notification_row
from sensorwatch.store.tables import held_notifications, notifications

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sensorwatch.records import Notification
    from sensorwatch.store.dialects import Dialect

__all__ = ["drop_held", "hold", "hold_until", "release_due", "standing", "tell"]


def tell(connection: sa.Connection, dialect: Dialect, told: Iterable[Notification]) -> None:
    """Put notifications into the outbox, in the caller's transaction."""
    rows = [notification_row(notification) | {"DeliveredAt": None} for notification in told]
    dialect.upsert(connection, notifications, rows, overwrite=False)


def hold(connection: sa.Connection, dialect: Dialect, held: Iterable[tuple[Notification, str, datetime]]) -> None:
    """Keep notifications back until a moment; each with the id of the alert or incident that it is about."""
    rows = [
        notification_row(notification) | {"AlertId": about, "UntilTime": until} for notification, about, until in held
    ]
    dialect.upsert(connection, held_notifications, rows, overwrite=False)


def standing(connection: sa.Connection, dialect: Dialect, keys: Collection[str]) -> dict[str, Literal["told", "held"]]:
    """Return what became of the notifications with these keys; those never made are left out."""
    if not keys:
        return {}
    found: dict[str, Literal["told", "held"]] = {}
    for table, word in ((held_notifications, "held"), (notifications, "told")):
        given = dialect.rows([table.c.NotificationKey], [[key] for key in sorted(keys)])
        query = sa.select(table.c.NotificationKey).join_from(
            given, table, table.c.NotificationKey == given.c.NotificationKey
        )
        found |= dict.fromkeys(connection.execute(query).scalars(), word)
    return found


def drop_held(connection: sa.Connection, dialect: Dialect, keys: Iterable[str]) -> None:
    """Forget notifications that are held: there is nothing left to tell."""
    dialect.delete(connection, held_notifications, [{"NotificationKey": key} for key in keys])


def hold_until(connection: sa.Connection, dialect: Dialect, about: Collection[str], until: datetime) -> None:
    """Let what is held about these alerts or incidents wait until another moment."""
    if not about:
        return
    table = held_notifications.c
    given = dialect.rows([table.AlertId], [[each] for each in sorted(about)])
    connection.execute(held_notifications.update().where(table.AlertId == given.c.AlertId).values(UntilTime=until))


def release_due(connection: sa.Connection, dialect: Dialect, now: datetime) -> int:
    """Move what was held until now into the outbox; return how many notifications that were."""
    table = held_notifications
    due = connection.execute(sa.select(table).where(table.c.UntilTime <= now)).all()
    tell(connection, dialect, [notification_of(row) for row in due])
    drop_held(connection, dialect, [row.NotificationKey for row in due])
    return len(due)
