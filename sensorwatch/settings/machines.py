"""Settings of predictive maintenance."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sensorwatch.clock import parse_zone
from sensorwatch.settings.group import SettingsGroup
from sensorwatch.settings.local_times import parse_times

__all__ = ["MachineSettings"]


class MachineSettings(SettingsGroup):
    """Predictive maintenance: models of machines."""

    maintenance_times: str = Field(
        "00:15 12:15", description="Times of day at which scoring of machines is due, separated by spaces."
    )
    maintenance_time_zone: str = Field("UTC", description="Time zone of `MAINTENANCE_TIMES`, as an IANA name.")
    maintenance_model: Literal["boosted", "forest", "tree"] = Field(
        "boosted",
        description="Classifier to train: gradient-boosted trees (`boosted`), random forest (`forest`) or decision "
        "tree (`tree`).",
    )
    maintenance_feedback_labels: bool = Field(
        True, description="Training also uses alerts of machines that people confirmed as failures."
    )
    maintenance_horizon_days: float = Field(
        3.5,
        gt=0,
        le=60,
        multiple_of=0.5,
        description="Forecast horizon for failures, in days. Must be a multiple of 0.5.",
    )
    maintenance_train_days: int = Field(7, ge=1, description="Interval between two trainings, in days.")
    maintenance_rescore_days: int = Field(
        3, ge=1, le=60, description="Time that each scoring goes back to include late data, in days."
    )
    maintenance_validation_days: int = Field(
        60, ge=7, description="Length of the period on which thresholds are calibrated, in days."
    )
    maintenance_test_days: int = Field(
        60, ge=7, description="Length of the period on which a new model is measured, in days."
    )
    maintenance_alert_warnings: int = Field(
        2, ge=1, description="Warnings of a component, at most a day apart, that open an alert."
    )
    machines_per_shard: int = Field(
        250,
        ge=1,
        description="Machines per shard (consecutive ids); each scoring run has one task per shard. Fixed once data "
        "are stored.",
    )

    @field_validator("maintenance_times")
    @classmethod
    def _good_times(cls, value: str) -> str:
        parse_times(value)
        return value

    @field_validator("maintenance_time_zone")
    @classmethod
    def _good_zone(cls, value: str) -> str:
        parse_zone(value)
        return value
