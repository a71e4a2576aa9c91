"""What a model is, for a person, and what differs between two versions of a shard."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from sensorwatch.detectors.calibration import Calibration
from sensorwatch.detectors.ensembles.member_weights import ALIKE, OWN
from sensorwatch.models.table import params_column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

__all__ = ["ModelChange", "describe_model", "model_changes"]

_KNOWN = 6
"""Significant digits that are shown of a parameter."""


class ModelChange(NamedTuple):
    """One sensor's difference between two versions.

    ``added`` and ``removed``: a model that only the new, or only the old version has; ``detector``: another detector or
    other parameters were asked for; ``retrained``: the same, fitted to other windows; ``state``: the same model, in
    another state. ``distance`` is that of the numbers in a model, as a share of their size: 0 the same, 1 nothing in
    common; None where they can't be compared.
    """

    sensor_id: int
    kind: Literal["added", "removed", "detector", "retrained", "state"]
    detector: str
    training_end: int | None
    distance: float | None


def model_changes(old: pa.Table, new: pa.Table) -> list[ModelChange]:
    """Return what differs, ordered by sensor; models that are the same are left out."""
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
    if _asked_for(old) != _asked_for(new):
        return ModelChange(sensor_id, "detector", new["detector"], new["training_end"], None)
    if old["version"] != new["version"]:
        distance = _distance(old["params"], new["params"])
        return ModelChange(sensor_id, "retrained", new["detector"], new["training_end"], distance)
    if old["state"] != new["state"]:
        return ModelChange(sensor_id, "state", new["detector"], new["training_end"], 0.0)
    return None


def describe_model(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a shard in plain names: detector, parameters, training range (UTC), state, calibration, version.

    Parameters
    ----------
    row
        As :func:`sensorwatch.models.export_model.model_row` gives it.
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


def _asked_for(row: Mapping[str, Any]) -> tuple[str, object]:
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
    """Return what each member of an ensemble weighs, and why."""
    known = {name: weight for name, weight in weights.items() if weight is not None}
    total = sum(known.values())
    texts = []
    for name in sorted(known, key=lambda name: -known[name]):
        found = precision.get(name)
        why = "" if found is None else f" (finds injected faults with precision {found:.2f})"
        texts.append(f"{name} {100 * known[name] / total:.0f} %{why}")
    return "; ".join(texts)


def _weighed(by: str | None, at: int | None) -> str:
    """Return whose finding the weights of an ensemble are."""
    if by == OWN:
        return f"weighed by its own windows up to {_time(at)}"
    return f"weighed by those of sensors with its tag, {_time(at)}" if by == ALIKE else ""


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
