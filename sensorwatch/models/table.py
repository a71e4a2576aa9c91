"""Model table: all models of a shard as one Arrow table, and its file format.

One row for each sensor that was in a training task, ordered by ``sensor_id``:

================== ======= =============================================================================================
Column             Type    Meaning
================== ======= =============================================================================================
sensor_id          int64
detector           string  Detector of the model; without a model, the detector of the failed training.
state              string  ``ready``; ``stale``: an older model is kept; ``warming``: cold start, with a fallback as the
                           model or without a model; ``failed``: there is no model.
reason             string  Reason of a state other than ``ready``; else empty.
windows            int64   Number of windows with a finite value that the model was trained on; without a model, the
                           number that there were.
training_start     int64   The model was trained on windows with ``training_start < end <= training_end``, in seconds
training_end       int64   since 1970-01-01T00:00:00Z; ``training_end`` is the newest of them. Null without a model.
first_training_end int64   ``training_end`` of the sensor's first model: windows up to it are never scored.
version            string  The version in which the model first appeared. In a stored file it is empty for models of
                           that same version, because the version's name follows from the file's content.
center             double  The calibration: see :class:`sensorwatch.detectors.calibration.Calibration`.
level              double
tail_share         double
scale              double
shape              double
threshold          double
expected_low       double  Lowest and highest normal value; null if the detector has none.
expected_high      double
params_<detector>  struct  Parameters of the detector; null in the rows of other detectors. There is one such column for
                           each detector in use.
================== ======= =============================================================================================
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.config.detectors import NO_PARAMETERS
from sensorwatch.errors import CorruptModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "IMPORTED",
    "MODEL_SCHEMA",
    "checksum",
    "detectors_in",
    "has_model",
    "is_fallback",
    "merge",
    "models_from_bytes",
    "models_to_bytes",
    "params_column",
    "replace_models",
    "specifications",
    "with_version",
    "without_fallbacks",
]

MODEL_SCHEMA = pa.schema(
    [
        pa.field("sensor_id", pa.int64(), nullable=False),
        pa.field("detector", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("windows", pa.int64(), nullable=False),
        pa.field("training_start", pa.int64()),
        pa.field("training_end", pa.int64()),
        pa.field("first_training_end", pa.int64()),
        pa.field("version", pa.string(), nullable=False),
        pa.field("center", pa.float64()),
        pa.field("level", pa.float64()),
        pa.field("tail_share", pa.float64()),
        pa.field("scale", pa.float64()),
        pa.field("shape", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("expected_low", pa.float64()),
        pa.field("expected_high", pa.float64()),
    ]
)
"""The columns of every model table; columns with parameters of detectors follow them."""

IMPORTED = '{"imported":'
"""Beginning of the specification of an imported model."""

_PARAMS_PREFIX = "params_"
_SPECIFICATION = "specification"


def params_column(detector: str) -> str:
    """Return the name of the column with a detector's parameters."""
    return _PARAMS_PREFIX + detector


def detectors_in(models: pa.Table) -> list[str]:
    """Return the detectors that have models in a table, in alphabetical order."""
    return sorted(name.removeprefix(_PARAMS_PREFIX) for name in models.column_names if name.startswith(_PARAMS_PREFIX))


def has_model(models: pa.Table) -> pa.ChunkedArray:
    """Return True for each row with a model."""
    return pc.is_valid(models["training_end"])


def is_fallback(models: pa.Table) -> pa.ChunkedArray:
    """Return True for each row whose model is the fallback of a cold start; a fallback never alerts."""
    return pc.and_(has_model(models), pc.equal(models["state"], "warming"))


def without_fallbacks(models: pa.Table) -> pa.Table:
    """Return the rows that have a model other than a fallback."""
    return models.filter(pc.and_(has_model(models), pc.invert(is_fallback(models))))


def specifications(models: pa.Table) -> list[str]:
    """Return the specification of each row's detector as JSON; ``{}`` for detectors without parameters."""
    found = [NO_PARAMETERS] * models.num_rows
    for name in detectors_in(models):
        params = models[params_column(name)].combine_chunks()
        if params.type.get_field_index(_SPECIFICATION) < 0:
            continue
        for i, specification in enumerate(pc.struct_field(params, _SPECIFICATION).to_pylist()):
            if specification is not None:
                found[i] = specification
    return found


def merge(current: pa.Table | None, trained: pa.Table) -> pa.Table:
    """Return the model table after training: new rows merged into the current table.

    - Sensors that were not trained keep their row.
    - A new model replaces the current one, unless that was trained on newer windows (an old task that runs again).
    - If training gave no model, or a fallback, the current model is kept as ``stale`` with the reason of training.
      A current fallback is not kept.
    - A row that equals the current one keeps its version, so training on the same windows again changes nothing.
    - ``first_training_end`` is kept.

    Parameters
    ----------
    current
        The model table in use with its versions filled in (:func:`with_version`); None if there is none.
    trained
        New rows, one for each trained sensor, with an empty ``version``.
    """
    rows = {} if current is None else {row["sensor_id"]: row for row in current.to_pylist()}
    for new in trained.to_pylist():
        rows[new["sensor_id"]] = _merge_row(rows.get(new["sensor_id"]), new)
    ordered = [rows[sensor_id] for sensor_id in sorted(rows)]
    return _as_table(ordered, _params_fields(trained if current is None else current, trained))


def _merge_row(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    if old is None:
        return new
    if old["training_end"] is not None:
        had_fallback, gets_fallback = old["state"] == "warming", new["state"] == "warming"
        if not had_fallback and (new["training_end"] is None or gets_fallback):
            return old | {"state": "stale", "reason": new["reason"]}
        if new["training_end"] is None:
            return new
        if old["training_end"] > new["training_end"]:
            return old
        new = new | {"first_training_end": old["first_training_end"]}
    return old if _without_version(old) == _without_version(new) else new


def replace_models(current: pa.Table | None, imported: pa.Table) -> pa.Table:
    """Return the model table after an import: imported models replace the current ones of their sensors.

    A model that equals the current one keeps its row, so importing the same file again changes nothing.
    ``first_training_end`` is kept.
    """
    rows = {} if current is None else {row["sensor_id"]: row for row in current.to_pylist()}
    for new in imported.to_pylist():
        old = rows.get(new["sensor_id"])
        if old is not None and old["first_training_end"] is not None:
            new = new | {"first_training_end": old["first_training_end"]}
        if old is None or _without_version(old | {"training_end": new["training_end"]}) != _without_version(new):
            rows[new["sensor_id"]] = new
    ordered = [rows[sensor_id] for sensor_id in sorted(rows)]
    return _as_table(ordered, _params_fields(imported if current is None else current, imported))


def _without_version(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "version" and value is not None}


def _params_fields(*tables: pa.Table) -> list[pa.Field]:
    fields = {field.name: field for table in tables for field in table.schema if field.name.startswith(_PARAMS_PREFIX)}
    return [fields[name] for name in sorted(fields)]


def _as_table(rows: Sequence[dict[str, Any]], params: Sequence[pa.Field]) -> pa.Table:
    used = [field for field in params if any(row.get(field.name) is not None for row in rows)]
    return pa.Table.from_pylist(rows, schema=pa.schema([*MODEL_SCHEMA, *used]))


def with_version(models: pa.Table, version: str) -> pa.Table:
    """Return the model table with this version in the rows that have an empty one."""
    filled = pc.if_else(pc.equal(models["version"], ""), version, models["version"])
    return models.set_column(models.schema.get_field_index("version"), MODEL_SCHEMA.field("version"), filled)


def checksum(content: bytes) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def models_to_bytes(models: pa.Table) -> bytes:
    """Return a model table as the content of an Arrow IPC file; equal tables from :func:`merge` give equal bytes."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, models.schema, options=options) as writer:
        writer.write_table(models.combine_chunks())
    return bytes(sink.getvalue())


def models_from_bytes(content: bytes, expected_checksum: str) -> pa.Table:
    """Return the model table in an Arrow IPC file.

    Parameters
    ----------
    content
        Content of the file.
    expected_checksum
        Its SHA-256 in hexadecimal, or the beginning of it.

    Raises
    ------
    CorruptModelError
        The checksum differs, the content is not an Arrow IPC file, or the columns are not those of a model table.
    """
    actual = checksum(content)
    if not actual.startswith(expected_checksum):
        raise CorruptModelError(
            f"model file of {len(content)} bytes: expected a SHA-256 of {expected_checksum}…, got {actual}; "
            "restore the blob or roll back to another version"
        )
    try:
        with pa.ipc.open_file(pa.BufferReader(content)) as reader:
            models = reader.read_all()
        models.validate(full=True)
    except pa.ArrowException as exc:
        raise CorruptModelError(f"model file of {len(content)} bytes: expected an Arrow IPC file, got: {exc}") from exc
    wrong = [field.name for field in MODEL_SCHEMA if field not in models.schema]
    if wrong:
        raise CorruptModelError(f"model file: columns missing or of another type: {', '.join(wrong)}")
    ids = models["sensor_id"].to_numpy()
    if (np.diff(ids) <= 0).any():
        raise CorruptModelError("model file: expected rows ordered by sensor_id, one for each sensor")
    return models
