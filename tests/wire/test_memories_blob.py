from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from azure.storage.blob import BlobServiceClient

from sensorwatch.models.checkpoint_files import BlobMemories
from sensorwatch.models.registry import BlobModelRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.blob import ContainerClient

pytestmark = pytest.mark.wire

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def container(azurite: str) -> Iterator[ContainerClient]:
    with BlobServiceClient.from_connection_string(azurite) as service:
        yield service.create_container(f"models-{uuid.uuid4().hex[:8]}")


def memories(level: float) -> pa.Table:
    return pa.table({"sensor_id": [1, 2], "memory_ewma": [{"as_of": 5, "level": level, "variance": 1.0}, None]})


def test_the_newest_that_go_far_enough_back_are_found(container: ContainerClient) -> None:
    kept = BlobMemories(container)
    assert kept.load(3, NOON) is None
    kept.save(3, NOON - MINUTE, NOON, memories(1.0))
    kept.save(3, NOON, NOON + MINUTE, memories(2.0))
    assert kept.load(3, NOON - MINUTE) is None
    for until, expected in ((NOON, 1.0), (NOON + MINUTE / 2, 1.0), (NOON + MINUTE, 2.0)):
        found = kept.load(3, until)
        assert found is not None
        assert found[1].equals(memories(expected))
    assert kept.load(4, NOON) is None
    assert BlobModelRegistry(container).versions() == []


def test_a_task_that_is_done_again_finds_what_its_first_try_found(container: ContainerClient) -> None:
    kept = BlobMemories(container)
    for minute in range(5):
        for _ in range(2):
            found = kept.load(0, NOON + minute * MINUTE)
            assert (found is None) == (minute == 0)
            assert found is None or found[0] == NOON + minute * MINUTE
            kept.save(0, NOON + minute * MINUTE, NOON + (minute + 1) * MINUTE, memories(minute))
    assert len(list(container.list_blob_names())) == 2


def test_damaged_memories_count_for_nothing(container: ContainerClient, caplog: pytest.LogCaptureFixture) -> None:
    kept = BlobMemories(container)
    kept.save(0, NOON, NOON + MINUTE, memories(1.0))
    kept.save(0, NOON + MINUTE, NOON + 2 * MINUTE, memories(2.0))
    container.upload_blob("shard=000000/memory-20261120T120200Z.arrow", b"ARROW1 no more", overwrite=True)
    found = kept.load(0, NOON + 5 * MINUTE)
    assert found is not None
    assert found[0] == NOON + MINUTE
    assert "expected an Arrow IPC file" in caplog.text
