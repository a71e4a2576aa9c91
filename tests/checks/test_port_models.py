"""Models and checkpoints of detectors in memory and in blobs keep the same contracts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from fakes.models import FakeCheckpoints, FakeRegistry
from model_tables import models

from sensorwatch.errors import ConflictError, InvalidInputError, NotFoundError
from sensorwatch.models.checkpoint_files import BlobCheckpoints
from sensorwatch.models.records import ModelRef
from sensorwatch.models.registry import BlobModelRegistry
from sensorwatch.models.table import merge

if TYPE_CHECKING:
    from sensorwatch.models.ports import CheckpointFiles, WatchedRegistry

ADAPTERS = ["fake", pytest.param("blob", marks=pytest.mark.wire)]
MANIFEST = {"window_end": "2026-11-20T11:00:00+01:00", "rows": 1}
LATER = {"window_end": "2026-11-20T11:00:00+00:00"}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=ADAPTERS)
def registry(request: pytest.FixtureRequest) -> WatchedRegistry:
    return FakeRegistry() if request.param == "fake" else BlobModelRegistry(request.getfixturevalue("container"))


@pytest.fixture(params=ADAPTERS)
def kept(request: pytest.FixtureRequest) -> CheckpointFiles:
    return FakeCheckpoints() if request.param == "fake" else BlobCheckpoints(request.getfixturevalue("container"))


# ---- models ----------------------------------------------------------------------------------------------------------


def test_a_published_version_is_current_and_loads_as_it_was(registry: WatchedRegistry) -> None:
    ref = registry.publish(12, models(1, 2), MANIFEST, None)
    assert ref.version.startswith("20261120T100000Z-")
    assert registry.current(12) == ref
    loaded = registry.load(ref)
    assert loaded["version"].to_pylist() == [ref.version] * 2
    assert loaded.drop_columns(["version"]).equals(models(1, 2).drop_columns(["version"]))


def test_the_manifest_names_version_checksum_and_size(registry: WatchedRegistry) -> None:
    ref = registry.publish(12, models(1), MANIFEST, None)
    manifest = registry.manifest(ref)
    assert (manifest["rows"], manifest["shard"], manifest["version"]) == (1, 12, ref.version)
    assert str(manifest["sha256"])[:16] == ref.version[-16:]


def test_a_shard_never_trained_has_no_current_version(registry: WatchedRegistry) -> None:
    assert registry.current(5) is None
    assert registry.versions(5) == []


def test_the_same_content_again_is_the_same_version(registry: WatchedRegistry) -> None:
    first = registry.publish(12, models(1), MANIFEST, None)
    assert registry.publish(12, models(1), MANIFEST | {"rows": 99}, None) == first
    assert registry.publish(12, models(1), MANIFEST, first) == first
    assert registry.manifest(first)["rows"] == 1
    assert registry.versions() == [first]


def test_a_pointer_that_has_moved_is_a_conflict_and_stays(registry: WatchedRegistry) -> None:
    first = registry.publish(12, models(1), MANIFEST, None)
    second = registry.publish(12, models(1, 2), LATER, first)
    with pytest.raises(ConflictError, match=f"expected the current models to be {first.version}, got {second.version}"):
        registry.publish(12, models(1, 3), LATER, first)
    with pytest.raises(ConflictError, match="to be none"):
        registry.publish(12, models(1, 4), LATER, None)
    assert registry.current(12) == second
    assert len(registry.versions(12)) == 4


def test_a_pointer_is_read_again_only_when_it_has_moved(registry: WatchedRegistry) -> None:
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


def test_versions_are_listed_by_shard_newest_first(registry: WatchedRegistry) -> None:
    first = registry.publish(12, models(1), MANIFEST, None)
    second = registry.publish(12, merge(registry.load(first), models(1, end=2000)), LATER, first)
    other = registry.publish(3, models(7), MANIFEST, None)
    assert registry.versions() == [other, second, first]
    assert registry.versions(12) == [second, first]
    assert registry.versions(1) == []


def test_a_version_that_is_not_there_is_not_found(registry: WatchedRegistry) -> None:
    missing = ModelRef(12, "20261120T100000Z-0123456789abcdef")
    with pytest.raises(NotFoundError):
        registry.load(missing)
    with pytest.raises(NotFoundError):
        registry.manifest(missing)


@pytest.mark.parametrize("manifest", [{}, {"window_end": "noon"}, {"window_end": "2026-11-20T10:00:00"}])
def test_a_manifest_without_its_time_is_refused(registry: WatchedRegistry, manifest: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="window_end"):
        registry.publish(12, models(1), manifest, None)


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def checkpoints(level: float) -> pa.Table:
    return pa.table({"sensor_id": [1, 2], "memory_ewma": [{"as_of": 5, "level": level, "variance": 1.0}, None]})


def test_the_newest_checkpoint_at_or_before_a_time_is_found(kept: CheckpointFiles) -> None:
    assert kept.load(3, NOON) is None
    kept.save(3, NOON - MINUTE, NOON, checkpoints(1.0))
    kept.save(3, NOON, NOON + MINUTE, checkpoints(2.0))
    assert kept.load(3, NOON - MINUTE) is None
    for until, expected in ((NOON, 1.0), (NOON + MINUTE / 2, 1.0), (NOON + MINUTE, 2.0)):
        found = kept.load(3, until)
        assert found is not None
        assert found[1].equals(checkpoints(expected))
    assert kept.load(4, NOON) is None


def test_a_task_that_is_done_again_finds_what_its_first_try_found(kept: CheckpointFiles) -> None:
    for minute in range(5):
        for _ in range(2):
            found = kept.load(0, NOON + minute * MINUTE)
            assert (found is None) == (minute == 0)
            assert found is None or found[0] == NOON + minute * MINUTE
            kept.save(0, NOON + minute * MINUTE, NOON + (minute + 1) * MINUTE, checkpoints(minute))


def test_a_pointer_moves_to_a_former_version_and_back(registry: WatchedRegistry) -> None:
    first = registry.publish(12, models(1), MANIFEST, None)
    second = registry.publish(12, models(1, 2), LATER, first)
    registry.point(first, second)
    registry.point(first, second)
    assert registry.current(12) == first
    with pytest.raises(ConflictError):
        registry.point(ModelRef(12, "20261120T100000Z-0123456789abcdef"), second)
    registry.point(second, first)
    assert registry.current(12) == second
