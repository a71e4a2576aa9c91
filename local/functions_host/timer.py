"""Timer triggers: one run at a time, with a stored status, so that missed runs are made up for by one run."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.core.exceptions import AzureError, ResourceNotFoundError

from local.functions_host.errors import HostError, HostStoppingError
from sensorwatch.errors import InvalidInputError
from sensorwatch.scheduling.cron import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.blob.aio import BlobServiceClient

    from local.functions_host.app import HostedFunction
    from local.functions_host.host_state import HostState
    from local.functions_host.invoke import Invoker

__all__ = ["TimerListener", "TimerStatus", "shortest_interval", "status_at_start"]

_log = logging.getLogger("local.functions_host")

# The real host does not store the status of timers that are due more often: it would write continually, and the next
# regular run comes soon.
_SHORTEST_MONITORED = timedelta(minutes=1)
_SAMPLED_INTERVALS = 10
_LONGEST_SLEEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class TimerStatus:
    """Stored status of a timer: its last run (None before the first), the next run and the time of writing; UTC."""

    last: datetime | None
    next: datetime
    updated: datetime

    def to_json(self) -> dict[str, str]:
        """Return the status with the names of the real host, which has no null."""
        last = self.last or datetime(1, 1, 1, tzinfo=UTC)
        return {"Last": last.isoformat(), "Next": self.next.isoformat(), "LastUpdated": self.updated.isoformat()}

    @classmethod
    def from_json(cls, content: dict[str, str]) -> TimerStatus:
        """Create the status from the result of :meth:`to_json`."""
        last = datetime.fromisoformat(content["Last"])
        return cls(
            last if last.year > 1 else None,
            datetime.fromisoformat(content["Next"]),
            datetime.fromisoformat(content["LastUpdated"]),
        )


def status_at_start(
    stored: TimerStatus | None, schedule: Schedule, now: datetime
) -> tuple[TimerStatus, datetime | None]:
    """Return the status to continue with, and the due time that was missed (None: none).

    A timer that has never run or whose schedule has changed has missed nothing. Several missed runs count as one.

    Parameters
    ----------
    stored
        Stored status; None: none.
    schedule
        Schedule of the timer.
    now
        Current time, in UTC.
    """
    if stored is None or schedule.after(stored.last or stored.updated) != stored.next:
        return TimerStatus(None, schedule.after(now), now), None
    return stored, stored.next if stored.next < now else None


def shortest_interval(schedule: Schedule, time: datetime) -> timedelta:
    """Return the shortest time between the next few due times after ``time``."""
    dues = [schedule.after(time)]
    for _ in range(_SAMPLED_INTERVALS):
        dues.append(schedule.after(dues[-1]))
    return min(later - earlier for earlier, later in itertools.pairwise(dues))


class TimerListener:
    """Listener that runs a timer function when due.

    Parameters
    ----------
    function
        The function.
    invoker
        Runner of invocations.
    state
        State of the host, for the timer's status.
    clock
        Current time, in UTC.
    """

    def __init__(
        self, function: HostedFunction, invoker: Invoker, state: HostState, clock: Callable[[], datetime]
    ) -> None:
        self.function = function
        self.ready = False
        self._invoker = invoker
        self._state = state
        self._clock = clock
        try:
            self._schedule = Schedule(str(function.trigger["schedule"]))
        except InvalidInputError as exc:
            raise HostError(f"{function.where}: {exc}") from None
        self._monitored = (
            function.trigger.get("useMonitor") is not False
            and shortest_interval(self._schedule, clock()) >= _SHORTEST_MONITORED
        )
        self._status: TimerStatus | None = None
        self._one_at_a_time = asyncio.Lock()
        self._blob = f"timers/{state.host_id}/{function.name}/status"

    async def run(self) -> None:
        """Run the function whenever it is due, until cancelled."""
        now = self._clock()
        missed = await self._load_status(now) if self._monitored else None
        self.ready = True
        if missed:
            _log.warning("%s: past due since %s", self.function.name, missed.isoformat())
            await self.fire(past_due=True)
        elif self.function.trigger.get("runOnStartup"):
            await self.fire(past_due=False)
        while True:
            due = self._schedule.after(self._clock())
            await self._wait_until(due)
            await self.fire(past_due=False)

    async def _wait_until(self, due: datetime) -> None:
        # In steps, as the clock may be changed or the machine may sleep.
        while (seconds := (due - self._clock()).total_seconds()) > 0:  # noqa: ASYNC110 - time has no event
            await asyncio.sleep(min(seconds, _LONGEST_SLEEP_SECONDS))

    async def fire(self, *, past_due: bool) -> None:
        """Call the function once, after a running call has ended, and store the status unless the host is stopping."""
        async with self._one_at_a_time:
            try:
                async with self._invoker.work():
                    started = self._clock()
                    await self._invoker.invoke(self.function, lambda: self._request(past_due=past_due))
                    await self._save_status(started)
            except HostStoppingError:
                # The status is not stored, so that the next start finds the run past due.
                return

    def _request(self, *, past_due: bool) -> object:
        content: dict[str, Any] = {
            "IsPastDue": past_due,
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": self._status.to_json() if self._status else None,
        }
        converter = func.get_binding_registry().get("timerTrigger")
        return converter.decode(func.meta.Datum(json.dumps(content), "json"), trigger_metadata={})

    async def _load_status(self, now: datetime) -> datetime | None:
        """Read the stored status, and return the due time that was missed while the host was not running."""
        what = f"status of timer {self.function.name}"
        await self._state.prepare()
        text = await self._state.retry(self._read, what)
        stored = TimerStatus.from_json(json.loads(text)) if text else None
        self._status, missed = status_at_start(stored, self._schedule, now)
        if self._status is not stored:
            # With a first status, runs that are missed from now on are detected.
            await self._state.retry(self._write, what)
        return missed

    async def _save_status(self, started: datetime) -> None:
        if not self._monitored:
            return
        now = self._clock()
        self._status = TimerStatus(started, self._schedule.after(started), now)
        try:
            await self._write(self._state.storage)
        except AzureError as exc:
            _log.warning("%s: its status can't be stored now: %s", self.function.name, exc)

    async def _read(self, storage: BlobServiceClient) -> bytes | None:
        try:
            download = await storage.get_blob_client(self._state.container, self._blob).download_blob()
            return await download.readall()
        except ResourceNotFoundError:
            return None

    async def _write(self, storage: BlobServiceClient) -> None:
        status = self._status
        if status:
            content = json.dumps(status.to_json())
            await storage.get_blob_client(self._state.container, self._blob).upload_blob(content, overwrite=True)
