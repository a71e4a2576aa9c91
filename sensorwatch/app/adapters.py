"""Adapters for the settings, created on first use and kept for the life of the process.

Importing this module loads no SDK, because a function app often starts cold, and each trigger needs only some of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from sensorwatch.alerts.records import IncidentRules
from sensorwatch.clock import utc_now
from sensorwatch.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import BlobServiceClient

    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.ports import AlertSink
    from sensorwatch.alerts.state_machine import AlertRules
    from sensorwatch.app.configuration import CurrentConfiguration
    from sensorwatch.clock import Clock
    from sensorwatch.config.file import Configuration
    from sensorwatch.ingestion.dead_letters import BlobDeadLetters
    from sensorwatch.ingestion.sender import EventHubSender
    from sensorwatch.models.checkpoint_files import BlobCheckpoints
    from sensorwatch.models.registry import BlobModelRegistry
    from sensorwatch.scheduling.pool import BatchPool
    from sensorwatch.sensors.downtime import DowntimePlan
    from sensorwatch.sensors.states import Freshness
    from sensorwatch.settings import Settings
    from sensorwatch.store import SqlStore
    from sensorwatch.tasks.logs import BlobTaskLogs
    from sensorwatch.tasks.prediction_files import BlobPredictionFiles

__all__ = ["Adapters"]


@dataclass(frozen=True)
class Adapters:
    """Adapters selected by the settings.

    Parameters
    ----------
    settings
        Settings of the process.
    clock
        Current time (UTC).
    """

    settings: Settings
    clock: Clock = utc_now

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the adapters for the settings in an environment.

        Raises
        ------
        SettingsError
            A setting is missing or invalid.
        """
        return cls(load_settings(environment))

    @cached_property
    def store(self) -> SqlStore:
        """SQL store."""
        from sensorwatch.store import open_store

        settings = self.settings
        return open_store(
            settings.database_url.get_secret_value(),
            shard_size=settings.shard_size,
            clock=self.clock,
            incident_rules=IncidentRules(
                sensors=settings.incident_sensors,
                seconds=settings.incident_seconds,
                site_pattern=settings.incident_site_pattern or "",
            ),
        )

    @cached_property
    def blobs(self) -> BlobServiceClient:
        """Client of the storage account."""
        from sensorwatch.azure.blobs import blob_service

        connection = self.settings.storage_connection
        return blob_service(connection.get_secret_value() if connection else None, self.settings.storage_account)

    @property
    def containers(self) -> tuple[str, ...]:
        """Names of the blob containers."""
        settings = self.settings
        return (
            settings.models_container,
            settings.predictions_container,
            settings.dead_letters_container,
            settings.task_logs_container,
            settings.machines_container,
        )

    @cached_property
    def models(self) -> BlobModelRegistry:
        """Registry of the primary models."""
        from sensorwatch.models.registry import BlobModelRegistry

        return BlobModelRegistry(self.blobs.get_container_client(self.settings.models_container))

    def model_registry(self, name: str) -> BlobModelRegistry:
        """Return the registry of the primary models (``own``) or of a challenger, by its configured name."""
        from sensorwatch.config.serving import PRIMARY_MODEL
        from sensorwatch.models.registry import BlobModelRegistry

        if name == PRIMARY_MODEL:
            return self.models
        return BlobModelRegistry(self.blobs.get_container_client(self.settings.models_container), f"serving={name}/")

    @cached_property
    def checkpoints(self) -> BlobCheckpoints:
        """Detector checkpoints, in the container of the models."""
        from sensorwatch.models.checkpoint_files import BlobCheckpoints

        return BlobCheckpoints(self.blobs.get_container_client(self.settings.models_container))

    @property
    def configuration(self) -> Configuration:
        """Configuration in force; a changed ``sensorwatch.yaml`` or calendar is read again after some seconds.

        Raises
        ------
        SettingsError
            The file is missing or invalid, and no former configuration is in force.
        """
        return self._current_configuration.current().configuration

    @property
    def _configuration_content(self) -> bytes:
        return self._current_configuration.current().content

    @cached_property
    def _current_configuration(self) -> CurrentConfiguration:
        from sensorwatch.app.configuration import CurrentConfiguration
        from sensorwatch.config.stored import read_configuration

        settings = self.settings

        def read() -> bytes:
            return read_configuration(
                settings.configuration_file,
                lambda: self.blobs.get_container_client(settings.models_container),
                required="configuration_file" in settings.model_fields_set,
            )

        return CurrentConfiguration(settings.configuration_file, read)

    @cached_property
    def prediction_files(self) -> BlobPredictionFiles:
        """Prediction files."""
        from sensorwatch.tasks.prediction_files import BlobPredictionFiles

        return BlobPredictionFiles(
            self.blobs.get_container_client(self.settings.predictions_container), self.settings.prediction_format
        )

    @cached_property
    def dead_letters(self) -> BlobDeadLetters:
        """Dead letters."""
        from sensorwatch.ingestion.dead_letters import BlobDeadLetters

        return BlobDeadLetters(self.blobs.get_container_client(self.settings.dead_letters_container))

    @cached_property
    def task_logs(self) -> BlobTaskLogs:
        """Logs of tasks."""
        from sensorwatch.tasks.logs import BlobTaskLogs

        return BlobTaskLogs(self.blobs.get_container_client(self.settings.task_logs_container))

    @cached_property
    def pool(self) -> BatchPool:
        """Batch pool."""
        from sensorwatch.scheduling.batch_client import batch_client
        from sensorwatch.scheduling.pool import BatchPool

        settings = self.settings
        task_logs = self.blobs.get_container_client(settings.task_logs_container)
        key = settings.batch_account_key
        return BatchPool(
            batch_client(
                settings.batch_account_url, settings.batch_account_name, key.get_secret_value() if key else None
            ),
            settings.batch_pool_id,
            task_environment=settings.task_environment(),
            task_logs_url=task_logs.url,
            task_logs=task_logs,
            image=settings.task_image,
            identity_id=settings.task_identity_id,
            retries=settings.task_retries,
            timeout_seconds=settings.task_timeout_seconds,
            before_submission=self._store_configuration,
        )

    def _store_configuration(self) -> dict[str, str]:
        """Store the configuration for a run's tasks, and return the setting that names it."""
        from sensorwatch.config.stored import store_configuration

        container = self.blobs.get_container_client(self.settings.models_container)
        return {"CONFIGURATION_FILE": store_configuration(container, self._configuration_content)}

    def sender(self) -> EventHubSender:
        """Return a new sender to the event hub; the caller must close it."""
        from sensorwatch.ingestion.sender import open_sender

        connection = self.settings.event_hub_connection
        return open_sender(
            connection.get_secret_value() if connection else None,
            self.settings.event_hub_namespace,
            self.settings.event_hub_name,
        )

    @cached_property
    def sinks(self) -> tuple[AlertSink, ...]:
        """Alert sinks that the settings enable."""
        from sensorwatch.alerts.sinks import sinks

        return sinks(self.settings, self.clock)

    @property
    def alert_rules(self) -> AlertRules:
        """Alert rules from the settings."""
        from sensorwatch.alerts.state_machine import AlertRules

        return AlertRules(
            self.settings.alert_anomalous_windows, self.settings.alert_recent_windows, self.settings.alert_quiet_seconds
        )

    @property
    def freshness(self) -> Freshness:
        """Times since which windows and models count as fresh, as of now."""
        from sensorwatch.sensors.states import Freshness

        return Freshness.at(
            self.clock(),
            no_data_seconds=self.settings.sensor_silent_seconds,
            model_stale_seconds=self.settings.model_stale_seconds,
        )

    @property
    def alert_policy(self) -> AlertPolicy:
        """Alert policy: rules and downtime in the configuration in force, with defaults from the settings.

        Raises
        ------
        SettingsError
            The configuration is invalid, and no former one is in force.
        """
        configuration = self.configuration
        made = self.__dict__.get("_alert_policy")
        if made is None or made[0] is not configuration:
            # One assignment, so that no thread sees the policy of another configuration.
            made = self.__dict__["_alert_policy"] = (configuration, self.policy_of(configuration))
        policy: AlertPolicy = made[1]
        return policy

    def policy_of(self, configuration: Configuration) -> AlertPolicy:
        """Return the alert policy of a configuration, with defaults from the settings."""
        from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy

        settings = self.settings
        defaults = AlertDefaults(
            rules=self.alert_rules,
            quiet_intervals=settings.alert_quiet_intervals,
            no_data_intervals=settings.no_data_intervals,
            no_data_floor_seconds=settings.no_data_floor_seconds,
            retired_seconds=settings.retired_seconds,
            flatline_seconds=settings.flatline_seconds,
            window_seconds=settings.window_seconds,
        )
        return AlertPolicy(defaults, configuration.alerts, configuration.downtimes)

    @property
    def downtime(self) -> DowntimePlan:
        """Planned downtime of sensors."""
        from sensorwatch.sensors.downtime import DowntimePlan

        return DowntimePlan(self.configuration.downtimes, self.settings.window_seconds)

    def prepare(self, *, pool: bool) -> None:
        """Create missing containers, migrate the tables, and create or update the pool if ``pool`` is true."""
        from sensorwatch.azure.blobs import ensure_containers

        self.store.check()
        ensure_containers(self.blobs, self.containers)
        if pool:
            self.pool.ensure_pool(max_nodes=self.settings.max_nodes, slots_per_node=self.settings.task_slots_per_node)
