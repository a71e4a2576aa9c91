"""Events as arguments of a function: the worker's converter, with the metadata that the real host sends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.eventhub.amqp import AmqpMessageBodyType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.eventhub import EventData

__all__ = ["Delivered", "Source", "by_hand", "decode_events", "from_sdk"]

_Datum = func.meta.Datum


@dataclass(frozen=True, slots=True)
class Source:
    """Origin of a batch."""

    namespace: str
    event_hub: str
    consumer_group: str
    partition_id: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """One event: body, system properties (JSON values) and application properties (JSON values)."""

    body: bytes
    system: Mapping[str, Any]
    properties: Mapping[str, Any]


def from_sdk(event: EventData) -> Delivered:
    """Convert an event of the SDK."""
    system = {str(_plain(key)): _plain(value) for key, value in event.system_properties.items()}
    enqueued_time = event.enqueued_time
    system |= {
        "SequenceNumber": event.sequence_number,
        "Offset": event.offset,
        "PartitionKey": _plain(event.partition_key),
        "EnqueuedTimeUtc": enqueued_time.isoformat() if enqueued_time else None,
    }
    properties = {str(_plain(key)): _plain(value) for key, value in (event.properties or {}).items()}
    return Delivered(_body(event), system, properties)


def by_hand(bodies: list[bytes], now: datetime) -> list[Delivered]:
    """Create events for a manual invocation; their sequence numbers are the time in microseconds since 1970."""
    first = int(now.timestamp() * 1_000_000)
    return [
        Delivered(
            body,
            {
                "SequenceNumber": first + index,
                "Offset": str(first + index),
                "PartitionKey": None,
                "EnqueuedTimeUtc": now.isoformat(),
            },
            {},
        )
        for index, body in enumerate(bodies)
    ]


def decode_events(events: list[Delivered], source: Source, *, many: bool, binary: bool) -> object:
    """Return the argument of the function.

    Parameters
    ----------
    events
        The batch; exactly one event unless ``many``.
    source
        Origin of the batch.
    many
        Whether the function gets a list of events (cardinality many).
    binary
        Whether bodies are delivered as bytes. As text, invalid UTF-8 is replaced, as the real host does.
    """
    partition_context = {
        "FullyQualifiedNamespace": source.namespace,
        "EventHubName": source.event_hub,
        "ConsumerGroup": source.consumer_group,
        "PartitionId": source.partition_id,
    }
    metadata = {"PartitionContext": _json(partition_context)}
    converter = func.get_binding_registry().get("eventHubTrigger")
    if many:
        metadata |= {
            "SystemPropertiesArray": _json([dict(event.system) for event in events]),
            "PropertiesArray": _json([dict(event.properties) for event in events]),
            "PartitionKeyArray": _json([event.system["PartitionKey"] for event in events]),
            "OffsetArray": _json([event.system["Offset"] for event in events]),
            "SequenceNumberArray": _json([event.system["SequenceNumber"] for event in events]),
            "EnqueuedTimeUtcArray": _json([event.system["EnqueuedTimeUtc"] for event in events]),
        }
        data = (
            _Datum(SimpleNamespace(bytes=[event.body for event in events]), "collection_bytes")
            if binary
            else _Datum(SimpleNamespace(string=[_text(event.body) for event in events]), "collection_string")
        )
        return converter.decode(data, trigger_metadata=metadata)
    event = events[0]
    metadata |= {
        "SystemProperties": _json(dict(event.system)),
        "Properties": _json(dict(event.properties)),
    } | {key: _json(event.system[key]) for key in ("PartitionKey", "Offset", "SequenceNumber", "EnqueuedTimeUtc")}
    if event.system["PartitionKey"] is None:
        # The converter would turn null into the text "None".
        del metadata["PartitionKey"]
    return converter.decode(
        _Datum(event.body, "bytes") if binary else _Datum(_text(event.body), "string"), trigger_metadata=metadata
    )


def _body(event: EventData) -> bytes:
    if event.body_type is not AmqpMessageBodyType.DATA:
        return event.body_as_str().encode()
    sections: Any = event.body
    return sections if isinstance(sections, bytes) else b"".join(sections)


def _json(value: object) -> Any:
    return _Datum(json.dumps(value), "json")


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _plain(value: object) -> object:
    """Return the JSON value of an AMQP value."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
