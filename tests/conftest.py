"""Fixtures that run real servers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from local_stack import ROOT, pick_port, running_azurite, settings_file

from local.npm import install
from local.stack import Stack

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

# The same examples every time, whatever the machine has to do besides.
settings.register_profile(
    "sensorwatch", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sensorwatch")

StackFactory = Callable[..., Stack]


@pytest.fixture
def free_port() -> int:
    """A loopback TCP port that nothing listens on."""
    return pick_port()


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Azurite blob service; its connection string."""
    install(ROOT / "local" / "azurite")
    with running_azurite(tmp_path_factory.mktemp("azurite")) as connection:
        yield connection


@pytest.fixture
def container(azurite: str) -> Iterator[ContainerClient]:
    """An empty container of its own for each test."""
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient.from_connection_string(azurite) as service:
        yield service.create_container(f"test-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[StackFactory]:
    """A function that starts a stack, with some settings changed; all are stopped at the end."""
    with ExitStack() as stacks:

        def make(name: str = "stack", **values: str) -> Stack:
            folder = tmp_path / name
            return stacks.enter_context(Stack(ROOT, settings_file(folder, **values), folder))

        yield make
