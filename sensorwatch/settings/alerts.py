"""Settings of alerts: when they open and clear, incidents, sensors without data, flat lines."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from sensorwatch.settings.group import DAY_SECONDS, SettingsGroup

__all__ = ["AlertSettings"]


class AlertSettings(SettingsGroup):
    """Alerts and incidents."""

    alert_anomalous_windows: int = Field(
        3, ge=1, description="Anomalous windows among the recent ones that open an alert (k of n)."
    )
    alert_recent_windows: int = Field(
        5, ge=1, le=1000, description="Recent windows among which anomalous ones are counted (n)."
    )
    alert_quiet_seconds: int = Field(
        300, ge=0, description="Shortest time without an anomalous window after which an alert clears, in seconds."
    )
    alert_quiet_intervals: float = Field(
        5.0, ge=0, description="Number of its usual intervals that a sensor is quiet at least before its alert clears."
    )
    incident_sensors: int = Field(
        3,
        ge=2,
        description="Alerting sensors of one device or site that make an incident, which is notified once.",
    )
    incident_seconds: int = Field(
        300, ge=0, description="Longest time between alerts that belong to one incident, in seconds."
    )
    incident_site_pattern: str | None = Field(
        None,
        description="Regular expression that finds the site in a device's name. Without it, incidents are by device.",
    )
    no_data_intervals: float = Field(
        10.0, gt=0, description="Number of its usual intervals without data after which a sensor is silent."
    )
    no_data_floor_seconds: int = Field(
        300, ge=1, description="Shortest time without data after which a sensor is silent, in seconds."
    )
    retired_seconds: int = Field(
        7 * DAY_SECONDS,
        ge=1,
        description="Age of its newest window at which a sensor is retired and no longer silent, in seconds.",
    )
    flatline_seconds: int = Field(
        3600,
        ge=1,
        description="Time with equal windows only after which a sensor that normally varies is flat, in seconds.",
    )

    @field_validator("incident_site_pattern")
    @classmethod
    def _regular_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as exc:
            raise ValueError(f"must be a regular expression ({exc}); try ^([^-]+)-") from None
        return value

    @model_validator(mode="after")
    def _anomalous_among_recent(self) -> Self:
        if self.alert_anomalous_windows > self.alert_recent_windows:
            raise ValueError(
                f"ALERT_ANOMALOUS_WINDOWS ({self.alert_anomalous_windows}) must not exceed "
                f"ALERT_RECENT_WINDOWS ({self.alert_recent_windows})"
            )
        return self
