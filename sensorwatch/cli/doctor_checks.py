"""Checks of ``sensorwatch doctor`` that need a connection: they run at the same time, each with a time limit.

The SDKs try again for minutes before they give up. A check that has no answer in time is reported with what a plain TCP
connection to the same address says, which names the cause in most cases.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import urlsplit

from sensorwatch.errors import NotFoundError, SensorwatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sensorwatch.app import Product
    from sensorwatch.ingestion.records import DeadLetter, OffsetCheckpoint, Partition

__all__ = ["Check", "connection_checks", "readings_check", "rejected_share", "run_together"]

T = TypeVar("T")

_LIMIT_SECONDS = 5.0
_PROBE_SECONDS = 3.0
_PERIOD = timedelta(hours=1)
# Fewer rejected readings say nothing about most readings.
_FEWEST_REJECTED = 10


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check.

    Attributes
    ----------
    name
        What was checked.
    well
        False if it failed.
    detail
        The finding.
    advice
        The next step if it failed or warns.
    warns
        True if it works, but needs attention.
    """

    name: str
    well: bool
    detail: str
    advice: str = ""
    warns: bool = False


class _Connection(NamedTuple):
    """A check of a service: its name, the check, the service's address (host and port), and the advice if it fails."""

    name: str
    check: Callable[[], str]
    address: Callable[[], tuple[str, int] | None]
    advice: str


def connection_checks(product: Product, *, limit_seconds: float = _LIMIT_SECONDS) -> list[Check]:
    """Check database, storage, event hub and pool at the same time."""
    # The time limit is for the services, not for loading their SDKs.
    import azure.batch
    import azure.eventhub
    import azure.storage.blob  # noqa: F401

    local = "run `make up` to start the local stack; on Azure check"
    connections = [
        _Connection(
            "database",
            lambda: product.store.check(),
            lambda: _database_address(product),
            f"run `sensorwatch init` to create the tables; {local} DATABASE_URL",
        ),
        _Connection(
            "storage",
            lambda: _containers(product),
            lambda: _address(product.blobs.url),
            f"run `sensorwatch init` to create the containers; {local} AzureWebJobsStorage",
        ),
        _Connection(
            "event hub",
            lambda: _event_hub(product),
            lambda: _hub_address(product),
            f"{local} EventHub and EVENT_HUB_NAME",
        ),
        _Connection(
            "batch pool",
            lambda: _pool(product),
            lambda: _address(product.settings.batch_account_url or ""),
            f"{local} BATCH_ACCOUNT_URL and BATCH_POOL_ID",
        ),
    ]
    works: list[Callable[[], str]] = [each.check for each in connections]
    works += [_probe(each.address) for each in connections]
    found = run_together(works, limit_seconds)
    checks = []
    for connection, answer, cause in zip(connections, found, found[len(connections) :], strict=False):
        if isinstance(answer, str):
            checks.append(Check(connection.name, True, answer))
            continue
        detail = f"no answer within {limit_seconds:.0f} s" if answer is None else str(answer)
        reason = f": {cause}" if isinstance(cause, str) and cause else ""
        checks.append(Check(connection.name, False, detail + reason, connection.advice))
    return checks


def run_together(works: Sequence[Callable[[], T]], limit_seconds: float) -> list[T | Exception | None]:
    """Call functions at the same time; return the result or error of each, None for those without one in time.

    Parameters
    ----------
    works
        Functions. One that has no result in time goes on in a thread that does not keep the process alive.
    limit_seconds
        Time limit of all together, in seconds.

    Examples
    --------
    >>> run_together([lambda: "well", lambda: time.sleep(5)], 0.1)
    ['well', None]
    """
    results: dict[int, T | Exception] = {}

    def run(number: int) -> None:
        try:
            results[number] = works[number]()
        except Exception as exc:  # noqa: BLE001 - an error of a check is its finding
            results[number] = exc

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(works))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit_seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [results.get(number) for number in range(len(works))]


def rejected_share(
    letters: Iterable[DeadLetter], checkpoints: Mapping[Partition, OffsetCheckpoint]
) -> tuple[int, int, str]:
    """Return how many readings were rejected, of how many since the first of them, and the commonest reason.

    The readings in between are estimated: the events of each partition between its first letter and its checkpoint,
    by the usual number of readings in the events of the letters.

    Parameters
    ----------
    letters
        Dead letters.
    checkpoints
        Last event applied, by partition.
    """
    sizes: dict[tuple[Partition, int], int] = {}
    first: dict[Partition, int] = {}
    reasons: dict[str, tuple[int, str]] = {}
    rejected = 0
    for letter in letters:
        if letter.partition not in checkpoints:
            continue
        rejected += 1
        sizes[letter.partition, letter.sequence_number] = _readings_in(letter.body)
        first[letter.partition] = min(letter.sequence_number, first.get(letter.partition, letter.sequence_number))
        number, detail = reasons.get(letter.reason, (0, letter.detail))
        reasons[letter.reason] = number + 1, detail
    if not rejected:
        return 0, 0, ""
    events = sum(checkpoints[each].sequence_number - number + 1 for each, number in first.items())
    total = round(max(events, len(sizes)) * sum(sizes.values()) / len(sizes))
    reason = max(reasons, key=lambda each: reasons[each][0])
    return rejected, max(total, rejected), f"{reason}: {reasons[reason][1]}"


def _readings_in(body: bytes) -> int:
    try:
        content = json.loads(body)
    except ValueError:
        return 1
    return max(1, len(content)) if isinstance(content, list) else 1


def readings_check(product: Product) -> Check:
    """Warn if most readings of the last hour were rejected."""
    checkpoints = {each.partition: each.checkpoint for each in product.store.ingest_status()}
    rejected, total, reason = rejected_share(product.dead_letters.written_within(_PERIOD, product.clock()), checkpoints)
    check = Check("readings", True, f"{rejected} rejected in the last hour")
    if rejected < _FEWEST_REJECTED or 2 * rejected <= total:
        return check
    return replace(
        check,
        detail=f"{rejected} of about {total} readings since the first rejected one of the last hour were rejected, "
        f"most of them as {reason}",
        advice="run `sensorwatch deadletters list`; correct the sender, or LATENESS_SECONDS if readings are late",
        warns=True,
    )


def _containers(product: Product) -> str:
    from sensorwatch.azure.blobs import translate_blob_errors

    with translate_blob_errors():
        present = {container.name for container in product.blobs.list_containers()}
    missing = sorted(set(product.containers) - present)
    if missing:
        raise NotFoundError(f"missing containers: {', '.join(missing)}")
    return f"{len(product.containers)} containers"


def _pool(product: Product) -> str:
    problems = product.pool.problems()
    if problems:
        raise SensorwatchError("; ".join(problems))
    return f"pool {product.settings.batch_pool_id} is ready"


def _event_hub(product: Product) -> str:
    with product.sender() as sender:
        return f"{len(sender.partition_ids())} partitions"


def _probe(address: Callable[[], tuple[str, int] | None]) -> Callable[[], str]:
    def probe() -> str:
        """Return why no TCP connection is possible, an empty text if one is."""
        try:
            found = address()
        except SensorwatchError:
            found = None
        if found is None:
            return ""
        host, port = found
        try:
            socket.create_connection(found, timeout=_PROBE_SECONDS).close()
        except socket.gaierror:
            return f"the name {host} can't be resolved"
        except TimeoutError:
            return f"no connection to {host}:{port} within {_PROBE_SECONDS:.0f} s; check firewall and private network"
        except OSError as exc:
            return f"no connection to {host}:{port}: {exc.strerror}"
        return f"{host}:{port} takes connections, but the service does not answer properly"

    return probe


def _address(url: str) -> tuple[str, int] | None:
    parsed = urlsplit(url)
    return (parsed.hostname, parsed.port or (80 if parsed.scheme == "http" else 443)) if parsed.hostname else None


def _hub_address(product: Product) -> tuple[str, int] | None:
    settings = product.settings
    endpoint = settings.event_hub_endpoint or f"sb://{settings.event_hub_namespace or ''}"
    parsed = urlsplit(endpoint)
    return (parsed.hostname, parsed.port or 5671) if parsed.hostname else None


def _database_address(product: Product) -> tuple[str, int] | None:
    import sqlalchemy as sa

    try:
        url = sa.make_url(product.settings.database_url.get_secret_value())
    except sa.exc.ArgumentError:
        return None
    return (url.host, url.port or 1433) if url.host else None
