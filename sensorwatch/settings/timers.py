"""Settings of timers, of the runs that they plan, and of the trigger on prediction files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sensorwatch.settings.group import DayFraction, Schedule, SettingsGroup

__all__ = ["TimerSettings"]


class TimerSettings(SettingsGroup):
    """Timers and triggers."""

    train_schedule: Schedule = Field("0 0 1 * * *", description="Schedule of training (NCRONTAB, six fields, UTC).")
    score_schedule: Schedule = Field("0 */5 * * * *", description="Schedule of scoring (NCRONTAB, six fields, UTC).")
    sweep_schedule: Schedule = Field(
        "*/30 * * * * *",
        description="Schedule of the sweep, which collects ended tasks, publishes missed prediction files and sends "
        "waiting notifications (NCRONTAB, six fields, UTC).",
    )
    housekeeping_schedule: Schedule = Field(
        "0 30 2 * * *",
        description="Schedule of housekeeping, which deletes old jobs and windows (NCRONTAB, six fields, UTC).",
    )
    maintenance_schedule: Schedule = Field(
        "0 20 * * * *",
        description="Schedule of the check whether training or scoring of machines is due (NCRONTAB, six fields, UTC).",
    )
    settle_seconds: int = Field(
        30, ge=0, description="Age of a window's end from which runs include the window, in seconds."
    )
    run_window_seconds: DayFraction = Field(
        60,
        description="Length of the interval that has at most one run of a kind, in seconds. Must divide a day.",
    )
    max_tasks_per_run: int = Field(
        10_000,
        ge=1,
        description="Most tasks in a run. The shards planned longest ago come first; the others wait for the next run.",
    )
    blob_trigger_source: Literal["LogsAndContainerScan", "EventGrid"] = Field(
        "LogsAndContainerScan",
        description="Source of the trigger on new prediction files. Flex Consumption plans need `EventGrid`.",
    )
