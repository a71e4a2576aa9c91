"""Model registry in a blob container: immutable versions of each shard's models, and a pointer to the one in use.

::

    shard=000012/v=20261120T100000Z-0123456789abcdef.arrow           model table
    shard=000012/v=20261120T100000Z-0123456789abcdef.manifest.json   description of the training
    shard=000012/current.json                                        {"version": "20261120T100000Z-0123456789abcdef"}

The name of a version consists of the end of the training's window range and the SHA-256 of its file. So the same
content gives the same name, and a damaged file no longer matches its name. Only the pointer ever changes, and only for
a writer that has read the pointer that it replaces (ETag). Nothing is unpickled.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sensorwatch.azure.blobs import translate_blob_errors
from sensorwatch.errors import ConflictError, CorruptModelError, InvalidInputError, NotFoundError
from sensorwatch.models.ports import Pointer
from sensorwatch.models.records import ModelRef
from sensorwatch.models.table import checksum, models_from_bytes, models_to_bytes, with_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from azure.storage.blob import ContainerClient

__all__ = ["BlobModelRegistry"]

_CHECKSUM_DIGITS = 16
_NOT_MODIFIED = 304
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}")
_MODELS_BLOB = re.compile(rf"shard=(\d+)/v=({_VERSION.pattern})\.arrow")


class _Pointer(NamedTuple):
    version: str
    etag: str


class BlobModelRegistry:
    """The model registry in one blob container (:class:`~sensorwatch.models.ports.ModelRegistry`).

    Parameters
    ----------
    container
        Client of an existing container.
    prefix
        Prefix of all blob names; empty for the sensors' primary models.
    """

    def __init__(self, container: ContainerClient, prefix: str = "") -> None:
        self._container = container
        self._prefix = prefix

    def publish(
        self, shard: int, models: pa.Table, manifest: Mapping[str, object], previous: ModelRef | None
    ) -> ModelRef:
        """Store a new version and move the pointer to it.

        Parameters
        ----------
        shard
            Number of the shard.
        models
            Model table, as :func:`sensorwatch.models.table.merge` returns it.
        manifest
            Description of the version as JSON values. Its ``window_end`` (ISO 8601 with offset) is the version's time.
            Name, checksum and size of the version are added. The first manifest of a version is kept.
        previous
            The version that the models were merged with; None if there was none. The pointer moves only if it still
            names this version.

        Raises
        ------
        ConflictError
            The pointer no longer names ``previous``; the version is stored but not current.
        InvalidInputError
            The manifest has no valid ``window_end``.
        """
        content = models_to_bytes(models)
        sha256 = checksum(content)
        ref = ModelRef(shard, f"{_time_of(manifest):%Y%m%dT%H%M%SZ}-{sha256[:_CHECKSUM_DIGITS]}")
        described = {**manifest, "shard": shard, "version": ref.version, "sha256": sha256, "bytes": len(content)}
        self._store_once(_models_name(ref), content)
        self._store_once(_manifest_name(ref), _json_bytes(described))
        self.point(ref, previous)
        return ref

    def point(self, ref: ModelRef, previous: ModelRef | None) -> None:
        """Make a stored version the current one if ``previous`` is current (None: if none is).

        Repeating the call changes nothing.

        Raises
        ------
        ConflictError
            The pointer names another version than ``previous``, or another writer moved it at the same time.
        """
        from azure.core import MatchConditions

        pointer = self._pointer(ref.shard)
        if pointer and pointer.version == ref.version:
            return
        seen = previous and previous.version
        if (pointer and pointer.version) != seen:
            raise ConflictError(
                f"shard {ref.shard}: expected the current models to be {seen or 'none'}, "
                f"got {pointer.version if pointer else 'none'}; load those and merge again"
            )
        blob = self._container.get_blob_client(self._prefix + _pointer_name(ref.shard))
        content = _json_bytes({"version": ref.version})
        with translate_blob_errors():
            if pointer is None:
                blob.upload_blob(content, overwrite=False)
            else:
                blob.upload_blob(
                    content, overwrite=True, etag=pointer.etag, match_condition=MatchConditions.IfNotModified
                )

    def current(self, shard: int) -> ModelRef | None:
        """Return the version in use; None if nothing was trained yet.

        Raises
        ------
        CorruptModelError
            The pointer exists but names no version.
        """
        pointer = self._pointer(shard)
        return pointer and ModelRef(shard, pointer.version)

    def pointer(self, shard: int, etag: str) -> Pointer | None:
        """Return the shard's current pointer; None if its ETag is still ``etag`` (empty: there was no pointer).

        Raises
        ------
        CorruptModelError
            The pointer exists but names no version.
        """
        found = self._pointer(shard, etag)
        if found is None:
            return Pointer(None, "") if etag else None
        return None if found.etag == etag else Pointer(ModelRef(shard, found.version), found.etag)

    def load(self, ref: ModelRef) -> pa.Table:
        """Return the model table of a version, with the column ``version`` filled in.

        Raises
        ------
        NotFoundError
            There is no such version.
        CorruptModelError
            Its file is damaged.
        """
        content = self._read(_models_name(ref))
        try:
            return with_version(models_from_bytes(content, ref.version.rpartition("-")[2]), ref.version)
        except CorruptModelError as exc:
            raise CorruptModelError(f"{_models_name(ref)}: {exc}") from exc

    def manifest(self, ref: ModelRef) -> dict[str, object]:
        """Return the manifest of a version.

        Raises
        ------
        NotFoundError
            There is no such version.
        CorruptModelError
            The manifest is not a JSON object.
        """
        return _json_object(_manifest_name(ref), self._read(_manifest_name(ref)))

    def versions(self, shard: int | None = None) -> list[ModelRef]:
        """Return all versions (of one shard), ordered by shard, newest first."""
        prefix = self._prefix + ("" if shard is None else f"{_folder(shard)}v=")
        with translate_blob_errors():
            names = list(self._container.list_blob_names(name_starts_with=prefix or None))
        found = [match for name in names if (match := _MODELS_BLOB.fullmatch(name, len(self._prefix)))]
        refs = [ModelRef(int(match[1]), match[2]) for match in found]
        refs.sort(key=lambda ref: ref.version, reverse=True)
        refs.sort(key=lambda ref: ref.shard)
        return refs

    def _pointer(self, shard: int, seen: str = "") -> _Pointer | None:
        """Return the pointer, None if there is none; a pointer with the ETag ``seen`` is not downloaded again."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError

        name = _pointer_name(shard)
        unless: dict[str, Any] = {"etag": seen, "match_condition": MatchConditions.IfModified} if seen else {}
        try:
            with translate_blob_errors():
                try:
                    download = self._container.download_blob(self._prefix + name, **unless)
                except HttpResponseError as exc:
                    if exc.status_code != _NOT_MODIFIED:
                        raise
                    return _Pointer("", seen)
                content = download.readall()
        except NotFoundError:
            return None
        version = _json_object(name, content).get("version")
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise CorruptModelError(
                f"{name}: expected `version` to be a name like 20261120T100000Z-0123456789abcdef, got `{version}`; "
                "write the name of one of the shard's versions there"
            )
        return _Pointer(version, str(download.properties.etag))

    def _store_once(self, name: str, content: bytes) -> None:
        blob = self._container.get_blob_client(self._prefix + name)
        try:
            with translate_blob_errors():
                blob.upload_blob(content, overwrite=False)
        except ConflictError:
            # The name contains the checksum, so an earlier try has stored the same content.
            return

    def _read(self, name: str) -> bytes:
        with translate_blob_errors():
            return self._container.download_blob(self._prefix + name).readall()


def _folder(shard: int) -> str:
    return f"shard={shard:06d}/"


def _models_name(ref: ModelRef) -> str:
    return f"{_folder(ref.shard)}v={ref.version}.arrow"


def _manifest_name(ref: ModelRef) -> str:
    return f"{_folder(ref.shard)}v={ref.version}.manifest.json"


def _pointer_name(shard: int) -> str:
    return f"{_folder(shard)}current.json"


def _time_of(manifest: Mapping[str, object]) -> datetime:
    text = manifest.get("window_end")
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidInputError(
            f"manifest: expected `window_end` to be a time like 2026-11-20T10:00:00+00:00, got `{text}`"
        )
    return time.astimezone(UTC)


def _json_bytes(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def _json_object(name: str, content: bytes) -> dict[str, object]:
    try:
        value = json.loads(content)
    except ValueError as exc:
        raise CorruptModelError(f"{name}: expected JSON, got {content[:80]!r} ({exc})") from exc
    if not isinstance(value, dict):
        raise CorruptModelError(f"{name}: expected a JSON object, got {content[:80]!r}")
    return value
