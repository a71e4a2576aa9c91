from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from azure.storage.blob import ContainerClient

from sensorwatch.azure.blobs import blob_service
from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.dead_letters import BlobDeadLetters
from sensorwatch.ingestion.records import DeadLetter, Partition

pytestmark = pytest.mark.wire

EVENING = datetime(2026, 11, 20, 23, 59, 59, 123000, tzinfo=UTC)
PARTITION = Partition("readings", "$Default", "3")


def letter(number: int, index: int = 0, body: bytes = b"x", at: datetime = EVENING) -> DeadLetter:
    return DeadLetter(PARTITION, number, at, index, "not-json", "Expecting value at character 0", body)


@pytest.fixture
def dead_letters(container: ContainerClient) -> BlobDeadLetters:
    return BlobDeadLetters(container)


def test_an_event_with_many_bad_readings_keeps_its_body_once(
    dead_letters: BlobDeadLetters, container: ContainerClient
) -> None:
    body = b"[" + b"1," * 1000 + b"1]"
    letters = [letter(number, index, body) for number in (0, 1) for index in range(1001)]
    dead_letters.write(letters)
    assert list(dead_letters.read("2026-11-20")) == letters
    (blob,) = container.list_blobs()
    assert blob.size < 600_000


def test_the_same_letters_written_again_replace_themselves(
    dead_letters: BlobDeadLetters, container: ContainerClient
) -> None:
    letters = [letter(number) for number in (7, 8, 9)]
    dead_letters.write(letters)
    dead_letters.write(list(reversed(letters)))
    (name,) = container.list_blob_names()
    assert name.startswith("day=2026-11-20/hub=readings/group=$Default/partition=3/00000000000000000007-")


def test_a_container_that_was_deleted_is_made_again(azurite: str) -> None:
    container = blob_service(azurite, None).get_container_client(f"gone-{uuid.uuid4().hex[:8]}")
    BlobDeadLetters(container).write([letter(0)])
    assert list(BlobDeadLetters(container).read()) == [letter(0)]


def test_a_damaged_letter_is_named_with_its_line(dead_letters: BlobDeadLetters, container: ContainerClient) -> None:
    container.upload_blob("day=2026-11-20/x.ndjson", b'\n{"reason": "late"}\n')
    with pytest.raises(InvalidInputError, match=r"day=2026-11-20/x.ndjson, line 2: .*'body'"):
        list(dead_letters.read())
    with pytest.raises(InvalidInputError, match="a day like 2026-11-20, got `yesterday`"):
        list(dead_letters.read("yesterday"))
