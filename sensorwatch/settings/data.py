"""The settings of what readings pass through: connections, containers, windows, models, timers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

__all__ = ["DATABASE_PREFIX_SQLITE", "DAY_SECONDS", "ContainerName", "DataSettings", "Schedule"]

DAY_SECONDS = 86_400
DATABASE_PREFIX_SQLITE = "sqlite:///"

ContainerName = Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$")]
Schedule = Annotated[str, Field(pattern=r"^\S+( \S+){5}$")]


class DataSettings(BaseModel):
    """The first half of :class:`~sensorwatch.settings.Settings`."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=False, str_strip_whitespace=True)

    # Connections
    database_url: SecretStr = Field(
        alias="DATABASE_URL", description="SQLAlchemy URL of the database: `mssql+pyodbc://…` or `sqlite:///…`."
    )
    storage_connection: SecretStr | None = Field(
        None, alias="AzureWebJobsStorage", description="Connection string of the storage account."
    )
    storage_account: str | None = Field(
        None, alias="AzureWebJobsStorage__accountName", description="Name of the storage account, reached by identity."
    )
    event_hub_connection: SecretStr | None = Field(
        None, alias="EventHub", description="Connection string of the Event Hubs namespace."
    )
    event_hub_namespace: str | None = Field(
        None,
        alias="EventHub__fullyQualifiedNamespace",
        description="Host name of the Event Hubs namespace, reached by identity.",
    )
    event_hub_name: str = Field("readings", alias="EVENT_HUB_NAME", description="Event hub that carries the readings.")
    event_hub_consumer_group: str = Field(
        "$Default", alias="EVENT_HUB_CONSUMER_GROUP", description="Consumer group of the ingest function."
    )

    serving_consumer_group: str | None = Field(
        None,
        alias="SERVING_CONSUMER_GROUP",
        description="Consumer group of the serve function, which scores in real time; without it nothing does.",
    )

    # Containers
    models_container: ContainerName = Field(
        "models", alias="MODELS_CONTAINER", description="Blob container of the model shards."
    )
    predictions_container: ContainerName = Field(
        "predictions", alias="PREDICTIONS_CONTAINER", description="Blob container of the prediction files."
    )
    dead_letters_container: ContainerName = Field(
        "dead-letters", alias="DEAD_LETTERS_CONTAINER", description="Blob container of readings that can't be used."
    )
    task_logs_container: ContainerName = Field(
        "task-logs", alias="TASK_LOGS_CONTAINER", description="Blob container of the tasks' stdout and stderr."
    )
    machines_container: ContainerName = Field(
        "machines", alias="MACHINES_CONTAINER", description="Blob container of the machines' data and models."
    )

    # Windows
    window_seconds: int = Field(
        5, alias="WINDOW_SECONDS", ge=1, le=DAY_SECONDS, description="Length of a window; divides a day."
    )
    window_time: Literal["event", "arrival"] = Field(
        "event",
        alias="WINDOW_TIME",
        description="Time that decides a reading's window: its own TS (`event`) or when the hub took it (`arrival`).",
    )
    lateness_seconds: int = Field(
        3600,
        alias="LATENESS_SECONDS",
        ge=0,
        description="How far behind its sensor's newest window a reading may be before it is late.",
    )
    late_policy: Literal["update", "drop"] = Field(
        "update",
        alias="LATE_POLICY",
        description="A reading whose window was scored already: corrects it (`update`) or is late (`drop`).",
    )
    future_seconds: int = Field(
        300,
        alias="FUTURE_SECONDS",
        ge=0,
        description="How far ahead of its arrival a reading's TS may be before it is invalid.",
    )
    earliest_time: AwareDatetime = Field(
        datetime(2000, 1, 1, tzinfo=UTC), alias="EARLIEST_TIME", description="Readings before this are invalid."
    )
    max_body_bytes: int = Field(1_048_576, alias="MAX_BODY_BYTES", ge=1, description="Larger event bodies are invalid.")

    window_retention_days: int | None = Field(
        None,
        alias="WINDOW_RETENTION_DAYS",
        ge=1,
        description="Windows, and what real time said of them, are deleted after this; left out, they are kept.",
    )

    # Shards and models
    shard_size: int = Field(
        1000,
        alias="SHARD_SIZE",
        ge=1,
        le=100_000,
        description="Sensors in a shard: consecutive ids, one task each run. Fixed once there are windows.",
    )
    detector: str = Field("auto", alias="DETECTOR", description="Detector of sensors that no rule gives another.")
    warming_detector: str = Field(
        "range",
        alias="WARMING_DETECTOR",
        description="Detector that stands in while a sensor is warming; `none`: a warming sensor is not scored.",
    )
    warming_windows: int = Field(
        20, alias="WARMING_WINDOWS", ge=2, description="Windows that a warming sensor needs for that."
    )
    configuration_file: str = Field(
        "sensorwatch.yaml", alias="CONFIGURATION_FILE", description="File with the rules: which sensor gets what."
    )
    training_seconds: int = Field(
        DAY_SECONDS,
        alias="TRAINING_SECONDS",
        ge=1,
        description="Length of the training range, back from a sensor's newest window.",
    )
    minimum_training_windows: int = Field(
        100,
        alias="MINIMUM_TRAINING_WINDOWS",
        ge=2,
        description="Windows a sensor needs in the training range before it gets a model.",
    )
    auto_weights_days: float = Field(
        7.0,
        alias="AUTO_WEIGHTS_DAYS",
        ge=0,
        description="Age from which the weights of `auto` are found anew for a sensor; 0: at each training.",
    )
    auto_weights_sensors: int = Field(
        200,
        alias="AUTO_WEIGHTS_SENSORS",
        ge=0,
        description="Sensors that one training task does that for at most, those with the oldest weights first.",
    )
    new_normal_seconds: int = Field(
        21_600,
        alias="NEW_NORMAL_SECONDS",
        ge=1,
        description="How long `auto` and `ensemble` take a lasting change for an anomaly, until it is normal.",
    )
    promotion_holdout_share: float = Field(
        0.2,
        alias="PROMOTION_HOLDOUT_SHARE",
        ge=0,
        lt=1,
        description="Last share of its training windows that a new model is tried on; 0 leaves that out.",
    )
    promotion_max_flagged_share: float = Field(
        0.5,
        alias="PROMOTION_MAX_FLAGGED_SHARE",
        ge=0,
        le=1,
        description="A new model that flags more of them, or of all it was trained on, is not used.",
    )
    model_stale_seconds: int = Field(
        3 * DAY_SECONDS,
        alias="MODEL_STALE_SECONDS",
        ge=1,
        description="A sensor with newer windows whose model saw none for this long is shown as stale.",
    )
    sensor_silent_seconds: int = Field(
        3600,
        alias="SENSOR_SILENT_SECONDS",
        ge=1,
        description="A sensor without a window for this long is shown as stale.",
    )
    prediction_format: Literal["parquet", "csv"] = Field(
        "parquet", alias="PREDICTION_FORMAT", description="Format of the prediction files."
    )

    # Timers
    train_schedule: Schedule = Field(
        "0 0 1 * * *", alias="TRAIN_SCHEDULE", description="When training is planned (NCRONTAB, six fields, UTC)."
    )
    score_schedule: Schedule = Field(
        "0 */5 * * * *", alias="SCORE_SCHEDULE", description="When scoring is planned (NCRONTAB, six fields, UTC)."
    )
    sweep_schedule: Schedule = Field(
        "*/30 * * * * *",
        alias="SWEEP_SCHEDULE",
        description="When ended jobs, missed prediction files and waiting notifications are looked after.",
    )
    housekeeping_schedule: Schedule = Field(
        "0 30 2 * * *", alias="HOUSEKEEPING_SCHEDULE", description="When old jobs are deleted."
    )
    maintenance_schedule: Schedule = Field(
        "0 20 * * * *",
        alias="MAINTENANCE_SCHEDULE",
        description="When it is looked whether training or scoring of machines is due (NCRONTAB, six fields, UTC).",
    )
    settle_seconds: int = Field(
        30, alias="SETTLE_SECONDS", ge=0, description="A window is scored when its end is this far in the past."
    )
    run_window_seconds: int = Field(
        60,
        alias="RUN_WINDOW_SECONDS",
        ge=1,
        le=DAY_SECONDS,
        description="Runs planned within the same such span are one run.",
    )
    max_tasks_per_run: int = Field(
        10_000,
        alias="MAX_TASKS_PER_RUN",
        ge=1,
        description="Tasks of a run at most: the most overdue shards first, the others wait for the next run.",
    )

    blob_trigger_source: Literal["LogsAndContainerScan", "EventGrid"] = Field(
        "LogsAndContainerScan",
        alias="BLOB_TRIGGER_SOURCE",
        description="How the host learns of prediction files; Flex Consumption plans need EventGrid.",
    )

    @field_validator("window_seconds", "run_window_seconds")
    @classmethod
    def _divides_a_day(cls, value: int) -> int:
        if DAY_SECONDS % value:
            raise ValueError(f"must divide {DAY_SECONDS} (a day); try 5, 10, 15, 20, 30 or 60")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("mssql+pyodbc://", DATABASE_PREFIX_SQLITE)):
            raise ValueError("must start with mssql+pyodbc:// or sqlite:///")
        return value

    @model_validator(mode="after")
    def _retention_beyond_training(self) -> Self:
        days = self.window_retention_days
        if days is not None and days * DAY_SECONDS < self.training_seconds:
            raise ValueError(
                f"WINDOW_RETENTION_DAYS ({days}) must not be shorter than TRAINING_SECONDS "
                f"({self.training_seconds}, {self.training_seconds / DAY_SECONDS:g} days), which are trained on"
            )
        return self
