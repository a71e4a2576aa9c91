"""Which windows were measured under maintenance (pure): they raise no alerts and train no models."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.errors import SettingsError
from sensorwatch.sensors.calendars import calendar_events
from sensorwatch.sensors.downtime_section import zone_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from sensorwatch.sensors.downtime_section import Maintenance
    from sensorwatch.sensors.records import SensorKey

__all__ = ["MaintenancePeriod", "MaintenancePlan"]

_REASON_LENGTH = 200


class MaintenancePeriod(NamedTuple):
    """Maintenance ``(start, end]`` in seconds since 1970-01-01T00:00:00Z; ``entry`` is its place in the file."""

    start: int
    end: int
    why: str
    entry: int


class MaintenancePlan:
    """The maintenance that a file lists.

    A window is under maintenance if any part of it is: with windows of ``w`` seconds, if ``start < end of the window <
    end + w``.
    """

    def __init__(self, entries: Sequence[Maintenance], window_seconds: int) -> None:
        self.entries = tuple(entries)
        self._window_seconds = window_seconds

    def periods(self, start: int, end: int) -> list[MaintenancePeriod]:
        """Return the periods that overlap ``(start, end]``, ordered by their beginning.

        Raises
        ------
        SettingsError
            A calendar can't be understood.
        """
        found = [period for i in range(len(self.entries)) for period in self._of_entry(i, start, end)]
        return sorted(found)

    def _of_entry(self, position: int, start: int, end: int) -> list[MaintenancePeriod]:
        entry = self.entries[position]
        if entry.period is not None:
            first, last = (int(time.timestamp()) for time in entry.period)
            return [MaintenancePeriod(first, last, entry.why, position)] if first < end and last > start else []
        if not entry.calendar_text:
            raise SettingsError(f"maintenance.{position}: the calendar `{entry.calendar}` was not read with its file")
        try:
            events = calendar_events(entry.calendar_text, start, end, zone_named(entry.time_zone))
        except SettingsError as exc:
            raise SettingsError(f"maintenance.{position}: {exc}") from exc
        return [MaintenancePeriod(event.start, event.end, entry.why or event.summary, position) for event in events]

    def reason(self, key: SensorKey, end: int) -> str:
        """Return why a sensor's window that ends then is under maintenance, empty if it is not."""
        for period in self._around(end, end):
            if self.entries[period.entry].matches(key) and period.start < end < period.end + self._window_seconds:
                return _reason(period)
        return ""

    def last_end(self, key: SensorKey, since: int, until: int) -> int | None:
        """Return the latest end, up to ``until``, of a sensor's maintenance that overlaps ``(since, until]``."""
        ends = [
            period.end
            for period in (self.periods(since, until) if self.entries and since < until else [])
            if period.end <= until and self.entries[period.entry].matches(key)
        ]
        return max(ends, default=None)

    def mask(
        self, keys: Sequence[SensorKey], sensor: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Return which windows are under maintenance; ``sensor`` is the position of each one's key in ``keys``."""
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
        """Write into ``reasons`` why windows are under maintenance, where nothing is written yet."""
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

    def _around(self, first_end: int, last_end: int) -> list[MaintenancePeriod]:
        if not self.entries:
            return []
        return self.periods(first_end - self._window_seconds, last_end)


def _reason(period: MaintenancePeriod) -> str:
    text = f"maintenance: {period.why}" if period.why else "maintenance"
    return text[:_REASON_LENGTH]
