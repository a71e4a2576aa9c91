"""Blob storage: one client for all containers, and the translation of its errors."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)

from sensorwatch.errors import ConflictError, NotFoundError, SensorwatchError, SettingsError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azure.storage.blob import BlobServiceClient

__all__ = ["blob_service", "ensure_containers", "translate_blob_errors"]

_CONNECT_TIMEOUT_SECONDS = 10
_RETRIES = 3
_PASSING_CONFLICTS = frozenset({"ContainerBeingDeleted", "ContainerDisabled", "OperationTimedOut", "ServerBusy"})
_SIGNATURE = re.compile(r"\bsig=[^&\s\"']+")


def blob_service(connection: str | None, account: str | None) -> BlobServiceClient:
    """Return a client of a storage account; nothing is connected yet.

    Parameters
    ----------
    connection
        Connection string of the account; wins over ``account``. ``UseDevelopmentStorage=true`` means Azurite on its
        default ports.
    account
        Name of the account, reached with the identity of the process (``DefaultAzureCredential``).

    Raises
    ------
    SettingsError
        Neither is given, or the connection string can't be parsed; its text is never shown.
    """
    from azure.storage.blob import BlobServiceClient, ExponentialRetry

    # The SDK's own policy sleeps 15 s before the first retry: longer than most blips last.
    retry = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=_RETRIES, random_jitter_range=1)
    if connection:
        try:
            return BlobServiceClient.from_connection_string(
                connection, retry_policy=retry, connection_timeout=_CONNECT_TIMEOUT_SECONDS
            )
        except ValueError:
            raise SettingsError(
                "AzureWebJobsStorage: expected a storage connection string "
                "(AccountName=…;AccountKey=…;EndpointSuffix=…) or `UseDevelopmentStorage=true`, got a text without "
                "those parts; copy it from the storage account's page `Access keys`"
            ) from None
    if account:
        from azure.identity import DefaultAzureCredential

        return BlobServiceClient(
            f"https://{account}.blob.core.windows.net",
            credential=DefaultAzureCredential(),
            retry_policy=retry,
            connection_timeout=_CONNECT_TIMEOUT_SECONDS,
        )
    raise SettingsError(
        "AzureWebJobsStorage: missing; set it to a storage connection string, or set "
        "AzureWebJobsStorage__accountName to the account's name to use an identity"
    )


def ensure_containers(service: BlobServiceClient, names: Iterable[str]) -> None:
    """Create missing containers; existing ones are only read, so an identity need not have the right to create them.

    Raises
    ------
    TransientError, SettingsError
        As :func:`translate_blob_errors` raises them.
    """
    for name in names:
        with translate_blob_errors():
            container = service.get_container_client(name)
            if not container.exists():
                try:
                    container.create_container()
                except ResourceExistsError as exc:
                    if getattr(exc, "error_code", None) != "ContainerAlreadyExists":
                        raise


@contextmanager
def translate_blob_errors() -> Iterator[None]:
    """Translate the Azure SDK's errors into this project's, with the original as the cause.

    Raises
    ------
    NotFoundError
        The blob or container does not exist.
    ConflictError
        The blob exists already, or its ETag is not the expected one.
    SettingsError
        The account refuses the key or the identity.
    TransientError
        The account can't be reached, is too slow or overloaded, and the SDK's retries are exhausted.
    SensorwatchError
        The account answered with another error.
    """
    try:
        yield
    except ResourceNotFoundError as exc:
        raise NotFoundError(f"blob storage: not found: {_describe(exc)}") from exc
    except ClientAuthenticationError as exc:
        raise _refused(exc) from exc
    except HttpResponseError as exc:
        raise _translate_response(exc) from exc
    except AzureError as exc:
        raise TransientError(
            f"blob storage can't be reached: {_describe(exc)}; check that the account (or Azurite) is running"
        ) from exc


def _translate_response(exc: HttpResponseError) -> SensorwatchError:
    status = exc.status_code
    if status in (401, 403):
        return _refused(exc)
    if status in (409, 412) and getattr(exc, "error_code", None) not in _PASSING_CONFLICTS:
        return ConflictError(f"blob storage: changed by another writer meanwhile: {_describe(exc)}")
    if status is None or status in (408, 409, 429) or status >= 500:
        return TransientError(f"blob storage is busy: {_describe(exc)}")
    return SensorwatchError(f"blob storage answered {status}: {_describe(exc)}")


def _refused(exc: AzureError) -> SettingsError:
    return SettingsError(
        f"blob storage refuses access: {_describe(exc)}; check AzureWebJobsStorage, or give the identity the role "
        "`Storage Blob Data Owner` on the account"
    )


def _describe(exc: AzureError) -> str:
    lines = str(exc.message).splitlines() or [type(exc).__name__]
    return _SIGNATURE.sub("sig=***", lines[0])
