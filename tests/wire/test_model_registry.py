from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from model_tables import models

from sensorwatch.errors import ConflictError, CorruptModelError
from sensorwatch.models.registry import BlobModelRegistry

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

pytestmark = pytest.mark.wire

MANIFEST = {"window_end": "2026-11-20T11:00:00+01:00", "rows": 1}
LATER = {"window_end": "2026-11-20T11:00:00+00:00"}


@pytest.fixture
def registry(container: ContainerClient) -> BlobModelRegistry:
    return BlobModelRegistry(container)


def test_the_blobs_are_called_as_documented(registry: BlobModelRegistry, container: ContainerClient) -> None:
    ref = registry.publish(12, models(1), MANIFEST, None)
    assert sorted(container.list_blob_names()) == [
        "shard=000012/current.json",
        f"shard=000012/v={ref.version}.arrow",
        f"shard=000012/v={ref.version}.manifest.json",
    ]
    assert json.loads(container.download_blob("shard=000012/current.json").readall()) == {"version": ref.version}


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
