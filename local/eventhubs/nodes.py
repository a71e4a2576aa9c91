"""The request-and-response nodes: ``$cbs`` accepts tokens, ``$management`` describes hubs and partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.eventhubs.codec import Array, Int, Long, Timestamp
from local.eventhubs.frames import AmqpError
from local.eventhubs.messages import Request, reply

if TYPE_CHECKING:
    from local.eventhubs.hubs import Hubs

__all__ = ["NODES", "answer"]

NODES = ("$cbs", "$management")

# The service's way to say "never", as year 1.
_NEVER_MS = -62_135_596_800_000


def answer(node: str, request: Request, hubs: Hubs) -> bytes:
    """Return the response to a request; an unknown name or operation has a status of 400 or more.

    Any token is accepted, as the broker listens on loopback only and stores no secrets.

    Parameters
    ----------
    node
        ``$cbs`` or ``$management``.
    request
        The request.
    hubs
        Event hubs of the broker.
    """
    try:
        if node == "$cbs":
            _check_operation(node, request, "put-token")
            return _reply(request, 202, "Accepted", None)
        _check_operation(node, request, "READ")
        return _reply(request, 200, "OK", _read(request, hubs))
    except AmqpError as error:
        status = 404 if error.condition == "amqp:not-found" else 400
        return _reply(request, status, error.description, None)


def _check_operation(node: str, request: Request, known: str) -> None:
    operation = request.properties["operation"]
    if operation != known:
        raise AmqpError("amqp:not-implemented", f"{node} supports the operation `{known}` only, got `{operation}`")


def _read(request: Request, hubs: Hubs) -> dict[str, object]:
    kind = request.properties.get("type")
    hub = hubs.hub(str(request.properties.get("name")))
    if kind == "com.microsoft:eventhub":
        return {
            "name": hub.name,
            "type": kind,
            "created_at": Timestamp(hub.created_ms),
            "partition_count": Int(len(hub.partitions)),
            "partition_ids": Array([partition.identity for partition in hub.partitions]),
        }
    if kind != "com.microsoft:partition":
        raise AmqpError("amqp:not-implemented", f"$management can't read a `{kind}`")
    partition = hub.partition(str(request.properties.get("partition")))
    log = partition.log
    return {
        "name": hub.name,
        "type": kind,
        "partition": partition.identity,
        "begin_sequence_number": Long(0),
        "last_enqueued_sequence_number": Long(log.count - 1),
        "last_enqueued_offset": str(log.base + log.last_position) if log.count else "-1",
        "last_enqueued_time_utc": Timestamp(_NEVER_MS if log.last_enqueued_ms is None else log.last_enqueued_ms),
        "is_partition_empty": log.count == 0,
    }


def _reply(request: Request, status: int, description: str, value: object) -> bytes:
    properties: dict[str, object] = {
        "status-code": Int(status),
        "status-description": description,
        "statusCode": Int(status),
        "statusDescription": description,
    }
    return reply(request, properties, value)
