from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from sensorwatch.models.checkpoint_files import BlobCheckpoints
from sensorwatch.models.registry import BlobModelRegistry

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

pytestmark = pytest.mark.wire

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def checkpoints(level: float) -> pa.Table:
    return pa.table({"sensor_id": [1, 2], "memory_ewma": [{"as_of": 5, "level": level, "variance": 1.0}, None]})


def test_damaged_checkpoints_are_ignored(container: ContainerClient, caplog: pytest.LogCaptureFixture) -> None:
    kept = BlobCheckpoints(container)
    kept.save(0, NOON, NOON + MINUTE, checkpoints(1.0))
    kept.save(0, NOON + MINUTE, NOON + 2 * MINUTE, checkpoints(2.0))
    container.upload_blob("shard=000000/memory-20261120T120200Z.arrow", b"ARROW1 no more", overwrite=True)
    found = kept.load(0, NOON + 5 * MINUTE)
    assert found is not None
    assert found[0] == NOON + MINUTE
    assert "expected an Arrow IPC file" in caplog.text


def test_only_files_that_a_task_may_need_are_kept_and_none_counts_as_a_model(container: ContainerClient) -> None:
    kept = BlobCheckpoints(container)
    for minute in range(5):
        kept.save(0, NOON + minute * MINUTE, NOON + (minute + 1) * MINUTE, checkpoints(minute))
    assert sorted(container.list_blob_names()) == [
        "shard=000000/memory-20261120T120400Z.arrow",
        "shard=000000/memory-20261120T120500Z.arrow",
    ]
    assert BlobModelRegistry(container).versions() == []
