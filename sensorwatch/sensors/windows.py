"""Windows of a shard as columns, and the port that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import numpy.typing as npt


__all__ = ["BEFORE_ALL_WINDOWS", "WindowColumns", "WindowStore"]

BEFORE_ALL_WINDOWS = -(2**63)
"""An end, in seconds since 1970-01-01T00:00:00Z, that is before the end of every window."""


@dataclass(frozen=True, slots=True)
class WindowColumns:
    """Windows of a shard as columns, ordered by (sensor_id, end); every array has shape ``(n_windows,)``.

    ``end`` is in seconds since 1970-01-01T00:00:00Z, ``value`` is the mean of the window's readings.
    """

    sensor_id: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]

    def only(self, keep: npt.NDArray[np.bool_]) -> WindowColumns:
        """Return the windows for which ``keep``, shape ``(n_windows,)``, is true."""
        return WindowColumns(self.sensor_id[keep], self.end[keep], self.value[keep], self.count[keep])


class WindowStore(Protocol):
    """Reading windows back, a shard at a time."""

    def read_windows(self, shard: int, start: datetime | None, end: datetime) -> WindowColumns:
        """Return the shard's windows with ``start < end_of_window <= end``, ordered by (sensor_id, end)."""
        ...

    def read_rescore_windows(self, shard: int, end: datetime) -> WindowColumns:
        """Return the shard's windows with ``end_of_window <= end`` marked for scoring again, in the same order."""
        ...
