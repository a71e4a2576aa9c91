"""State of the host in blob storage, under the names of the real host."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, TypeVar

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from azure.storage.blob.aio import BlobServiceClient

__all__ = ["HostState"]

_log = logging.getLogger("local.functions_host")
_T = TypeVar("_T")

_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 2.0


class HostState:
    """The host's container, with retries while the storage is unavailable."""

    container = "azure-webjobs-hosts"
    host_id = "local"

    def __init__(self, storage: BlobServiceClient) -> None:
        self.storage = storage

    async def prepare(self) -> None:
        """Create the host's container if missing; wait while the storage is unavailable."""
        await self.ensure_container(self.storage, self.container)

    async def ensure_container(self, storage: BlobServiceClient, container: str) -> None:
        """Create a container if missing; wait while the storage is unavailable."""

        async def create(storage: BlobServiceClient) -> None:
            with contextlib.suppress(ResourceExistsError):
                await storage.create_container(container)

        await self.retry(create, f"container {container}", storage)

    async def retry(
        self,
        operation: Callable[[BlobServiceClient], Awaitable[_T]],
        what: str,
        storage: BlobServiceClient | None = None,
    ) -> _T:
        """Run a storage operation until it succeeds; the first failure and the recovery are logged.

        Parameters
        ----------
        operation
            The operation, called with the storage client.
        what
            Name of the operation, for messages.
        storage
            Storage account; None: the host's own.
        """
        delay = _FIRST_DELAY_SECONDS
        while True:
            try:
                result = await operation(storage or self.storage)
            except AzureError as exc:
                if delay == _FIRST_DELAY_SECONDS:
                    _log.warning("%s: blob storage does not answer, trying again: %s", what, exc)
                if isinstance(exc, ResourceNotFoundError) and storage is None:
                    with contextlib.suppress(AzureError):
                        await self.storage.create_container(self.container)
            else:
                if delay > _FIRST_DELAY_SECONDS:
                    _log.info("%s: blob storage answers again", what)
                return result
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)
