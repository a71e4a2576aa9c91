"""Missed cycles: timers that were due but planned no run, although a shard was due."""

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
"""Tolerance for timers that fire late because the host starts or is busy."""


class CycleStore(Protocol):
    """Methods of the store that the check for missed cycles uses."""

    def newest_window(self) -> datetime | None:
        """Return the end (UTC) of the newest window of all sensors; None without windows."""
        ...

    def last_planned(self, kind: Kind) -> dict[int, datetime]:
        """As :meth:`sensorwatch.scheduling.ports.RunStore.last_planned`."""
        ...

    def shard_activity(self) -> list[ShardActivity]:
        """As :meth:`sensorwatch.scheduling.ports.RunStore.shard_activity`."""
        ...

    def run_page(self, kind: Kind | None, limit: int) -> list[RunSummary]:
        """Return runs by their time of creation, newest first."""
        ...


def missed_cycles(
    schedules: Mapping[Kind, str], *, store: CycleStore, now: datetime, settle_seconds: int, run_window_seconds: int
) -> list[tuple[Kind, datetime]]:
    """Return the kinds whose newest cycle was missed, with the time at which it was due.

    A cycle is missed if all of this holds:

    - no run of its kind was planned since it was due, and none is still open;
    - a shard was due at that time and has not been planned since.

    Parameters
    ----------
    schedules
        Schedule of each kind (NCRONTAB, six fields, UTC).
    store
        Store of runs and shards.
    now
        Current time.
    settle_seconds, run_window_seconds
        As for :func:`sensorwatch.scheduling.plans.run_window_end`.
    """
    due = [(kind, _last_due(schedule, now - _GRACE)) for kind, schedule in schedules.items()]
    unplanned = [(kind, due_at) for kind, due_at in due if due_at is not None and not _was_planned(store, kind, due_at)]
    newest = store.newest_window() if unplanned else None
    missed: list[tuple[Kind, datetime]] = []
    activity: list[ShardActivity] | None = None
    for kind, due_at in unplanned:
        end = run_window_end(due_at, settle_seconds=settle_seconds, run_window_seconds=run_window_seconds)
        # A due shard has windows up to then; checking that is several times cheaper than reading all shards.
        if newest is None or newest < end:
            continue
        planned = store.last_planned(kind)
        # Read once, because the query scans the whole catalogue.
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
        # The setting may be a %NAME% that only the Functions host resolves.
        return None


def _was_planned(store: CycleStore, kind: Kind, due_at: datetime) -> bool:
    newest = store.run_page(kind, 1)
    return bool(newest) and (newest[0].created_at >= due_at or newest[0].ended_at is None)
