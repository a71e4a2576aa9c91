"""Models that the promotion gate refused. They are kept for inspection in the manifest of their shard's version.

A manifest lists the newest refused model of each sensor that is not ``ready`` because of the refusal. The entry is
copied from manifest to manifest until the sensor gets a model.
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
"""Key of the list in a manifest."""


@dataclass(frozen=True, slots=True)
class RefusedModel:
    """A model that was refused and is not in use.

    Attributes
    ----------
    sensor_id
        The sensor.
    detector
        Detector of the model.
    reason
        Reason of the refusal.
    windows
        Number of training windows.
    training_start
        Exclusive start of the training range (UTC).
    training_end
        Inclusive end of the training range (UTC).
    expected_low, expected_high
        Lowest and highest normal value; None if the detector has none.
    params
        Parameters of the detector, by name.
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
    """Return the refused models of a shard, ordered by sensor.

    Parameters
    ----------
    registry
        Registry of the models.
    shard
        Number of the shard.
    version
        Version whose manifest is read; None: the current one.

    Raises
    ------
    NotFoundError
        The version has no manifest.
    CorruptModelError
        The manifest can't be read.
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
    """Return a manifest's entry for a refused model: bytes as Base64, NaN and infinity as null."""
    return {name: _plain(value) for name, value in values.items()}


def carried_refusals(
    registry: ModelRegistry, loaded: ModelRef | None, models: pa.Table, refused: Sequence[Mapping[str, object]]
) -> list[Mapping[str, object]]:
    """Return the refused models for the next manifest: those of this training, and earlier ones that still apply.

    An earlier entry applies while its sensor is not ``ready``.

    Parameters
    ----------
    registry
        Registry with the previous manifest.
    loaded
        The version that the models were merged with; None if there was none.
    models
        The model table to be published.
    refused
        Entries of this training, as :func:`describe_refused` returns them.
    """
    waiting = set(models.filter(pc.not_equal(models["state"], "ready"))["sensor_id"].to_pylist())
    if not waiting:
        return []
    earlier = _earlier(registry, loaded)
    by_sensor = {entry["sensor_id"]: entry for entry in [*earlier, *refused] if entry["sensor_id"] in waiting}
    return [by_sensor[sensor_id] for sensor_id in sorted(by_sensor)]


def _earlier(registry: ModelRegistry, loaded: ModelRef | None) -> list[dict[str, Any]]:
    if loaded is None:
        return []
    try:
        return _entries(registry.manifest(loaded))
    except (NotFoundError, CorruptModelError) as exc:
        _log.warning("shard %d: earlier refused models are lost: %s", loaded.shard, exc)
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
