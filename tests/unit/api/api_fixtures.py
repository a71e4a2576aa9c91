"""The fixture of the API's tests; loaded as a plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from api_client import NOW, SHARD_SIZE, Api, client_of
from fakes.clock import FakeClock
from fakes.models import FakeRegistry
from fakes.tasks import FakeTaskLogs

from sensorwatch.api.app import create_app
from sensorwatch.app import Product
from sensorwatch.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The API for requests from this machine."""
    clock, registry, logs = FakeClock(NOW), FakeRegistry(), FakeTaskLogs()
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/sensorwatch.db",
        "API_AUTHENTICATION": "local",
        "SHARD_SIZE": str(SHARD_SIZE),
    }
    product = Product(load_settings(settings), clock)
    product.__dict__.update(models=registry, task_logs=logs)
    with client_of(create_app(lambda: product)) as client:
        yield Api(client, product, clock, registry, logs)
    product.store.dispose()
