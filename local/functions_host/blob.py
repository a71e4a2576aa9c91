"""Blob triggers: the container is listed at intervals, and receipts by function, blob and ETag record what was done."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import azure.functions as func
from azure.core.exceptions import AzureError, ResourceNotFoundError

from local.functions_host.binding_expressions import parse_blob_path
from local.functions_host.errors import HostError, HostStoppingError

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties
    from azure.storage.blob.aio import BlobServiceClient

    from local.functions_host.app import HostedFunction
    from local.functions_host.host_json import HostJson
    from local.functions_host.host_state import HostState
    from local.functions_host.invoke import Invoker

__all__ = ["BlobListener"]

_log = logging.getLogger("local.functions_host")
_Datum = func.meta.Datum


@dataclass(frozen=True, slots=True)
class _Receipt:
    """Progress of one version of a blob: number of failed tries, and whether it is done (succeeded or given up)."""

    etag: str
    tries: int
    done: bool


class BlobListener:
    """Listener that calls a function for every new or overwritten blob that its path matches, at least once each.

    Parameters
    ----------
    function
        The function.
    invoker
        Runner of invocations.
    state
        State of the host, for receipts.
    storage
        Storage account of the watched container.
    options
        Options of ``host.json``.
    poll_seconds
        Seconds between listings of the container.
    """

    def __init__(
        self,
        function: HostedFunction,
        invoker: Invoker,
        state: HostState,
        storage: BlobServiceClient,
        options: HostJson,
        poll_seconds: float,
    ) -> None:
        self.function = function
        self.ready = False
        self._invoker = invoker
        self._state = state
        self._storage = storage
        self._tries = options.blob_tries
        self._poll_seconds = poll_seconds
        self._path = parse_blob_path(str(function.trigger["path"]), function.where)
        self._receipts: dict[str, _Receipt] = {}
        self._not_before: dict[str, float] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(options.blob_parallelism)
        self._prefix = f"blobreceipts/{state.host_id}/{function.name}/{self._path.container}/"

    async def run(self) -> None:
        """Check for blobs until cancelled."""
        await self._state.prepare()
        await self._state.ensure_container(self._storage, self._path.container)
        self._receipts = await self._state.retry(self._read_receipts, f"receipts of {self.function.name}")
        away = False
        while True:
            try:
                await self._scan()
            except AzureError as exc:
                if not away:
                    _log.warning("%s: container %s can't be listed: %s", self.function.name, self._path.container, exc)
                away = True
                if isinstance(exc, ResourceNotFoundError):
                    await self._state.ensure_container(self._storage, self._path.container)
            else:
                if away:
                    _log.info("%s: container %s can be listed again", self.function.name, self._path.container)
                away, self.ready = False, True
            await asyncio.sleep(self._poll_seconds)

    async def fire(self, path: str) -> None:
        """Call the function for the blob ``container/name``, regardless of its receipt.

        Raises
        ------
        HostError
            The blob does not exist.
        """
        container, _, name = path.partition("/")
        try:
            await self._storage.get_blob_client(container, name).get_blob_properties()
        except AzureError as exc:
            raise HostError(f"{path}: expected `container/blob`, an existing blob; {type(exc).__name__}") from exc
        await self._process(container, name)

    async def _scan(self) -> None:
        found: set[str] = set()
        client = self._storage.get_container_client(self._path.container)
        async for blob in client.list_blobs(name_starts_with=self._path.prefix or None):
            found.add(blob.name)
            receipt = self._receipts.get(blob.name)
            is_done = receipt is not None and receipt.done and receipt.etag == _plain_etag(blob.etag)
            waits = self._not_before.get(blob.name, 0.0) > time.monotonic()
            if (
                not is_done
                and not waits
                and blob.name not in self._under_way
                and self._path.match(blob.name) is not None
            ):
                # Run in the background, as a slow blob must not delay the detection of new ones.
                task = asyncio.create_task(self._process(self._path.container, blob.name))
                self._under_way[blob.name] = task
                task.add_done_callback(partial(self._forget, blob.name))
        for name in self._receipts.keys() - found - self._under_way.keys():
            # Receipts of deleted blobs are deleted, as they would accumulate.
            await self._delete_receipt(name)

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        del self._under_way[name]
        if not task.cancelled() and (error := task.exception()):
            # The next check finds the blob without a receipt and starts again.
            _log.warning("%s: %s can't be read now: %s", self.function.name, name, error)

    async def _process(self, container: str, name: str) -> None:
        async with self._slots:
            try:
                async with self._invoker.work():
                    await self._call(container, name)
            except HostStoppingError:
                return

    async def _call(self, container: str, name: str) -> None:
        try:
            download = await self._storage.get_blob_client(container, name).download_blob()
            body = await download.readall()
        except ResourceNotFoundError:
            # The blob was deleted after it was listed.
            return
        properties = download.properties
        etag = _plain_etag(properties.etag)
        receipt = self._receipts.get(name)
        tries = receipt.tries if receipt and receipt.etag == etag and not receipt.done else 0
        uri = f"{self._storage.url.rstrip('/')}/{container}/{quote(name)}"
        outcome = await self._invoker.invoke(
            self.function, lambda: self._decode(container, name, body, properties, uri)
        )
        if outcome.error is None:
            self._not_before.pop(name, None)
            await self._write_receipt(name, _Receipt(etag, tries, done=True))
            return
        tries += 1
        if tries >= self._tries:
            _log.error("%s: %s/%s failed %d times and is given up", self.function.name, container, name, tries)
            await self._write_poison_message(container, name, etag, outcome.error)
        else:
            self._not_before[name] = time.monotonic() + self._poll_seconds * 2.0 ** (tries - 1)
        await self._write_receipt(name, _Receipt(etag, tries, done=tries >= self._tries))

    def _decode(self, container: str, name: str, body: bytes, properties: BlobProperties, uri: str) -> object:
        described: dict[str, Any] = {
            "ContentLength": len(body),
            "ContentType": properties.content_settings.content_type,
            "ETag": properties.etag,
            "LastModified": properties.last_modified.isoformat(),
            "BlobType": str(properties.blob_type),
        }
        metadata = {
            "BlobTrigger": _Datum(f"{container}/{name}", "string"),
            "Uri": _Datum(uri, "string"),
            "Properties": _Datum(json.dumps(described), "json"),
            "Metadata": _Datum(json.dumps(properties.metadata or {}), "json"),
        } | {key: _Datum(value, "string") for key, value in (self._path.match(name) or {}).items()}
        converter = func.get_binding_registry().get("blobTrigger")
        return converter.decode(_Datum(body, "bytes"), trigger_metadata=metadata)

    async def _read_receipts(self, storage: BlobServiceClient) -> dict[str, _Receipt]:
        receipts = {}
        client = storage.get_container_client(self._state.container)
        async for blob in client.list_blobs(name_starts_with=self._prefix, include=["metadata"]):
            kept = blob.metadata or {}
            receipts[blob.name.removeprefix(self._prefix)] = _Receipt(
                kept.get("etag", ""), int(kept.get("tries", "0")), kept.get("done") == "true"
            )
        return receipts

    async def _write_receipt(self, name: str, receipt: _Receipt) -> None:
        self._receipts[name] = receipt
        kept = {"etag": receipt.etag, "tries": str(receipt.tries), "done": str(receipt.done).lower()}

        async def write(storage: BlobServiceClient) -> None:
            blob = storage.get_blob_client(self._state.container, self._prefix + name)
            await blob.upload_blob(b"", overwrite=True, metadata=kept)

        await self._state.retry(write, f"receipt of {name}")

    async def _delete_receipt(self, name: str) -> None:
        try:
            await self._state.storage.get_blob_client(self._state.container, self._prefix + name).delete_blob()
        except ResourceNotFoundError:
            _log.debug("%s: the receipt of %s was already deleted", self.function.name, name)
        del self._receipts[name]
        self._not_before.pop(name, None)

    async def _write_poison_message(self, container: str, name: str, etag: str, error: Exception) -> None:
        now = datetime.now(UTC)
        message = {
            # Fields of the real host's queue message webjobs-blobtrigger-poison, then fields for people.
            "FunctionId": f"Host.Functions.{self.function.name}",
            "BlobType": "BlockBlob",
            "ContainerName": container,
            "BlobName": name,
            "ETag": etag,
            "Error": f"{type(error).__name__}: {error}",
            "Time": now.isoformat(),
        }
        path = f"blobtrigger-poison/{self.function.name}/{now:%Y%m%dT%H%M%S%f}-{quote(name, safe='')}.json"

        async def write(storage: BlobServiceClient) -> None:
            await storage.get_blob_client(self._state.container, path).upload_blob(json.dumps(message), overwrite=True)

        await self._state.retry(write, f"poison message of {name}")


def _plain_etag(etag: str) -> str:
    """Return the ETag without quotes, which a download has and a listing has not."""
    return etag.strip('"')
