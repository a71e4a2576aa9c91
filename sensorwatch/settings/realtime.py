"""Settings of real-time scoring."""

from __future__ import annotations

from pydantic import Field

from sensorwatch.settings.group import SettingsGroup

__all__ = ["RealTimeSettings"]


class RealTimeSettings(SettingsGroup):
    """Real-time scoring."""

    serving_deadline_ms: float = Field(
        50.0,
        gt=0,
        le=60_000,
        description="Time limit for the models' answers to a batch of readings, in milliseconds. A rule can set "
        "another.",
    )
    serving_poll_seconds: float = Field(
        2.0, gt=0, le=5, description="Polling interval for new model versions, in seconds."
    )
    serving_history_windows: int = Field(
        16, ge=1, le=1000, description="Most recent windows kept in memory per sensor, for detectors that look back."
    )
    serving_max_sensors: int = Field(
        100_000,
        ge=1,
        description="Most sensors kept in memory per partition. Sensors without readings for longest make room and are "
        "loaded again when needed.",
    )
    serving_threads: int = Field(16, ge=1, le=256, description="Threads per process on which models score.")
