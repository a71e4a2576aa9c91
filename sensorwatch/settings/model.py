"""All settings, validated together."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr, model_validator

from sensorwatch.settings.alerts import AlertSettings
from sensorwatch.settings.api import ApiSettings
from sensorwatch.settings.batch import BatchSettings
from sensorwatch.settings.connections import ConnectionSettings, ContainerSettings
from sensorwatch.settings.group import DAY_SECONDS
from sensorwatch.settings.machines import MachineSettings
from sensorwatch.settings.models import ModelSettings
from sensorwatch.settings.notifications import NotificationSettings
from sensorwatch.settings.realtime import RealTimeSettings
from sensorwatch.settings.telemetry import TelemetrySettings
from sensorwatch.settings.timers import TimerSettings
from sensorwatch.settings.windows import WindowSettings

__all__ = ["Settings"]


# Pydantic collects fields from the last base to the first, and the documentation lists them in its order.
class Settings(
    TelemetrySettings,
    NotificationSettings,
    AlertSettings,
    ApiSettings,
    BatchSettings,
    MachineSettings,
    RealTimeSettings,
    TimerSettings,
    ModelSettings,
    WindowSettings,
    ContainerSettings,
    ConnectionSettings,
):
    """All settings, frozen; a field is its environment variable in lower case.

    Secrets are :class:`~pydantic.SecretStr`: their ``repr`` shows asterisks.
    """

    @model_validator(mode="after")
    def _retention_beyond_training(self) -> Self:
        days = self.window_retention_days
        if days is not None and days * DAY_SECONDS < self.training_seconds:
            raise ValueError(
                f"WINDOW_RETENTION_DAYS ({days}) must not be shorter than TRAINING_SECONDS "
                f"({self.training_seconds}, {self.training_seconds / DAY_SECONDS:g} days): training needs these windows"
            )
        return self

    @model_validator(mode="after")
    def _namespace_of_alerts(self) -> Self:
        if self.alert_event_hub_name and not (self.event_hub_connection or self.event_hub_namespace):
            raise ValueError("EventHub: missing; it is needed because ALERT_EVENT_HUB_NAME is set")
        return self

    def task_environment(self) -> dict[str, str]:
        """Return the settings that were set, as environment variables for a Batch task, without secrets.

        Everybody who may read the Batch account can read a task's environment. So connection strings stay out, and so
        does a database URL with a password: give the pool an identity, or set them on its nodes.
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
