"""Azurite as a process of the local stack: it keeps what it was given, and starts and ends as it is told."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient
from local_stack import ROOT

from local.npm import install, is_installed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.wire


def start(port: int, data: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "local.azurite", "--port", str(port), "--data", str(data), "--exit-with-parent"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def service(azurite: str, port: int) -> BlobServiceClient:
    """A client of the Azurite on another port than the shared one's."""
    account = ";".join(part for part in azurite.split(";") if not part.startswith("BlobEndpoint"))
    return BlobServiceClient.from_connection_string(
        f"{account}BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;", retry_total=0
    )


def wait_until_up(client: BlobServiceClient, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 20
    while True:
        with contextlib.suppress(AzureError):
            client.get_service_properties()
            return
        assert process.poll() is None, f"Azurite ended with exit code {process.returncode}"
        assert time.monotonic() < limit, "Azurite did not answer within 20 s"
        time.sleep(0.05)


def test_installing_again_finds_everything_there(azurite: str) -> None:
    folder = ROOT / "local" / "azurite"
    assert is_installed(folder)
    assert not install(folder)


def test_blobs_outlive_a_stop_that_takes_seconds_at_most(azurite: str, free_port: int, tmp_path: Path) -> None:
    with service(azurite, free_port) as client:
        process = start(free_port, tmp_path)
        wait_until_up(client, process)
        client.create_container("kept").upload_blob("a", b"text")
        process.terminate()
        assert process.wait(timeout=5) == 0
        process = start(free_port, tmp_path)
        wait_until_up(client, process)
        assert client.get_blob_client("kept", "a").download_blob().readall() == b"text"
        process.kill()
        process.wait(timeout=5)


def test_it_ends_when_its_parent_is_gone(azurite: str, free_port: int, tmp_path: Path) -> None:
    process = start(free_port, tmp_path)
    with service(azurite, free_port) as client:
        wait_until_up(client, process)
    assert process.stdin
    process.stdin.close()
    assert process.wait(timeout=5) == 0


def test_a_port_in_use_is_named_with_its_setting(azurite: str, tmp_path: Path) -> None:
    port = int(azurite.rpartition(":")[2].partition("/")[0])
    process = start(port, tmp_path)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 3
    assert len(text.splitlines()) == 1
    assert str(port).encode() in text
    assert b"AzureWebJobsStorage" in text
