"""Timers that were due and planned nothing, although there was something to do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from sensorwatch.errors import InvalidInputError
from sensorwatch.scheduling.cron import Schedule
from sensorwatch.scheduling.plans import due_shards, run_window_end

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sensorwatch.tasks.records import Kind, RunSummary, ShardActivity

__all__ = ["CycleStore", "missed_cycles"]

_GRACE = timedelta(seconds=60)
"""A host that starts, or is busy, fires a timer late."""


class CycleStore(Protocol):
    """Needs of the check for missed cycles."""

    def newest_window(self) -> datetime | None:
        """Return the end (UTC) of the newest window of all sensors, None where there is none."""
        ...

    def last_planned(self, kind: Kind) -> dict[int, datetime]:
        """As :meth:`sensorwatch.scheduling.ports.RunStore.last_planned`."""
        ...

    def shard_activity(self) -> list[ShardActivity]:
        """As :meth:`sensorwatch.scheduling.ports.RunStore.shard_activity`."""
        ...

    def run_page(self, kind: Kind | None, limit: int) -> list[RunSummary]:
        """Return runs by the time at which they were created, newest first."""
        ...


def missed_cycles(
    schedules: Mapping[Kind, str], *, store: CycleStore, now: datetime, settle_seconds: int, run_window_seconds: int
) -> list[tuple[Kind, datetime]]:
    """Return which kinds' newest cycle was missed, with when it was due.

    A cycle counts as missed when no run of its kind was planned since it was due, none is still under way, and there is
    a shard with something to do since before then: windows that were settled at that time and are neither planned nor
    scored, or sensors with newer windows than the model, the last training of whose shard is older than the cycle.

    Parameters
    ----------
    schedules
        When each kind is planned (NCRONTAB, six fields, UTC).
    now
        The current time.
    settle_seconds, run_window_seconds
        As :func:`sensorwatch.scheduling.plans.run_window_end` takes them.
    """
    due = [(kind, _last_due(schedule, now - _GRACE)) for kind, schedule in schedules.items()]
    unplanned = [(kind, due_at) for kind, due_at in due if due_at is not None and not _was_planned(store, kind, due_at)]
    newest = store.newest_window() if unplanned else None
    missed: list[tuple[Kind, datetime]] = []
    activity: list[ShardActivity] | None = None
    for kind, due_at in unplanned:
        end = run_window_end(due_at, settle_seconds=settle_seconds, run_window_seconds=run_window_seconds)
        # A shard with something to do has windows up to then; the activity of all costs several times this look.
        if newest is None or newest < end:
            continue
        planned = store.last_planned(kind)
        # Read once: it goes through the whole catalogue.
        activity = store.shard_activity() if activity is None else activity
        waiting = [
            shard
            for shard in due_shards(kind, activity, end)
            if shard.last_window is not None
            and shard.last_window >= end
            and (shard.shard not in planned or planned[shard.shard] < end)
        ]
        if waiting:
            missed.append((kind, due_at))
    return missed


def _last_due(schedule: str, now: datetime) -> datetime | None:
    try:
        return Schedule(schedule).before(now)
    except InvalidInputError:
        # A setting may hold a name that only the Functions host resolves.
        return None


def _was_planned(store: CycleStore, kind: Kind, due_at: datetime) -> bool:
    newest = store.run_page(kind, 1)
    return bool(newest) and (newest[0].created_at >= due_at or newest[0].ended_at is None)
