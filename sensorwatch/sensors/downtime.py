"""Planned downtime of sensors: windows measured during it raise no alert and train no model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field, field_validator, model_validator

from sensorwatch.clock import parse_zone
from sensorwatch.errors import SettingsError
from sensorwatch.sensors.calendars import calendar_events
from sensorwatch.sensors.patterns import SensorPattern, ZoneName

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from sensorwatch.sensors.records import SensorKey

__all__ = ["Downtime", "DowntimePeriod", "DowntimePlan"]

_REASON_LENGTH = 200


class Downtime(SensorPattern):
    """One entry of ``maintenance`` in ``sensorwatch.yaml``: sensors, and when they are down.

    The period is ``(start, end]``, or the events of an iCalendar text. Times without an offset are in ``time_zone``,
    and so are times of the calendar that name no zone.
    """

    start: Annotated[datetime | None, Field(alias="from")] = None
    end: Annotated[datetime | None, Field(alias="to")] = None
    time_zone: ZoneName = "UTC"
    why: str = Field(default="", max_length=200)
    calendar: str = Field(default="", max_length=1000)
    calendar_text: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> Downtime:
        kinds = bool(self.start or self.end) + bool(self.calendar) + bool(self.calendar_text)
        if kinds != 1 or (self.start is None) != (self.end is None):
            raise ValueError("expected either `from` and `to`, or `calendar` (a file), or `calendar_text`")
        period = self.period
        if period is not None and period[0] >= period[1]:
            raise ValueError(f"expected `to` after `from`, got {self.start} and {self.end}")
        return self

    @field_validator("calendar_text")
    @classmethod
    def _readable(cls, value: str) -> str:
        if value:
            try:
                calendar_events(value, 0, 1, UTC)
            except SettingsError as exc:
                raise ValueError(str(exc)) from exc
        return value

    @property
    def period(self) -> tuple[datetime, datetime] | None:
        """The period ``(from, to]`` with time zones; None for a calendar."""
        if self.start is None or self.end is None:
            return None
        zone = parse_zone(self.time_zone)
        start, end = (time if time.tzinfo else time.replace(tzinfo=zone) for time in (self.start, self.end))
        return start, end


class DowntimePeriod(NamedTuple):
    """A downtime ``(start, end]`` in seconds since 1970-01-01T00:00:00Z; ``entry`` is its position in the file."""

    start: int
    end: int
    why: str
    entry: int


class DowntimePlan:
    """All downtime in the configuration.

    A window belongs to a downtime if any part of it does. With windows of ``w`` seconds, that is
    ``start < end of the window < end + w``.

    Parameters
    ----------
    entries
        Entries of the configuration.
    window_seconds
        Length of a window.
    """

    def __init__(self, entries: Sequence[Downtime], window_seconds: int) -> None:
        self.entries = tuple(entries)
        self._window_seconds = window_seconds

    def periods(self, start: int, end: int) -> list[DowntimePeriod]:
        """Return the periods that overlap ``(start, end]``, ordered by their start.

        Times are in seconds since 1970-01-01T00:00:00Z.

        Raises
        ------
        SettingsError
            A calendar is invalid or was not loaded.
        """
        found = [period for i in range(len(self.entries)) for period in self._of_entry(i, start, end)]
        return sorted(found)

    def _of_entry(self, position: int, start: int, end: int) -> list[DowntimePeriod]:
        entry = self.entries[position]
        if entry.period is not None:
            first, last = (int(time.timestamp()) for time in entry.period)
            return [DowntimePeriod(first, last, entry.why, position)] if first < end and last > start else []
        if not entry.calendar_text:
            raise SettingsError(f"maintenance.{position}: the calendar `{entry.calendar}` was not loaded")
        try:
            events = calendar_events(entry.calendar_text, start, end, parse_zone(entry.time_zone))
        except SettingsError as exc:
            raise SettingsError(f"maintenance.{position}: {exc}") from exc
        return [DowntimePeriod(event.start, event.end, entry.why or event.summary, position) for event in events]

    def reason(self, key: SensorKey, end: int) -> str:
        """Return the reason of the downtime that a sensor's window belongs to; empty if it belongs to none."""
        for period in self._around(end, end):
            if self.entries[period.entry].matches(key) and period.start < end < period.end + self._window_seconds:
                return _reason(period)
        return ""

    def last_end(self, key: SensorKey, since: int, until: int) -> int | None:
        """Return the latest end, at or before ``until``, of a sensor's downtime that overlaps ``(since, until]``.

        Parameters
        ----------
        key
            The sensor.
        since, until
            Seconds since 1970-01-01T00:00:00Z.

        Returns
        -------
        int or None
            Seconds since 1970-01-01T00:00:00Z; None if no downtime ended there.
        """
        ends = [
            period.end
            for period in (self.periods(since, until) if self.entries and since < until else [])
            if period.end <= until and self.entries[period.entry].matches(key)
        ]
        return max(ends, default=None)

    def mask(
        self, keys: Sequence[SensorKey], sensor: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Return which windows belong to a downtime, as booleans of shape ``(n_windows,)``.

        Parameters
        ----------
        keys
            Names of the sensors.
        sensor
            Position in ``keys`` of each window's sensor, shape ``(n_windows,)``.
        ends
            Ends of the windows in seconds since 1970-01-01T00:00:00Z, shape ``(n_windows,)``.
        """
        import numpy as np

        reasons = np.full(len(ends), "", dtype=object)
        self.fill_reasons(reasons, keys, sensor, ends)
        found: npt.NDArray[np.bool_] = reasons != ""
        return found

    def fill_reasons(
        self,
        reasons: npt.NDArray[np.object_],
        keys: Sequence[SensorKey],
        sensor: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
    ) -> None:
        """Write the reason of each window's downtime into ``reasons``, where it is still empty.

        Parameters
        ----------
        reasons
            Reasons as text, shape ``(n_windows,)``; changed in place.
        keys
            Names of the sensors.
        sensor
            Position in ``keys`` of each window's sensor, shape ``(n_windows,)``.
        ends
            Ends of the windows in seconds since 1970-01-01T00:00:00Z, shape ``(n_windows,)``.
        """
        import numpy as np

        if not self.entries or not len(ends):
            return
        matching: dict[int, npt.NDArray[np.bool_]] = {}
        for period in self._around(int(ends.min()), int(ends.max())):
            if period.entry not in matching:
                entry = self.entries[period.entry]
                matching[period.entry] = np.array([entry.matches(key) for key in keys], np.bool_)
            inside = (ends > period.start) & (ends < period.end + self._window_seconds)
            inside &= matching[period.entry][sensor]
            reasons[inside & (reasons == "")] = _reason(period)

    def _around(self, first_end: int, last_end: int) -> list[DowntimePeriod]:
        if not self.entries:
            return []
        return self.periods(first_end - self._window_seconds, last_end)


def _reason(period: DowntimePeriod) -> str:
    text = f"maintenance: {period.why}" if period.why else "maintenance"
    return text[:_REASON_LENGTH]
