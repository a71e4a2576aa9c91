"""Settings of shards, training, promotion and prediction files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sensorwatch.settings.group import DAY_SECONDS, SettingsGroup

__all__ = ["ModelSettings"]


class ModelSettings(SettingsGroup):
    """Shards and models."""

    shard_size: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Sensors per shard (consecutive ids); each run has one task per shard. Fixed once windows are "
        "stored.",
    )
    detector: str = Field("auto", description="Detector of sensors that no rule in the configuration file matches.")
    warming_detector: str = Field(
        "range",
        description="Fallback detector of sensors that have too few windows for a model. With `none`, these sensors "
        "are not scored.",
    )
    warming_windows: int = Field(20, ge=2, description="Windows that a sensor needs for the fallback detector.")
    configuration_file: str = Field(
        "sensorwatch.yaml", description="Configuration file, with the rules for detectors, alerts and downtime."
    )
    training_seconds: int = Field(
        DAY_SECONDS,
        ge=1,
        description="Length of the training range before a sensor's newest window, in seconds.",
    )
    training_windows: int = Field(
        4000,
        ge=0,
        description="Number of its newest windows that a sensor is trained on at least, if its history has them. Older "
        "ones than `TRAINING_SECONDS` are read for sensors that report rarely.",
    )
    training_days: int = Field(
        60, ge=1, le=3650, description="Age limit of windows that are read because of `TRAINING_WINDOWS`, in days."
    )
    minimum_training_windows: int = Field(100, ge=2, description="Windows that a sensor needs for a model.")
    auto_weights_days: float = Field(
        7.0,
        ge=0,
        description="Age at which training finds new member weights for a sensor with `auto`, in days. With 0, every "
        "training does.",
    )
    auto_weights_sensors: int = Field(
        200,
        ge=0,
        description="Most sensors for which one training task finds new member weights, oldest weights first.",
    )
    new_normal_seconds: int = Field(
        21_600, ge=1, description="Time after which `auto` and `ensemble` treat a lasting change as normal, in seconds."
    )
    promotion_holdout_share: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of the newest training windows on which a new model is tested before it is used. With 0, "
        "the test is skipped.",
    )
    promotion_max_flagged_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Largest share of training or hold-out windows that a new model may flag to be used.",
    )
    model_stale_seconds: int = Field(
        3 * DAY_SECONDS,
        ge=1,
        description="Age of a model's newest training window at which a sensor with newer windows is shown as stale, "
        "in seconds.",
    )
    sensor_silent_seconds: int = Field(
        3600, ge=1, description="Age of a sensor's newest window at which the sensor is shown as stale, in seconds."
    )
    prediction_format: Literal["parquet", "csv"] = Field("parquet", description="Format of the prediction files.")
