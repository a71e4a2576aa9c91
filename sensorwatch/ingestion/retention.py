"""Let go of windows, and of what real time said of them, that are older than the settings ask for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sensorwatch.clock import Clock
    from sensorwatch.ingestion.ports import RetentionStore

__all__ = ["delete_old_windows"]


def delete_old_windows(*, store: RetentionStore, clock: Clock, retention_days: int | None) -> int:
    """Delete windows that ended more than ``retention_days`` ago; return how many. None keeps all."""
    if retention_days is None:
        return 0
    return store.delete_windows(clock() - timedelta(days=retention_days))
