"""Settings of the connections to database, storage and Event Hubs, and names of the containers."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from sensorwatch.settings.group import ContainerName, SettingsGroup

__all__ = ["DATABASE_PREFIX_SQLITE", "ConnectionSettings", "ContainerSettings"]

DATABASE_PREFIX_SQLITE = "sqlite:///"


class ConnectionSettings(SettingsGroup):
    """Database, storage and Event Hubs."""

    database_url: SecretStr = Field(description="SQLAlchemy URL of the database: `mssql+pyodbc://…` or `sqlite:///…`.")
    storage_connection: SecretStr | None = Field(
        None, alias="AzureWebJobsStorage", description="Connection string of the storage account."
    )
    storage_account: str | None = Field(
        None,
        alias="AzureWebJobsStorage__accountName",
        description="Name of the storage account, for access by identity.",
    )
    event_hub_connection: SecretStr | None = Field(
        None, alias="EventHub", description="Connection string of the Event Hubs namespace."
    )
    event_hub_namespace: str | None = Field(
        None,
        alias="EventHub__fullyQualifiedNamespace",
        description="Host name of the Event Hubs namespace, for access by identity.",
    )
    event_hub_name: str = Field("readings", description="Event hub that receives the readings.")
    event_hub_consumer_group: str = Field("$Default", description="Consumer group of the ingest function.")
    serving_consumer_group: str | None = Field(
        None, description="Consumer group of the serve function. Without it, real-time scoring is off."
    )

    @property
    def event_hub_endpoint(self) -> str | None:
        """Endpoint in the connection string of Event Hubs, ``sb://…``; it holds no secret."""
        connection = self.event_hub_connection.get_secret_value() if self.event_hub_connection else ""
        pairs = (part.partition("=") for part in connection.split(";"))
        return next((value for key, _, value in pairs if key.strip().lower() == "endpoint"), None)

    @property
    def event_hub_is_local(self) -> bool:
        """True if the event hub is a server on this machine."""
        return urlsplit(self.event_hub_endpoint or "").hostname in {"127.0.0.1", "::1", "localhost"}

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("mssql+pyodbc://", DATABASE_PREFIX_SQLITE)):
            raise ValueError("must start with mssql+pyodbc:// or sqlite:///")
        return value


class ContainerSettings(SettingsGroup):
    """Blob containers."""

    models_container: ContainerName = Field("models", description="Blob container of the models.")
    predictions_container: ContainerName = Field("predictions", description="Blob container of the prediction files.")
    dead_letters_container: ContainerName = Field(
        "dead-letters", description="Blob container of the dead letters: readings that are unusable or too late."
    )
    task_logs_container: ContainerName = Field(
        "task-logs", description="Blob container of the tasks' standard output and standard error."
    )
    machines_container: ContainerName = Field(
        "machines", description="Blob container of the data and models of machines."
    )
