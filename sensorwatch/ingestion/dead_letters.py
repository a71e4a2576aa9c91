"""Dead letters in blob storage: unusable readings with the reason and the whole body.

One NDJSON blob per batch and day (UTC) of the enqueued times::

    day=2026-11-20/hub=readings/group=$Default/partition=0/00000000000000000042-00000000000000000057-<hash>.ndjson

The numbers are the first and last sequence number in the blob, the hash is that of its content: writing the same
letters again replaces the same blob. Each line is an object with ``reason``, ``detail``, ``partition``,
``sequence_number``, ``enqueued_time``, ``index`` and ``body``. A body that is not UTF-8 is base64, and ``encoding``
says so. A line without a body has that of the line before: one event may hold several unusable readings.

A replay is recorded in one NDJSON blob, numbered by day and never changed::

    replays/day=2026-11-20/000000.ndjson

Its first line says whether late readings are accepted. The others are the letters, each with the body of its reading
alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError

from sensorwatch.azure.blobs import translate_blob_errors
from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.records import REPLAY_PREFIX, DeadLetter, Partition, Replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from azure.storage.blob import ContainerClient

__all__ = ["BlobDeadLetters"]

_NUMBER_DIGITS = 20
_HASH_DIGITS = 16
_REPLAY_DIGITS = 6
_LETTERS = "day="
_REPLAYS = "replays/day="
# With the prefix it is as long as the store's column of partition ids.
_REPLAY_HASH_DIGITS = 24


class BlobDeadLetters:
    """Dead letters in a container; implements :class:`~sensorwatch.ingestion.ports.DeadLetters`."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Store letters of one partition and one batch durably.

        Raises
        ------
        TransientError, SettingsError
            As :func:`~sensorwatch.azure.blobs.translate_blob_errors` raises them; some letters may be stored.
        """
        by_day: dict[str, list[DeadLetter]] = {}
        for letter in sorted(letters, key=_order):
            by_day.setdefault(letter.enqueued_time.astimezone(UTC).date().isoformat(), []).append(letter)
        for day, of_day in by_day.items():
            content = _encode(of_day)
            name = _blob_name(day, of_day, content)
            with translate_blob_errors():
                try:
                    self._container.upload_blob(name, content, overwrite=True)
                except ResourceNotFoundError:
                    # Creating a deleted container again is better than losing the letters of a batch.
                    self._container.create_container()
                    self._container.upload_blob(name, content, overwrite=True)

    def read(self, day: str | None = None) -> Iterator[DeadLetter]:
        """Yield the letters (of one day, ``2026-11-20``) by day and partition, each once.

        Raises
        ------
        InvalidInputError
            The day is invalid, or a blob does not hold dead letters.
        TransientError, SettingsError, NotFoundError
            As :func:`~sensorwatch.azure.blobs.translate_blob_errors` raises them.
        """
        prefix = _LETTERS if day is None else f"{_LETTERS}{_checked_day(day)}/"
        with translate_blob_errors():
            yield from self._letters(self._container.list_blob_names(name_starts_with=prefix))

    def written_within(self, period: timedelta, now: datetime) -> Iterator[DeadLetter]:
        """Yield the letters that were written in the period before ``now`` (aware), each once.

        Letters of events that waited in the hub for more than a day are left out.

        Raises
        ------
        InvalidInputError, TransientError, SettingsError, NotFoundError
            As for :meth:`read`.
        """
        time = now - period
        day = time.astimezone(UTC).date() - timedelta(days=1)
        while day <= now.astimezone(UTC).date():
            with translate_blob_errors():
                blobs = self._container.list_blobs(name_starts_with=f"{_LETTERS}{day.isoformat()}/")
                yield from self._letters(blob.name for blob in blobs if blob.last_modified >= time)
            day += timedelta(days=1)

    def _letters(self, names: Iterable[str]) -> Iterator[DeadLetter]:
        seen: set[tuple[object, ...]] = set()
        seen_day = ""
        for name in names:
            # The identity of a letter implies its day, and names are sorted by day: earlier days can be dropped.
            if name.split("/")[0] != seen_day:
                seen, seen_day = set(), name.split("/")[0]
            for letter in _decode(name, self._container.download_blob(name).readall()):
                identity = (letter.partition, *_order(letter))
                if identity not in seen:
                    seen.add(identity)
                    yield letter

    def days(self) -> list[str]:
        """Return the days (UTC) with letters or replays, in order.

        Raises
        ------
        TransientError, SettingsError, NotFoundError
            As :func:`~sensorwatch.azure.blobs.translate_blob_errors` raises them.
        """
        with translate_blob_errors():
            return sorted(
                {
                    folder.name.removeprefix(prefix).rstrip("/")
                    for prefix in (_LETTERS, _REPLAYS)
                    for folder in self._container.walk_blobs(prefix, delimiter="/")
                }
            )

    def replays(self, day: str) -> Iterator[Replay]:
        """Yield the replays of a day, ordered by number.

        Raises
        ------
        InvalidInputError
            The day is invalid, or a blob does not hold a replay.
        TransientError, SettingsError, NotFoundError
            As :func:`~sensorwatch.azure.blobs.translate_blob_errors` raises them.
        """
        with translate_blob_errors():
            for name in self._container.list_blob_names(name_starts_with=f"{_REPLAYS}{_checked_day(day)}/"):
                yield _decode_replay(name, day, self._container.download_blob(name).readall())

    def add_replay(self, day: str, number: int, letters: Sequence[DeadLetter], *, accept_late: bool) -> Replay:
        """Record durably that these letters are ingested again, as the day's replay of this number.

        Parameters
        ----------
        day
            The day (UTC) of the letters, ``2026-11-20``.
        number
            Number of the replay, from 0.
        letters
            At least one letter.
        accept_late
            Whether to accept readings however late they are.

        Raises
        ------
        ConflictError
            A replay of this number exists already; it stays unchanged.
        InvalidInputError
            The day is invalid.
        TransientError, SettingsError, NotFoundError
            As :func:`~sensorwatch.azure.blobs.translate_blob_errors` raises them.
        """
        name = f"{_REPLAYS}{_checked_day(day)}/{number:0{_REPLAY_DIGITS}}.ndjson"
        content = json.dumps({"accept_late": accept_late}).encode() + b"\n" + _encode(letters)
        with translate_blob_errors():
            self._container.upload_blob(name, content, overwrite=False)
        return _decode_replay(name, day, content)


def _order(letter: DeadLetter) -> tuple[int, datetime, int]:
    return letter.sequence_number, letter.enqueued_time, letter.index


def _checked_day(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        raise InvalidInputError(f"expected a day like 2026-11-20, got `{day}`") from None


def _blob_name(day: str, letters: Sequence[DeadLetter], content: bytes) -> str:
    hub, group, partition_id = letters[0].partition
    first, last = letters[0].sequence_number, letters[-1].sequence_number
    digest = hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]
    return (
        f"day={day}/hub={hub}/group={group}/partition={partition_id}/"
        f"{first:0{_NUMBER_DIGITS}}-{last:0{_NUMBER_DIGITS}}-{digest}.ndjson"
    )


def _encode(letters: Sequence[DeadLetter]) -> bytes:
    lines = []
    event: tuple[int, datetime, bytes] | None = None
    for letter in letters:
        line: dict[str, object] = {
            "reason": letter.reason,
            "detail": letter.detail,
            "partition": list(letter.partition),
            "sequence_number": letter.sequence_number,
            "enqueued_time": letter.enqueued_time.astimezone(UTC).isoformat(),
            "index": letter.index,
        }
        if event != (letter.sequence_number, letter.enqueued_time, letter.body):
            event = letter.sequence_number, letter.enqueued_time, letter.body
            line |= _encode_body(letter.body)
        lines.append(json.dumps(line, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()


def _encode_body(body: bytes) -> dict[str, object]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "encoding": "base64"}


def _decode_replay(name: str, day: str, content: bytes) -> Replay:
    head, _, lines = content.partition(b"\n")
    letters = tuple(_decode(name, lines, first_line=2))
    try:
        number, accept_late = int(name.rpartition("/")[2].removesuffix(".ndjson")), json.loads(head)["accept_late"]
    except (ValueError, KeyError, TypeError) as exc:
        raise InvalidInputError(f"{name}: expected a replay as Sensorwatch writes it, got: {exc!r}") from exc
    if not letters or not isinstance(accept_late, bool):
        raise InvalidInputError(f"{name}: expected a replay with letters, got {len(letters)} of them, {head!r}")
    digest = hashlib.sha256(content).hexdigest()[:_REPLAY_HASH_DIGITS]
    partition = letters[0].partition._replace(partition_id=f"{REPLAY_PREFIX}{digest}")
    return Replay(day, number, partition, accept_late, letters)


def _decode(name: str, content: bytes, first_line: int = 1) -> Iterator[DeadLetter]:
    body: bytes | None = None
    for number, text in enumerate(content.split(b"\n"), start=first_line):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            body = _decode_body(line) if "body" in line else body
            letter = _letter(line, body)
        except (ValueError, KeyError, TypeError) as exc:
            raise InvalidInputError(
                f"{name}, line {number}: expected a dead letter as Sensorwatch writes them, got: {exc!r}; "
                "move the blob out of the container to read the others"
            ) from exc
        yield letter


def _decode_body(line: dict[str, Any]) -> bytes:
    text: str = line["body"]
    return base64.b64decode(text, validate=True) if line.get("encoding") == "base64" else text.encode()


def _letter(line: dict[str, Any], body: bytes | None) -> DeadLetter:
    if body is None:
        raise KeyError("body")
    return DeadLetter(
        partition=Partition(*line["partition"]),
        sequence_number=int(line["sequence_number"]),
        enqueued_time=datetime.fromisoformat(line["enqueued_time"]),
        index=int(line["index"]),
        reason=str(line["reason"]),
        detail=str(line["detail"]),
        body=body,
    )
