"""Windows of one sensor, from a table that is clustered by shard, end and sensor.

This order suits writing, and reading by tasks; an index by sensor would double the cost of writing. But the possible
ends of windows are known, so each window is looked up by its whole key. Keys that follow each other are found quickly,
and stretches without windows of the shard are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sensorwatch.errors import InvalidInputError
from sensorwatch.sensors.windows import WindowColumns, WindowRange
from sensorwatch.store.pages.queries import MOST_WINDOWS
from sensorwatch.store.tables import sensor_windows, sensors
from sensorwatch.store.windows import WindowPart

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SensorHistoryPart"]

_DIGITS = 5
_LOOKED_UP = 10**_DIGITS
"""Number of ends that one statement looks up."""

_SMALL_SHARD = 12
"""Largest number of sensors at which scanning a shard is faster than looking up the windows of one sensor."""


class SensorHistoryPart(WindowPart):
    """Implements :class:`~sensorwatch.sensors.windows.SensorHistory`."""

    def history_range(self, sensor_id: int) -> WindowRange | None:
        """Return a range that includes all windows of a sensor; None if it has none."""
        newest = sa.select(sensors.c.LastWindow).where(sensors.c.SensorId == sensor_id)
        last = self._database.read(lambda connection: connection.execute(newest).scalar_one_or_none())
        first = None if last is None else self._first_end(sensor_id // self._database.shard_size, None)
        return None if last is None or first is None else WindowRange(first - 1, last)

    def sensor_windows(self, sensor_id: int, wanted: WindowRange, window_seconds: int) -> WindowColumns:
        """Return the windows of a sensor in a range, ordered by their end.

        Parameters
        ----------
        sensor_id
            The sensor.
        wanted
            The range.
        window_seconds
            Length of a window, in seconds.

        Raises
        ------
        InvalidInputError
            The range has more than :data:`MOST_WINDOWS` windows.
        """
        shard, window_end = sensor_id // self._database.shard_size, sensor_windows.c.TS
        this_one = (sensor_windows.c.Shard == shard) & (sensor_windows.c.SensorId == sensor_id)
        of_sensor = self._columns().where(this_one)
        if self._sensors_in(shard) <= _SMALL_SHARD:
            return self._fetch(of_sensor.where(window_end > wanted.start, window_end <= wanted.end))
        parts = [
            self._fetch(_at(of_sensor, self._database.engine.dialect.name, first, count, window_seconds))
            for first, count in self._stretches(shard, wanted, window_seconds)
        ]
        return _joined(parts) if parts else self._fetch(of_sensor.where(sa.false()))

    def _stretches(self, shard: int, wanted: WindowRange, window_seconds: int) -> Iterator[tuple[int, int]]:
        """Yield the first end and the number of ends of each stretch in which the shard has windows."""
        position, looked_up = wanted.start, 0
        while (found := self._first_end(shard, position)) is not None and found <= wanted.end:
            first = -(-found // window_seconds) * window_seconds
            count = min(_LOOKED_UP, (wanted.end - first) // window_seconds + 1)
            if count <= 0:
                return
            looked_up += count
            if looked_up > MOST_WINDOWS:
                raise InvalidInputError(
                    f"expected a range of at most {MOST_WINDOWS:,} windows of {window_seconds} s, got a longer one; "
                    "choose a shorter range"
                )
            yield first, count
            position = first + (count - 1) * window_seconds

    def _first_end(self, shard: int, after: int | None) -> int | None:
        window_end = sensor_windows.c.TS
        query = sa.select(sa.func.min(window_end)).where(sensor_windows.c.Shard == shard)
        if after is not None:
            query = query.where(window_end > after)
        found: int | None = self._database.read(lambda connection: connection.execute(query).scalar_one())
        return found

    def _sensors_in(self, shard: int) -> int:
        size = self._database.shard_size
        ids = sensors.c.SensorId
        query = sa.select(sa.func.count()).where(ids.between(shard * size, shard * size + _SMALL_SHARD))
        return self._database.read(lambda connection: connection.execute(query).scalar_one())


def _at(query: sa.Select[Any], dialect: str, first: int, count: int, step: int) -> sa.Select[Any]:
    """Return the query, limited to ``count`` ends from ``first`` on, ``step`` seconds apart."""
    digit = sa.union_all(*(sa.select(sa.literal_column(str(n)).label("N")) for n in range(10))).cte("Digits")
    # The last digit changes fastest, so ends are looked up in ascending order.
    places = [digit.alias(f"D{place}") for place in reversed(range(len(str(count - 1))))]
    number: sa.ColumnElement[int] = places[0].c.N
    crossed: sa.FromClause = places[0]
    for digits in places[1:]:
        number = number * 10 + digits.c.N
        crossed = crossed.join(digits, sa.literal_column("1") == sa.literal_column("1"))
    # The limit removes nothing. It keeps SQLite from flattening the query and scanning the whole shard.
    numbers = (
        sa.select(number.label("Number")).select_from(crossed).where(number < count).limit(count).subquery("Numbers")
    )
    window_end = sensor_windows.c.TS
    end: sa.ColumnElement[Any] = sa.literal(first, sa.BigInteger) + numbers.c.Number * step
    if dialect == "mssql":
        end = sa.func.DATEADD(sa.literal_column("SECOND"), numbers.c.Number * step, sa.literal(first, window_end.type))
    return query.where(window_end == sa.type_coerce(end, window_end.type))


def _joined(parts: list[WindowColumns]) -> WindowColumns:
    import numpy as np

    return WindowColumns(
        sensor_id=np.concatenate([part.sensor_id for part in parts]),
        end=np.concatenate([part.end for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        count=np.concatenate([part.count for part in parts]),
    )
