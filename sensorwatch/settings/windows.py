"""Settings of windows: their length, limits for readings, retention."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from sensorwatch.settings.group import DayFraction, SettingsGroup

__all__ = ["WindowSettings"]


class WindowSettings(SettingsGroup):
    """Windows, and the limits for readings."""

    window_seconds: DayFraction = Field(5, description="Length of a window, in seconds. Must divide a day.")
    window_time: Literal["event", "arrival"] = Field(
        "event",
        description="Time that assigns a reading to a window: its own `TS` (`event`) or its arrival at the hub "
        "(`arrival`).",
    )
    lateness_seconds: int = Field(
        3600,
        ge=0,
        description="Distance behind the newest window of its sensor from which a reading is late, in seconds.",
    )
    late_policy: Literal["update", "drop"] = Field(
        "update",
        description="Treatment of a reading whose window was already scored: it corrects the window (`update`) or is "
        "late (`drop`).",
    )
    future_seconds: int = Field(
        300,
        ge=0,
        description="Largest distance of a valid `TS` ahead of the reading's arrival, in seconds.",
    )
    earliest_time: AwareDatetime = Field(datetime(2000, 1, 1, tzinfo=UTC), description="Earliest valid `TS`.")
    max_body_bytes: int = Field(1_048_576, ge=1, description="Largest valid event body, in bytes.")
    window_retention_days: int | None = Field(
        None,
        ge=1,
        description="Age at which windows and the results of real-time scoring are deleted, in days. Without it, they "
        "are kept.",
    )
