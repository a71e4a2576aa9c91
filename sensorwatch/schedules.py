"""NCRONTAB: when a timer is due, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["last_due"]

# What a setting holds in place of a schedule, for example a name that only the host resolves.
_FIELD = re.compile(r"[0-9A-Za-z*,/-]+")


def last_due(schedule: str, now: datetime) -> datetime | None:
    """Return when a timer was due last, before ``now`` (aware); None for a schedule that is not understood.

    Six fields ``second minute hour day month weekday``; a day must satisfy both its own field and the weekday's.

    Examples
    --------
    >>> last_due("0 */5 * * * *", datetime(2026, 11, 21, 10, 7, tzinfo=UTC)).isoformat()
    '2026-11-21T10:05:00+00:00'
    """
    from croniter import croniter
    from croniter.croniter import CroniterError

    if len(fields := schedule.split()) != 6 or not all(_FIELD.fullmatch(field) for field in fields):
        return None
    start = now.astimezone(UTC).replace(microsecond=0)
    try:
        due: datetime = croniter(schedule, start, ret_type=datetime, second_at_beginning=True, day_or=False).get_prev()
    except (CroniterError, ValueError, KeyError):
        return None
    return due
