"""Deletion of old windows, and of the results of real-time scoring for them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sensorwatch.clock import Clock
    from sensorwatch.ingestion.ports import RetentionStore

__all__ = ["delete_old_windows"]


def delete_old_windows(*, store: RetentionStore, clock: Clock, retention_days: int | None) -> int:
    """Delete windows that ended more than ``retention_days`` ago; return their number.

    Parameters
    ----------
    store
        The store of windows.
    clock
        The current time.
    retention_days
        Days to keep; None keeps all windows.
    """
    if retention_days is None:
        return 0
    return store.delete_windows(clock() - timedelta(days=retention_days))
