"""Models that the promotion gate refused: they stay in the manifest of their shard's version, to be looked at.

A manifest lists the newest refused model of every sensor that is not ``ready`` because of one. It goes from manifest to
manifest until the sensor gets a model.
"""

from __future__ import annotations

import logging
import math
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from sensorwatch.errors import CorruptModelError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.records import ModelRef

__all__ = ["REFUSED", "RefusedModel", "carried_refusals", "describe_refused", "refused_models"]

_log = logging.getLogger(__name__)

REFUSED = "refused"
"""The manifest's key."""


@dataclass(frozen=True, slots=True)
class RefusedModel:
    """A model that is not in use.

    Attributes
    ----------
    sensor_id, detector, reason
        Whose it is, what made it, and why it was refused.
    windows, training_start, training_end
        It was trained on so many windows with ``training_start < end <= training_end`` (UTC).
    expected_low, expected_high
        Lowest and highest value that it takes for normal; None where it has none.
    params
        The detector's parameters, by name.
    """

    sensor_id: int
    detector: str
    reason: str
    windows: int
    training_start: datetime
    training_end: datetime
    expected_low: float | None
    expected_high: float | None
    params: Mapping[str, object]


def refused_models(registry: ModelRegistry, shard: int, version: str | None = None) -> list[RefusedModel]:
    """Return the models of a shard that were refused, as of a version (None: the current one), ordered by sensor.

    Raises
    ------
    NotFoundError, CorruptModelError
        The version has no manifest, or one that can't be read.
    """
    current = registry.current(shard)
    if current is None:
        return []
    wanted = current if version is None else type(current)(shard, version)
    return [
        RefusedModel(
            sensor_id=entry["sensor_id"],
            detector=entry["detector"],
            reason=entry["reason"],
            windows=entry["windows"],
            training_start=datetime.fromtimestamp(entry["training_start"], UTC),
            training_end=datetime.fromtimestamp(entry["training_end"], UTC),
            expected_low=entry["expected_low"],
            expected_high=entry["expected_high"],
            params=entry["params"],
        )
        for entry in _entries(registry.manifest(wanted))
    ]


def describe_refused(**values: Any) -> dict[str, object]:
    """Return a refused model as the manifest holds it: bytes as Base64, numbers that JSON has no text for null."""
    return {name: _plain(value) for name, value in values.items()}


def carried_refusals(
    registry: ModelRegistry, loaded: ModelRef | None, models: pa.Table, refused: Sequence[Mapping[str, object]]
) -> list[Mapping[str, object]]:
    """Return what the next manifest lists: what was refused now, and before of sensors that are still not ready.

    Parameters
    ----------
    registry
        Where the former manifest is.
    loaded
        The version that the models were merged with.
    models
        The models that are about to be published.
    refused
        What was refused now, as :func:`describe_refused` has it.
    """
    waiting = set(models.filter(pc.not_equal(models["state"], "ready"))["sensor_id"].to_pylist())
    if not waiting:
        return []
    former = _former(registry, loaded)
    by_sensor = {entry["sensor_id"]: entry for entry in [*former, *refused] if entry["sensor_id"] in waiting}
    return [by_sensor[sensor_id] for sensor_id in sorted(by_sensor)]


def _former(registry: ModelRegistry, loaded: ModelRef | None) -> list[dict[str, Any]]:
    if loaded is None:
        return []
    try:
        return _entries(registry.manifest(loaded))
    except (NotFoundError, CorruptModelError) as exc:
        _log.warning("shard %d: what was refused before is forgotten: %s", loaded.shard, exc)
        return []


def _entries(manifest: Mapping[str, object]) -> list[dict[str, Any]]:
    entries = manifest.get(REFUSED, [])
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
