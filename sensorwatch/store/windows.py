"""Reading windows of a shard, by one range scan of the clustered key."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sensorwatch.sensors.windows import WindowColumns
from sensorwatch.store.connection.database import StorePart
from sensorwatch.store.connection.types import seconds_of
from sensorwatch.store.tables import rescore_windows, sensor_windows

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["WindowPart"]

_ROWS_A_FETCH = 50_000


class WindowPart(StorePart):
    """Implements :class:`~sensorwatch.sensors.windows.WindowStore`."""

    def read_windows(self, shard: int, start: datetime | None, end: datetime) -> WindowColumns:
        """Return the windows of a shard; see :meth:`~sensorwatch.sensors.windows.WindowStore.read_windows`."""
        window_end = sensor_windows.c.TS
        query = self._columns().where(sensor_windows.c.Shard == shard, window_end <= seconds_of(end))
        if start is not None:
            query = query.where(window_end > seconds_of(start))
        return self._fetch(query)

    def read_rescore_windows(self, shard: int, end: datetime) -> WindowColumns:
        """Return the windows with ``end of the window <= end`` that are marked for rescoring, in the same order."""
        window, marked = sensor_windows.c, rescore_windows.c
        mark_end, window_end = marked.TS, window.TS
        among = (marked.Shard == shard) & (mark_end <= seconds_of(end))
        bounds = sa.select(sa.func.min(mark_end), sa.func.max(mark_end)).where(among)
        [(oldest, newest)] = self._database.read(lambda connection: connection.execute(bounds).all())
        if oldest is None:
            return self._fetch(self._columns().where(sa.false()))
        # Few windows are marked, but SQLite may scan the shard's windows first. The bounds limit that scan. Windows
        # that are marked between the two queries keep their marks.
        return self._fetch(
            self._columns()
            .join_from(
                rescore_windows,
                sensor_windows,
                (window.Shard == marked.Shard) & (window_end == mark_end) & (window.SensorId == marked.SensorId),
            )
            .where(among, window_end >= oldest, window_end <= newest)
        )

    def window_count(self) -> int:
        """Return the number of windows of all sensors."""
        query = sa.select(sa.func.count()).select_from(sensor_windows)
        return self._database.read(lambda connection: connection.execute(query).scalar_one())

    def _columns(self) -> sa.Select[Any]:
        window = sensor_windows.c
        # Plain numbers from the driver, because there may be a million rows.
        end: sa.ColumnElement[Any] = sa.type_coerce(window.TS, sa.BigInteger)
        if self._database.engine.dialect.name == "mssql":
            epoch: sa.ColumnElement[Any] = sa.literal_column("CAST('1970-01-01' AS DATETIME2(6))")
            end = sa.func.DATEDIFF_BIG(sa.literal_column("SECOND"), epoch, window.TS)
        return sa.select(window.SensorId, end, window.Readings, window.Total)

    def _fetch(self, query: sa.Select[Any]) -> WindowColumns:
        """Return the rows of a query as columns, sorted here, because the index orders them by end first."""
        import numpy as np

        def work(connection: sa.Connection) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
            cursor = connection.execute(query).cursor
            parts = []
            while cursor is not None and (rows := cursor.fetchmany(_ROWS_A_FETCH)):
                # float64 holds every id, end and count exactly: all are far below 2**53.
                parts.append(np.fromiter(chain.from_iterable(rows), np.float64, 4 * len(rows)).reshape(-1, 4))
            return parts

        table = np.concatenate([np.empty((0, 4)), *self._database.read(work)])
        table = table[np.lexsort((table[:, 1], table[:, 0]))]
        return WindowColumns(
            sensor_id=table[:, 0].astype(np.int64),
            end=table[:, 1].astype(np.int64),
            value=table[:, 3] / table[:, 2],
            count=table[:, 2].astype(np.int64),
        )
