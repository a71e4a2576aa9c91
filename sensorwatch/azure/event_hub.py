"""The producer client of Event Hubs, and the translation of its errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sensorwatch.errors import SettingsError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.eventhub import EventHubProducerClient

__all__ = ["open_producer", "translate_event_hub_errors"]


def open_producer(
    connection: str | None, namespace: str | None, hub: str, *, retries: int, timeout_seconds: float = 60.0
) -> EventHubProducerClient:
    """Return a producer client of a hub; nothing is connected yet.

    Parameters
    ----------
    connection
        Connection string of the namespace or hub; wins over ``namespace``.
    namespace
        Host name of the namespace, reached with the identity of the process.
    hub
        Name of the hub.
    retries
        Number of retries by the client itself.
    timeout_seconds
        Limit of the authentication.

    Raises
    ------
    SettingsError
        Neither is given, or the connection string can't be parsed; its text is never shown.
    """
    from azure.eventhub import EventHubProducerClient

    if connection:
        try:
            return EventHubProducerClient.from_connection_string(
                connection, eventhub_name=hub, retry_total=retries, auth_timeout=timeout_seconds
            )
        except ValueError as exc:
            raise SettingsError(
                "EventHub: expected a connection string "
                "(Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…), got a text that can't be used as one: "
                f"{exc}; copy it from the namespace's page `Shared access policies`"
            ) from None
    if namespace:
        from azure.identity import DefaultAzureCredential

        return EventHubProducerClient(
            namespace, hub, DefaultAzureCredential(), retry_total=retries, auth_timeout=timeout_seconds
        )
    raise SettingsError(
        "EventHub: missing; set it to the namespace's connection string, or set EventHub__fullyQualifiedNamespace to "
        "its host name to use an identity"
    )


@contextmanager
def translate_event_hub_errors(so_far: Callable[[], str] = str) -> Iterator[None]:
    """Translate the SDK's errors into the project's; ``so_far`` adds to a TransientError what was done before it.

    Raises
    ------
    SettingsError
        The hub refuses access.
    TransientError
        The hub can't be reached.
    """
    from azure.core.exceptions import ClientAuthenticationError
    from azure.eventhub.exceptions import AuthenticationError, EventHubError

    try:
        yield
    except (AuthenticationError, ClientAuthenticationError) as exc:
        raise SettingsError(
            f"the event hub refuses access: {_first_line(exc)}; check EventHub, or give the identity the role "
            "`Azure Event Hubs Data Sender`"
        ) from exc
    except EventHubError as exc:
        raise TransientError(f"the event hub can't be reached: {_first_line(exc)}{so_far()}") from exc


def _first_line(exc: Exception) -> str:
    lines = str(exc).splitlines()
    return lines[0] if lines else type(exc).__name__
