"""The settings: one line each, read once from the environment, validated before anything starts.

``docs/reference/settings.md`` lists them; a test holds the two together.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sensorwatch.local_times import parse_times, parse_zone
from sensorwatch.settings.data import DATABASE_PREFIX_SQLITE, DAY_SECONDS, DataSettings
from sensorwatch.sink_settings import (
    SmtpSecurity,
    Webhook,
    is_loopback,
    parse_recipients,
    parse_webhooks,
)

__all__ = ["DATABASE_PREFIX_SQLITE", "Settings"]


class Settings(DataSettings):
    """All settings, frozen; fields are named after their environment variables in lower case.

    Secrets are :class:`~pydantic.SecretStr`: their ``repr`` shows asterisks.
    """

    # Real time
    serving_deadline_ms: float = Field(
        50.0,
        alias="SERVING_DEADLINE_MS",
        gt=0,
        le=60_000,
        description="How long a batch of readings waits for its models, where no rule says otherwise.",
    )
    serving_poll_seconds: float = Field(
        2.0, alias="SERVING_POLL_SECONDS", gt=0, le=5, description="How often is looked for new versions of models."
    )
    serving_history_windows: int = Field(
        16,
        alias="SERVING_HISTORY_WINDOWS",
        ge=1,
        le=1000,
        description="Last windows kept of each sensor, for the detectors that look back.",
    )
    serving_max_sensors: int = Field(
        100_000,
        alias="SERVING_MAX_SENSORS",
        ge=1,
        description="Sensors of one partition kept in memory; those unheard of for longest are read back when needed.",
    )
    serving_threads: int = Field(
        16, alias="SERVING_THREADS", ge=1, le=256, description="Threads that models answer on, in one process."
    )

    # Predictive maintenance
    maintenance_times: str = Field(
        "00:15 12:15",
        alias="MAINTENANCE_TIMES",
        description="Times of day at which machines are due for scoring, with blanks between them.",
    )
    maintenance_time_zone: str = Field(
        "UTC", alias="MAINTENANCE_TIME_ZONE", description="IANA name of the time zone that those times are in."
    )
    maintenance_model: Literal["boosted", "forest", "tree"] = Field(
        "boosted", alias="MAINTENANCE_MODEL", description="Which classifier is trained."
    )
    maintenance_feedback_labels: bool = Field(
        True,
        alias="MAINTENANCE_FEEDBACK_LABELS",
        description="Whether alerts of machines that people confirmed train as failures.",
    )
    maintenance_horizon_days: float = Field(
        3.5,
        alias="MAINTENANCE_HORIZON_DAYS",
        gt=0,
        le=60,
        multiple_of=0.5,
        description="How far ahead failures are looked for, in days; whole half-days.",
    )
    maintenance_train_days: int = Field(
        7, alias="MAINTENANCE_TRAIN_DAYS", ge=1, description="A model is trained anew after so many days."
    )
    maintenance_rescore_days: int = Field(
        3, alias="MAINTENANCE_RESCORE_DAYS", ge=1, le=60, description="Days that each scoring goes back, for late data."
    )
    maintenance_validation_days: int = Field(
        60,
        alias="MAINTENANCE_VALIDATION_DAYS",
        ge=7,
        description="Length of the part that thresholds are calibrated on.",
    )
    maintenance_test_days: int = Field(
        60, alias="MAINTENANCE_TEST_DAYS", ge=7, description="Length of the part that a new model is measured on."
    )
    maintenance_alert_warnings: int = Field(
        2,
        alias="MAINTENANCE_ALERT_WARNINGS",
        ge=1,
        description="Half-days at which a component warns, a day apart at most, that open an alert.",
    )
    machines_per_shard: int = Field(
        250,
        alias="MACHINES_PER_SHARD",
        ge=1,
        description="Machines in a shard: consecutive ids, one scoring task each run. Fixed once there are data.",
    )

    # Azure Batch
    batch_account_url: str | None = Field(
        None, alias="BATCH_ACCOUNT_URL", pattern=r"^https?://[^/]+/?$", description="Endpoint of the Batch account."
    )
    batch_account_name: str | None = Field(
        None, alias="BATCH_ACCOUNT_NAME", description="Name of the Batch account; needed with a key only."
    )
    batch_account_key: SecretStr | None = Field(
        None, alias="BATCH_ACCOUNT_KEY", description="Key of the Batch account; leave it out to use an identity."
    )
    batch_pool_id: str = Field(
        "sensorwatch", alias="BATCH_POOL_ID", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Pool that runs the tasks."
    )
    task_image: str | None = Field(
        None, alias="TASK_IMAGE", description="Container image of the tasks; without it they run on the node itself."
    )
    task_identity_id: str | None = Field(
        None,
        alias="TASK_IDENTITY_ID",
        description="Resource id of the pool's user-assigned identity, which uploads the tasks' logs.",
    )
    task_retries: int = Field(
        2, alias="TASK_RETRIES", ge=0, le=10, description="How often a failed task is tried again."
    )
    task_timeout_seconds: int = Field(
        3600, alias="TASK_TIMEOUT_SECONDS", ge=1, description="A task that runs longer is ended."
    )
    max_nodes: int = Field(
        20,
        alias="MAX_NODES",
        ge=1,
        le=10_000,
        description="Nodes that a pool made by `sensorwatch init --pool` grows to at most; plans count on them.",
    )
    task_slots_per_node: int = Field(
        4, alias="TASK_SLOTS_PER_NODE", ge=1, le=256, description="Tasks that a node of such a pool runs at once."
    )
    node_price_per_hour: float | None = Field(
        None, alias="NODE_PRICE_PER_HOUR", ge=0, description="What a node of the pool costs an hour, for estimates."
    )
    node_price_currency: str = Field("EUR", alias="NODE_PRICE_CURRENCY", description="The currency of that price.")
    job_retention_days: int = Field(
        7, alias="JOB_RETENTION_DAYS", ge=1, description="Ended jobs are deleted after this."
    )

    # API
    api_authentication: Literal["key", "entra", "local"] = Field(
        "key",
        alias="API_AUTHENTICATION",
        description="How requests show who sent them: function key, App Service authentication, or from this machine.",
    )
    api_key_role: Literal["read", "operator"] = Field(
        "read", alias="API_KEY_ROLE", description="What who has a function key may do."
    )
    api_read_role: str = Field(
        "Sensorwatch.Read", alias="API_READ_ROLE", description="App role in Entra that may look."
    )
    api_operator_role: str = Field(
        "Sensorwatch.Operator", alias="API_OPERATOR_ROLE", description="App role in Entra that may also act."
    )

    # Alerts
    alert_anomalous_windows: int = Field(
        3, alias="ALERT_ANOMALOUS_WINDOWS", ge=1, description="Anomalous windows (k of the last n) that open an alert."
    )
    alert_recent_windows: int = Field(
        5, alias="ALERT_RECENT_WINDOWS", ge=1, le=1000, description="Windows (n) among which they are counted."
    )
    alert_quiet_seconds: int = Field(
        300,
        alias="ALERT_QUIET_SECONDS",
        ge=0,
        description="An alert clears after this long without an anomalous window.",
    )
    incident_sensors: int = Field(
        3,
        alias="INCIDENT_SENSORS",
        ge=2,
        description="So many sensors of one device or site alerting together are one incident, told once.",
    )
    incident_seconds: int = Field(
        300, alias="INCIDENT_SECONDS", ge=0, description="Alerts that open at most this far apart are together."
    )
    incident_site_pattern: str | None = Field(
        None,
        alias="INCIDENT_SITE_PATTERN",
        description="Regular expression that takes the site from a device's name; without it incidents are by device.",
    )
    no_data_intervals: float = Field(
        10.0,
        alias="NO_DATA_INTERVALS",
        gt=0,
        description="A sensor is silent when nothing came for so many of its usual intervals.",
    )
    no_data_floor_seconds: int = Field(
        300, alias="NO_DATA_FLOOR_SECONDS", ge=1, description="And for at least this long."
    )
    retired_seconds: int = Field(
        7 * DAY_SECONDS,
        alias="RETIRED_SECONDS",
        ge=1,
        description="A sensor whose newest window is older than this is retired, not silent.",
    )
    flatline_seconds: int = Field(
        3600,
        alias="FLATLINE_SECONDS",
        ge=1,
        description="A sensor that varies normally is flat when all windows of so long are equal.",
    )

    # Notifications
    dashboard_url: str | None = Field(
        None, alias="DASHBOARD_URL", pattern=r"^https?://\S+$", description="Where the dashboard is, for links to it."
    )
    webhooks: SecretStr | None = Field(
        None,
        alias="WEBHOOKS",
        description="Where alerts are posted: `name=https://…`, several with blanks between them; "
        "`name=teams+https://…` and `name=slack+https://…` for those.",
    )
    webhook_secret: SecretStr | None = Field(
        None, alias="WEBHOOK_SECRET", description="Key that signs what is posted; without it nothing is signed."
    )
    alert_event_hub_name: str | None = Field(
        None, alias="ALERT_EVENT_HUB_NAME", description="Event hub that alerts are sent to, in the same namespace."
    )
    smtp_host: str | None = Field(None, alias="SMTP_HOST", description="Mail server that sends alerts by e-mail.")
    smtp_port: int = Field(587, alias="SMTP_PORT", ge=1, le=65_535, description="Its port.")
    smtp_security: SmtpSecurity = Field(
        "starttls",
        alias="SMTP_SECURITY",
        description="Encryption: `starttls`, `tls` from the start, or `none` for a server on the same machine.",
    )
    smtp_user: str | None = Field(None, alias="SMTP_USER", description="User name on the mail server, if it wants one.")
    smtp_password: SecretStr | None = Field(None, alias="SMTP_PASSWORD", description="Password of that user.")
    email_from: str | None = Field(None, alias="EMAIL_FROM", description="Sender of the e-mails.")
    email_to: str | None = Field(
        None, alias="EMAIL_TO", description="Recipients of the e-mails, with commas between them."
    )
    notification_timeout_seconds: float = Field(
        10.0,
        alias="NOTIFICATION_TIMEOUT_SECONDS",
        gt=0,
        le=300,
        description="A sink that does not answer for this long has failed.",
    )
    notification_run_seconds: float = Field(
        20.0,
        alias="NOTIFICATION_RUN_SECONDS",
        gt=0,
        le=300,
        description="How long one timer or trigger goes on delivering; the next one takes up the rest.",
    )
    notification_retry_seconds: float = Field(
        5.0,
        alias="NOTIFICATION_RETRY_SECONDS",
        gt=0,
        le=3600,
        description="Pause after the first failed try; it doubles with every try, up to ten minutes.",
    )
    notification_max_age_seconds: int = Field(
        3 * DAY_SECONDS,
        alias="NOTIFICATION_MAX_AGE_SECONDS",
        ge=1,
        description="A sink that could not take a notification for this long does not get it.",
    )

    # Telemetry
    telemetry_exporter: Literal["none", "console", "file", "otlp", "azure"] = Field(
        "none", alias="TELEMETRY_EXPORTER", description="Where traces and metrics go; `console` is standard error."
    )
    telemetry_file: str = Field(
        ".local/telemetry.jsonl",
        alias="TELEMETRY_FILE",
        description="Name of the files of the exporter `file`; each process adds its start time and its id.",
    )
    telemetry_file_bytes: int = Field(
        67_108_864,
        alias="TELEMETRY_FILE_BYTES",
        ge=65_536,
        description="Size limit of all telemetry files together, in bytes; the oldest files make room.",
    )
    otlp_endpoint: str = Field(
        "http://127.0.0.1:4318",
        alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        pattern=r"^https?://[^/]+",
        description="Collector of the exporter `otlp`, over HTTP.",
    )
    applicationinsights_connection_string: str | None = Field(
        None,
        alias="APPLICATIONINSIGHTS_CONNECTION_STRING",
        description="Application Insights of the exporter `azure`, written to by identity.",
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

    @field_validator("webhooks")
    @classmethod
    def _good_webhooks(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_webhooks(value.get_secret_value())
        return value

    @field_validator("email_from", "email_to")
    @classmethod
    def _good_addresses(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and len(parse_recipients(value)) > 1 and info.field_name == "email_from":
            raise ValueError("expected one address")
        return value

    @model_validator(mode="after")
    def _whole_sinks(self) -> Settings:
        if self.smtp_host is not None:
            for key, value in (("EMAIL_FROM", self.email_from), ("EMAIL_TO", self.email_to)):
                if value is None:
                    raise ValueError(
                        f"{key}: missing; SMTP_HOST is set, so e-mails need it: {self.description_of(key)}"
                    )
            if self.smtp_security == "none" and not is_loopback(self.smtp_host):
                raise ValueError(
                    "SMTP_SECURITY: expected starttls or tls, as alerts and passwords must not travel in the clear; "
                    "got `none`, which is for a server on the same machine only"
                )
        if self.alert_event_hub_name and not (self.event_hub_connection or self.event_hub_namespace):
            raise ValueError("EventHub: missing; ALERT_EVENT_HUB_NAME is set, so its namespace is needed")
        return self

    @model_validator(mode="after")
    def _whole_telemetry(self) -> Settings:
        if self.telemetry_exporter == "azure" and self.applicationinsights_connection_string is None:
            raise ValueError(
                "APPLICATIONINSIGHTS_CONNECTION_STRING: missing; TELEMETRY_EXPORTER is azure, so it is needed: copy it "
                "from the overview page of Application Insights"
            )
        return self

    @property
    def webhook_list(self) -> tuple[Webhook, ...]:
        """The webhooks, in the order in which they are given."""
        return () if self.webhooks is None else parse_webhooks(self.webhooks.get_secret_value())

    @property
    def email_recipients(self) -> tuple[str, ...]:
        """The recipients of e-mails."""
        return () if self.email_to is None else parse_recipients(self.email_to)

    @field_validator("incident_site_pattern")
    @classmethod
    def _regular_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as exc:
            raise ValueError(f"must be a regular expression ({exc}); try ^([^-]+)-") from None
        return value

    @model_validator(mode="after")
    def _anomalous_among_recent(self) -> Settings:
        if self.alert_anomalous_windows > self.alert_recent_windows:
            raise ValueError(
                f"ALERT_ANOMALOUS_WINDOWS ({self.alert_anomalous_windows}) must not exceed "
                f"ALERT_RECENT_WINDOWS ({self.alert_recent_windows})"
            )
        return self

    @classmethod
    def description_of(cls, key: str) -> str:
        """Return what a setting is, by its environment variable; empty for an unknown one."""
        return next((field.description or "" for field in cls.model_fields.values() if field.alias == key), "")

    def task_environment(self) -> dict[str, str]:
        """Return what a Batch task needs of the settings, as environment variables, without any secret.

        The Batch service shows a task's environment to whoever may read the account. So connection strings stay out,
        and so does a database URL with a password: give the pool an identity, or set them on its nodes.
        """
        values = {
            field.alias or name: value
            for name, field in type(self).model_fields.items()
            if name in self.model_fields_set
            and (value := getattr(self, name)) is not None
            and not isinstance(value, SecretStr)
        }
        environment = {key: _as_text(value) for key, value in values.items()}
        url = self.database_url.get_secret_value()
        if urlsplit(url).password is None and "pwd=" not in url.lower():
            environment["DATABASE_URL"] = url
        return environment


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
