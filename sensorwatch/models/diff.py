"""Readable descriptions of models, and differences between two versions of a shard's models."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from sensorwatch.detectors.calibration import Calibration
from sensorwatch.detectors.ensembles.member_weights import OWN, PEERS
from sensorwatch.models.table import params_column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

__all__ = ["ModelChange", "describe_model", "model_changes"]

_KNOWN = 6
"""Significant digits of a parameter in a description."""


class ModelChange(NamedTuple):
    """Difference of one sensor between two versions.

    Attributes
    ----------
    sensor_id
        The sensor.
    kind
        ``added`` or ``removed``: only the new or only the old version has a model. ``detector``: another detector or
        other parameters were requested. ``retrained``: the same detector, fitted to other windows. ``state``: the same
        model in another state.
    detector
        Detector of the new model, or of the removed one.
    training_end
        End of the new model's training, in seconds since 1970-01-01T00:00:00Z.
    distance
        Sum of the absolute differences between the numbers in both models, divided by the sum of their absolute
        values: 0 for equal models, 1 for models with nothing in common. None if they can't be compared.
    """

    sensor_id: int
    kind: Literal["added", "removed", "detector", "retrained", "state"]
    detector: str
    training_end: int | None
    distance: float | None


def model_changes(old: pa.Table, new: pa.Table) -> list[ModelChange]:
    """Return the differences between two model tables, ordered by sensor; equal models are left out."""
    before, after = _rows(old), _rows(new)
    changes = []
    for sensor_id in sorted(before | after):
        one, other = before.get(sensor_id), after.get(sensor_id)
        change = _change(sensor_id, one, other)
        if change is not None:
            changes.append(change)
    return changes


def _change(sensor_id: int, old: dict[str, Any] | None, new: dict[str, Any] | None) -> ModelChange | None:
    had, has = old is not None and old["params"] is not None, new is not None and new["params"] is not None
    if new is None or (had and not has):
        return None if not had or old is None else ModelChange(sensor_id, "removed", old["detector"], None, None)
    if not has:
        return None
    if not had or old is None:
        return ModelChange(sensor_id, "added", new["detector"], new["training_end"], None)
    if _requested(old) != _requested(new):
        return ModelChange(sensor_id, "detector", new["detector"], new["training_end"], None)
    if old["version"] != new["version"]:
        distance = _distance(old["params"], new["params"])
        return ModelChange(sensor_id, "retrained", new["detector"], new["training_end"], distance)
    if old["state"] != new["state"]:
        return ModelChange(sensor_id, "state", new["detector"], new["training_end"], 0.0)
    return None


def describe_model(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model in readable names: detector, parameters, training range (UTC), state, calibration, version.

    Parameters
    ----------
    row
        As :func:`sensorwatch.models.export_model.model_row` returns it.
    """
    return {
        "detector": row["detector"],
        "parameters": _summary(row["params"]),
        "state": row["state"],
        "reason": row["reason"],
        "windows": row["windows"],
        "trained_from": _time(row["training_start"]),
        "trained_until": _time(row["training_end"]),
        "first_trained_until": _time(row["first_training_end"]),
        **{name: row[name] for name in Calibration.columns},
        "expected_low": row["expected_low"],
        "expected_high": row["expected_high"],
        "version": row["version"],
    }


def _rows(models: pa.Table) -> dict[int, dict[str, Any]]:
    rows = {}
    for row in models.to_pylist():
        rows[row["sensor_id"]] = row | {"params": row.get(params_column(row["detector"]))}
    return rows


def _requested(row: Mapping[str, Any]) -> tuple[str, object]:
    return row["detector"], row["params"].get("specification")


def _distance(old: Mapping[str, Any], new: Mapping[str, Any]) -> float | None:
    one, other = np.array(list(_numbers(old))), np.array(list(_numbers(new)))
    if len(one) != len(other) or not len(one):
        return None
    size = float(np.abs(one).sum() + np.abs(other).sum())
    return float(np.abs(one - other).sum()) / size if size else 0.0


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for name in sorted(value):
            yield from _numbers(value[name])
    elif isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, float):
        yield value


def _summary(params: Mapping[str, Any] | None) -> str:
    if params is None:
        return ""
    parts = []
    for name, value in params.items():
        if name == "specification":
            parts.append(_asked(value))
        elif name == "weights" and isinstance(value, dict):
            parts.append(_members(value, params.get("precision") or {}))
            parts.append(_weighed(params.get("weighed_by"), params.get("weighed_at")))
        elif name in ("weighed_by", "weighed_at"):
            continue
        elif isinstance(value, int):
            parts.append(f"{name.replace('_', ' ')} {value}")
        elif isinstance(value, float):
            parts.append(f"{name.replace('_', ' ')} {value:.{_KNOWN}g}")
        elif isinstance(value, bytes):
            parts.append(f"{name} of {len(value)} bytes")
        elif isinstance(value, list):
            parts.append(f"{len(value)} {name.replace('_', ' ')}")
    return ", ".join(part for part in parts if part)


def _members(weights: Mapping[str, float | None], precision: Mapping[str, float | None]) -> str:
    """Return the weight of each member of an ensemble and the precision that it follows from."""
    known = {name: weight for name, weight in weights.items() if weight is not None}
    total = sum(known.values())
    texts = []
    for name in sorted(known, key=lambda name: -known[name]):
        found = precision.get(name)
        why = "" if found is None else f" (finds synthetic anomalies with precision {found:.2f})"
        texts.append(f"{name} {100 * known[name] / total:.0f} %{why}")
    return "; ".join(texts)


def _weighed(by: str | None, at: int | None) -> str:
    """Return the origin of an ensemble's member weights."""
    if by == OWN:
        return f"weights learned from its own windows up to {_time(at)}"
    return f"mean weights of sensors with the same tag, {_time(at)}" if by == PEERS else ""


def _asked(specification: str) -> str:
    asked = json.loads(specification)
    if "imported" in asked:
        return f"imported from {asked['imported']}"
    if "steps" not in asked and asked:
        return specification
    steps = [f"{step['estimator']} {json.dumps(step['parameters'])}" for step in asked.get("steps", [])]
    return " | ".join(steps)


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
