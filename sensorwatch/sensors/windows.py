"""Windows of a shard as columns, and the port that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import numpy.typing as npt


__all__ = ["BEFORE_ALL_WINDOWS", "SensorHistory", "WindowColumns", "WindowRange", "WindowStore"]

BEFORE_ALL_WINDOWS = -(2**63)
"""An end, in seconds since 1970-01-01T00:00:00Z, that is before the end of every window."""


class WindowRange(NamedTuple):
    """Windows with ``start < end of the window <= end``, in seconds since 1970-01-01T00:00:00Z."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class WindowColumns:
    """Windows of a shard as columns of shape ``(n_windows,)``, ordered by (sensor_id, end).

    Attributes
    ----------
    sensor_id
        Sensor of each window.
    end
        End in seconds since 1970-01-01T00:00:00Z.
    value
        Mean of the readings.
    count
        Number of readings.
    """

    sensor_id: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]

    def only(self, keep: npt.NDArray[np.bool_]) -> WindowColumns:
        """Return the windows for which ``keep``, shape ``(n_windows,)``, is true."""
        return WindowColumns(self.sensor_id[keep], self.end[keep], self.value[keep], self.count[keep])


class WindowStore(Protocol):
    """Stored windows, read by shard."""

    def read_windows(self, shard: int, start: datetime | None, end: datetime) -> WindowColumns:
        """Return the windows of a shard, ordered by (sensor_id, end).

        Parameters
        ----------
        shard
            The shard.
        start, end
            Bounds: ``start < end of the window <= end``; None: no lower bound.
        """
        ...

    def read_rescore_windows(self, shard: int, end: datetime) -> WindowColumns:
        """Return the windows with ``end of the window <= end`` that are marked for rescoring, in the same order."""
        ...


class SensorHistory(Protocol):
    """Reading windows back, a sensor at a time."""

    def history_range(self, sensor_id: int) -> WindowRange | None:
        """Return bounds of all windows of a sensor: from before the first of its shard up to its newest.

        None for a sensor without windows.
        """
        ...

    def sensor_windows(self, sensor_id: int, wanted: WindowRange, window_seconds: int) -> WindowColumns:
        """Return a sensor's windows in a range, ordered by their end.

        Raises
        ------
        InvalidInputError
            The range has too many windows to look at.
        """
        ...
