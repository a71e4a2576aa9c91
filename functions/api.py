"""What the outside may ask over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, cast, get_args

import azure.functions as func

from sensorwatch.errors import InvalidInputError, SensorwatchError
from sensorwatch.records import SensorState
from sensorwatch.sensor_states import SensorQuery
from sensorwatch.wiring import wiring

if TYPE_CHECKING:
    from sensorwatch.records import SensorStatus, SinkStatus

__all__ = ["blueprint"]

blueprint = func.Blueprint()

_LARGEST_ID = 2**31 - 1


@blueprint.function_name("health")
@blueprint.route(route="health", methods=[func.HttpMethod.GET])
def health(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 when the database is reachable and migrated, 503 with the reason when it is not.

    An alert sink that is failing is reported, and makes nothing else unhealthy.
    """
    try:
        store = wiring().store
        return _json(200, {"status": "healthy", "database": store.check(), "sinks": _sinks(store.sink_status())})
    except SensorwatchError as exc:
        return _json(503, {"status": "unhealthy", "reason": str(exc)})


def _sinks(statuses: list[SinkStatus]) -> list[dict[str, object]]:
    return [
        {
            "name": status.name,
            "state": "failing" if status.failing else "ok",
            "failing_since": status.failing_since.isoformat() if status.failing_since else None,
            "last_delivery": status.last_delivery.isoformat() if status.last_delivery else None,
            "last_error": status.last_error,
            "waiting": status.waiting,
        }
        for status in statuses
    ]


@blueprint.function_name("ingest_status")
@blueprint.route(route="ingest-status", methods=[func.HttpMethod.GET])
def ingest_status(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with every partition's last event and its counters since it was first read."""
    partitions = [
        {
            **status.partition._asdict(),
            "sequence_number": status.mark.sequence_number,
            "enqueued_time": status.mark.enqueued_time.isoformat(),
            **status.counts._asdict(),
        }
        for status in wiring().store.ingest_status()
    ]
    return _json(200, {"partitions": partitions})


@blueprint.function_name("sensors")
@blueprint.route(route="sensors", methods=[func.HttpMethod.GET])
def sensors(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with a page of sensors and how many show each state; 400 says which parameter is wrong.

    Parameters of the query: ``state``, ``device``, ``tag``, ``limit`` (100, at most 1000) and ``after``, which takes
    ``next`` of the page before.
    """
    try:
        query = _sensor_query(req)
        limit = _whole_number(req, "limit", 1, 1000) or 100
    except InvalidInputError as exc:
        return _json(400, {"error": str(exc)})
    wired = wiring()
    freshness = wired.freshness
    found = wired.store.find_sensors(query, freshness, limit=limit + 1)
    page = found[:limit]
    return _json(
        200,
        {
            "states": wired.store.count_states(replace(query, state=None, after_id=None), freshness),
            "sensors": [_sensor(sensor) for sensor in page],
            "next": page[-1].sensor_id if len(found) > limit else None,
        },
    )


def _sensor_query(req: func.HttpRequest) -> SensorQuery:
    states = get_args(SensorState)
    state = req.params.get("state")
    if state is not None and state not in states:
        raise InvalidInputError(f"state: expected one of {', '.join(states)}, got `{state}`")
    after = _whole_number(req, "after", 0, _LARGEST_ID)
    return SensorQuery(cast("SensorState | None", state), req.params.get("device"), req.params.get("tag"), after)


def _whole_number(req: func.HttpRequest, name: str, lowest: int, highest: int) -> int | None:
    text = req.params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(highest)) and lowest <= int(text) <= highest):
        raise InvalidInputError(f"{name}: expected a whole number from {lowest} to {highest}, got `{text}`")
    return int(text)


def _sensor(sensor: SensorStatus) -> dict[str, object]:
    return {
        "sensor_id": sensor.sensor_id,
        "device": sensor.key.device,
        "tag": sensor.key.tag,
        "shard": sensor.shard,
        "state": sensor.state,
        "reason": sensor.reason,
        "first_seen": sensor.first_seen.isoformat(),
        "last_window": sensor.last_window and sensor.last_window.isoformat(),
        "trained_until": sensor.trained_until and sensor.trained_until.isoformat(),
        "model_version": sensor.model_version,
    }


def _json(status: int, body: object) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/json")
