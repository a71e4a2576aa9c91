"""Named connections of bindings: a connection string, or an identity with ``NAME__…`` settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient

from local.functions_host.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HOST_STORAGE", "Connections"]

HOST_STORAGE = "AzureWebJobsStorage"

# The checkpoint store has its own copy of the storage SDK, which does not support the emulator's short form. The
# account and key are the emulator's published ones.
_DEVELOPMENT_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
)
# The SDK's first retry is after 15 s, but listeners must detect a recovered service within seconds. They try again
# without limit anyway.
_STORAGE_OPTIONS: dict[str, Any] = {
    "retry_total": 1,
    "initial_backoff": 1,
    "increment_base": 1,
    "connection_timeout": 5,
    "read_timeout": 30,
}


class Connections:
    """Factory of clients for named connections; ``settings`` are the app settings."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings

    def check_storage(self, name: str, where: str) -> None:
        """Raise a :class:`HostError` if the settings have no storage account for the connection."""
        if not self._text(name) and not self._account_url(name):
            raise HostError(
                f"{where}: connection {name} is missing; set the app setting {name} to a connection string, or "
                f"{name}__accountName to use an identity"
            )

    def check_event_hub(self, name: str, where: str) -> None:
        """Raise a :class:`HostError` if the settings have no Event Hubs namespace for the connection."""
        if not self._text(name) and not self._text(f"{name}__fullyQualifiedNamespace"):
            raise HostError(
                f"{where}: connection {name} is missing; set the app setting {name} to a connection string, or "
                f"{name}__fullyQualifiedNamespace to use an identity"
            )

    def storage(self, name: str) -> BlobServiceClient:
        """Create a blob client; close it after use."""
        text = self._text(name)
        if text:
            return BlobServiceClient.from_connection_string(_expand(text), **_STORAGE_OPTIONS)
        return BlobServiceClient(self._account_url(name), credential=DefaultAzureCredential(), **_STORAGE_OPTIONS)

    def checkpoint_store(self, name: str, container: str) -> BlobCheckpointStore:
        """Create the SDK's checkpoint store in a container, which must exist before the store is used."""
        text = self._text(name)
        if text:
            return BlobCheckpointStore.from_connection_string(_expand(text), container, **_STORAGE_OPTIONS)
        return BlobCheckpointStore(
            self._account_url(name), container, credential=DefaultAzureCredential(), **_STORAGE_OPTIONS
        )

    def consumer(self, name: str, event_hub: str, consumer_group: str, **options: Any) -> EventHubConsumerClient:
        """Create an Event Hubs consumer; close it after use.

        Parameters
        ----------
        name
            Name of the connection.
        event_hub, consumer_group
            Event hub and consumer group.
        """
        text = self._text(name)
        if text:
            return EventHubConsumerClient.from_connection_string(
                text, consumer_group, eventhub_name=event_hub, **options
            )
        namespace = self._text(f"{name}__fullyQualifiedNamespace")
        return EventHubConsumerClient(namespace, event_hub, consumer_group, DefaultAzureCredential(), **options)

    def _text(self, key: str) -> str:
        # The real host prefers the prefixed setting, too.
        return self._settings.get(f"AzureWebJobs{key}", "") or self._settings.get(key, "")

    def _account_url(self, name: str) -> str:
        account = self._text(f"{name}__accountName")
        return self._text(f"{name}__blobServiceUri") or (f"https://{account}.blob.core.windows.net" if account else "")


def _expand(text: str) -> str:
    return _DEVELOPMENT_STORAGE if text.strip(" ;").lower() == "usedevelopmentstorage=true" else text
