from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from azure.storage.blob import BlobServiceClient

from sensorwatch.errors import ConflictError, CorruptModelError, InvalidInputError, NotFoundError
from sensorwatch.models.records import ModelRef
from sensorwatch.models.registry import BlobModelRegistry
from sensorwatch.models.table import MODEL_SCHEMA, merge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.blob import ContainerClient

pytestmark = pytest.mark.wire

MANIFEST = {"window_end": "2026-11-20T11:00:00+01:00", "rows": 1}
LATER = {"window_end": "2026-11-20T11:00:00+00:00"}


@pytest.fixture
def container(azurite: str) -> Iterator[ContainerClient]:
    with BlobServiceClient.from_connection_string(azurite) as service:
        yield service.create_container(f"models-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def registry(container: ContainerClient) -> BlobModelRegistry:
    return BlobModelRegistry(container)


def models(*sensor_ids: int, end: int = 1000) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "sensor_id": sensor_id,
            "detector": "ocsvm",
            "state": "ready",
            "reason": "",
            "windows": 720,
            "training_start": end - 900,
            "training_end": end,
            "first_training_end": end,
            "version": "",
            "center": -1.0,
            "level": -0.2,
            "tail_share": 0.02,
            "scale": 0.5,
            "shape": 0.1,
            "threshold": 0.0,
        }
        for sensor_id in sensor_ids
    ]
    return pa.Table.from_pylist(rows, schema=MODEL_SCHEMA)


def test_a_published_version_is_current_and_loads_as_it_was(registry: BlobModelRegistry) -> None:
    ref = registry.publish(12, models(1, 2), MANIFEST, None)
    assert ref.version.startswith("20261120T100000Z-")
    assert registry.current(12) == ref
    loaded = registry.load(ref)
    assert loaded["version"].to_pylist() == [ref.version] * 2
    assert loaded.drop_columns(["version"]).equals(models(1, 2).drop_columns(["version"]))


def test_the_blobs_are_called_as_documented(registry: BlobModelRegistry, container: ContainerClient) -> None:
    ref = registry.publish(12, models(1), MANIFEST, None)
    assert sorted(container.list_blob_names()) == [
        "shard=000012/current.json",
        f"shard=000012/v={ref.version}.arrow",
        f"shard=000012/v={ref.version}.manifest.json",
    ]
    assert json.loads(container.download_blob("shard=000012/current.json").readall()) == {"version": ref.version}


def test_the_manifest_names_version_checksum_and_size(registry: BlobModelRegistry) -> None:
    ref = registry.publish(12, models(1), MANIFEST, None)
    manifest = registry.manifest(ref)
    assert (manifest["rows"], manifest["shard"], manifest["version"]) == (1, 12, ref.version)
    assert str(manifest["sha256"])[:16] == ref.version[-16:]


def test_a_shard_never_trained_has_no_current_version(registry: BlobModelRegistry) -> None:
    assert registry.current(5) is None
    assert registry.versions(5) == []


def test_the_same_content_again_is_the_same_version(registry: BlobModelRegistry) -> None:
    first = registry.publish(12, models(1), MANIFEST, None)
    assert registry.publish(12, models(1), MANIFEST | {"rows": 99}, None) == first
    assert registry.publish(12, models(1), MANIFEST, first) == first
    assert registry.manifest(first)["rows"] == 1
    assert registry.versions() == [first]


def test_a_pointer_that_has_moved_is_a_conflict_and_stays(registry: BlobModelRegistry) -> None:
    first = registry.publish(12, models(1), MANIFEST, None)
    second = registry.publish(12, models(1, 2), LATER, first)
    with pytest.raises(ConflictError, match=f"expected the current models to be {first.version}, got {second.version}"):
        registry.publish(12, models(1, 3), LATER, first)
    with pytest.raises(ConflictError, match="to be none"):
        registry.publish(12, models(1, 4), LATER, None)
    assert registry.current(12) == second
    assert len(registry.versions(12)) == 4


def test_a_pointer_is_read_again_only_when_it_has_moved(registry: BlobModelRegistry) -> None:
    assert registry.pointer(12, "") is None
    first = registry.publish(12, models(1), MANIFEST, None)
    seen = registry.pointer(12, "")
    assert seen is not None
    assert seen.ref == first
    assert registry.pointer(12, seen.etag) is None
    second = registry.publish(12, models(1, 2), LATER, first)
    moved = registry.pointer(12, seen.etag)
    assert moved is not None
    assert moved.ref == second
    assert moved.etag != seen.etag


def test_a_pointer_that_is_gone_is_none(registry: BlobModelRegistry, container: ContainerClient) -> None:
    registry.publish(12, models(1), MANIFEST, None)
    seen = registry.pointer(12, "")
    assert seen is not None
    container.delete_blob("shard=000012/current.json")
    assert registry.pointer(12, seen.etag) == (None, "")


def test_sets_of_models_share_a_container_and_nothing_else(
    registry: BlobModelRegistry, container: ContainerClient
) -> None:
    other = BlobModelRegistry(container, "serving=forest/")
    own, further = registry.publish(12, models(1), MANIFEST, None), other.publish(12, models(1, 2), MANIFEST, None)
    assert (registry.versions(), other.versions()) == ([own], [further])
    assert (registry.current(12), other.current(12)) == (own, further)
    assert other.load(further).num_rows == 2
    assert other.manifest(further)["version"] == further.version
    assert "serving=forest/shard=000012/current.json" in list(container.list_blob_names())


@pytest.mark.parametrize("existing", [False, True])
def test_two_writers_at_the_same_moment_do_not_overwrite_each_other(
    registry: BlobModelRegistry, container: ContainerClient, monkeypatch: pytest.MonkeyPatch, existing: bool
) -> None:
    previous = registry.publish(12, models(1), MANIFEST, None) if existing else None
    rival = BlobModelRegistry(container)
    read_pointer = registry._pointer

    def read_pointer_and_lose_the_race(shard: int) -> object:
        seen = read_pointer(shard)
        rival.publish(12, models(1, 2), LATER, previous)
        return seen

    monkeypatch.setattr(registry, "_pointer", read_pointer_and_lose_the_race)
    with pytest.raises(ConflictError):
        registry.publish(12, models(1, 3), LATER, previous)
    current = rival.current(12)
    assert current is not None
    assert rival.load(current)["sensor_id"].to_pylist() == [1, 2]


def test_versions_are_listed_by_shard_newest_first(registry: BlobModelRegistry) -> None:
    first = registry.publish(12, models(1), MANIFEST, None)
    second = registry.publish(12, merge(registry.load(first), models(1, end=2000)), LATER, first)
    other = registry.publish(3, models(7), MANIFEST, None)
    assert registry.versions() == [other, second, first]
    assert registry.versions(12) == [second, first]
    assert registry.versions(1) == []


def test_damaged_models_are_found_out(registry: BlobModelRegistry, container: ContainerClient) -> None:
    ref = registry.publish(12, models(1), MANIFEST, None)
    name = f"shard=000012/v={ref.version}.arrow"
    content = bytearray(container.download_blob(name).readall())
    content[40] ^= 1
    container.upload_blob(name, bytes(content), overwrite=True)
    with pytest.raises(CorruptModelError, match=name):
        registry.load(ref)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": "../../etc"}', b'{"version": 1}'])
def test_a_damaged_pointer_is_found_out(
    registry: BlobModelRegistry, container: ContainerClient, content: bytes
) -> None:
    container.upload_blob("shard=000012/current.json", content)
    with pytest.raises(CorruptModelError, match=r"shard=000012/current\.json: expected"):
        registry.current(12)


def test_a_version_that_is_not_there_is_not_found(registry: BlobModelRegistry) -> None:
    missing = ModelRef(12, "20261120T100000Z-0123456789abcdef")
    with pytest.raises(NotFoundError):
        registry.load(missing)
    with pytest.raises(NotFoundError):
        registry.manifest(missing)


@pytest.mark.parametrize("manifest", [{}, {"window_end": "noon"}, {"window_end": "2026-11-20T10:00:00"}])
def test_a_manifest_without_its_time_is_refused(registry: BlobModelRegistry, manifest: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="window_end"):
        registry.publish(12, models(1), manifest, None)
