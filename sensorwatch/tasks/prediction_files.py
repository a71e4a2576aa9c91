"""Prediction files in a blob container: ``run=<run id>/shard=000012.parquet``, or ``.csv``.

The name follows from the task, so a task that runs again replaces its file. The columns are those of
:mod:`sensorwatch.tasks.prediction_schema`. A CSV file begins with the columns of the original system's files, in their
order and under their names; the other columns follow::

    TS,Device,Tag,Val,Prediction,Score,Severity,ExpectedLow,ExpectedHigh,ModelVersion,SensorId,Rescored,…

The last columns, ``TrainingStart,TrainingEnd,ExpectedValue,Explanation,Warming``, are optional. Times are ISO 8601 in
UTC (``2026-11-20T10:00:00Z``), an empty field is null, and Rescored is ``true`` or ``false``.

pyarrow is loaded when a file is read or written, not with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sensorwatch.azure.blobs import translate_blob_errors
from sensorwatch.errors import InvalidInputError
from sensorwatch.settings.text_files import escape_cell, unescape_cell
from sensorwatch.tasks.prediction_schema import ANOMALOUS, NORMAL, OPTIONAL, prediction_schema
from sensorwatch.telemetry import current_traceparent

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from azure.storage.blob import ContainerClient

    from sensorwatch.tasks.records import TaskSpec

__all__ = ["BlobPredictionFiles", "parse_predictions", "predictions_to_bytes"]

_CSV_NAMES = {
    "TS": "ts",
    "Device": "device",
    "Tag": "tag",
    "Val": "value",
    "Prediction": "prediction",
    "Score": "score",
    "Severity": "severity",
    "ExpectedLow": "expected_low",
    "ExpectedHigh": "expected_high",
    "ModelVersion": "model_version",
    "SensorId": "sensor_id",
    "Rescored": "rescored",
    "TrainingStart": "training_start",
    "TrainingEnd": "training_end",
    "ExpectedValue": "expected_value",
    "Explanation": "explanation",
    "Warming": "warming",
}
_CSV_TIMES = ("TS", "TrainingStart", "TrainingEnd")
_CSV_TIME = "%Y-%m-%dT%H:%M:%SZ"
_CSV_BLOCK_BYTES = 16 * 1024 * 1024


class BlobPredictionFiles:
    """Prediction files in one blob container (:class:`~sensorwatch.tasks.ports.PredictionFiles`).

    Parameters
    ----------
    container
        Client of an existing container.
    file_format
        Format of the files to write. Files of both formats are read.
    """

    def __init__(self, container: ContainerClient, file_format: Literal["parquet", "csv"]) -> None:
        self._container = container
        self._format = file_format

    def write(self, task: TaskSpec, predictions: pa.Table) -> str:
        """Store a task's predictions in place of those of an earlier try; return the name of the blob.

        Raises
        ------
        InvalidInputError
            The columns of the table are not those of predictions.
        """
        name = f"{_folder(task.run_id)}shard={task.shard:06d}.{self._format}"
        content = predictions_to_bytes(predictions, self._format)
        with translate_blob_errors():
            self._container.upload_blob(name, content, overwrite=True, metadata=_origin())
        return name

    def read(self, name: str) -> pa.Table:
        """Return the predictions in a file.

        Raises
        ------
        NotFoundError
            There is no such file.
        InvalidInputError
            The file is not a prediction file.
        """
        with translate_blob_errors():
            content = self._container.download_blob(name).readall()
        return self.parse(name, content)

    def parse(self, name: str, content: bytes) -> pa.Table:
        """Return the predictions in the content of a file; see :func:`parse_predictions`."""
        return parse_predictions(name, content)

    def traceparent(self, name: str) -> str | None:
        """Return the trace of the task that wrote a file; None if the task was not traced.

        Raises
        ------
        NotFoundError
            There is no such file.
        """
        with translate_blob_errors():
            metadata = self._container.get_blob_client(name).get_blob_properties().metadata
        return (metadata or {}).get("traceparent")

    def names(self, run_id: str) -> list[str]:
        """Return the names of a run's files, in order."""
        with translate_blob_errors():
            names = list(self._container.list_blob_names(name_starts_with=_folder(run_id)))
        return sorted(name for name in names if _suffix(name))


def _origin() -> dict[str, str] | None:
    """Return blob metadata with the current trace, which publishing the file continues; None without a trace."""
    traceparent = current_traceparent()
    return {"traceparent": traceparent} if traceparent else None


def _folder(run_id: str) -> str:
    return f"run={run_id}/"


def _suffix(name: str) -> Literal["parquet", "csv"] | None:
    if name.endswith(".parquet"):
        return "parquet"
    return "csv" if name.endswith(".csv") else None


def predictions_to_bytes(predictions: pa.Table, file_format: Literal["parquet", "csv"]) -> bytes:
    """Return predictions as the content of a file.

    Raises
    ------
    InvalidInputError
        The columns of the table are not those of predictions.
    """
    import pyarrow as pa

    table = _checked("predictions to write", predictions)
    sink = pa.BufferOutputStream()
    if file_format == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, sink, compression="zstd")
    else:
        import pyarrow.compute as pc
        from pyarrow import csv

        for column in map(_CSV_NAMES.__getitem__, _CSV_TIMES):
            times = pc.strftime(table[column].cast(pa.timestamp("s", tz="UTC")), format=_CSV_TIME)
            table = table.set_column(table.schema.get_field_index(column), column, times)
        table = _with_texts(table.select(list(_CSV_NAMES.values())), escape_cell)
        sink.write(f"{','.join(_CSV_NAMES)}\n".encode())
        csv.write_csv(table, sink, csv.WriteOptions(include_header=False))
    return bytes(sink.getvalue())


def parse_predictions(name: str, content: bytes) -> pa.Table:
    """Return the predictions in the content of a file.

    Parameters
    ----------
    name
        Name of the file; its suffix, ``.parquet`` or ``.csv``, gives the format.
    content
        Content of the whole file.

    Raises
    ------
    InvalidInputError
        The content is not a prediction file; the message says what was expected.
    """
    import pyarrow as pa

    suffix = _suffix(name)
    if suffix is None:
        raise InvalidInputError(f"`{name}`: expected a prediction file, with a name that ends in .parquet or .csv")
    try:
        table = _parse_parquet(content) if suffix == "parquet" else _parse_csv(name, content)
    except (pa.ArrowException, OSError) as exc:
        raise InvalidInputError(f"`{name}`: expected {suffix} with the columns of predictions, got: {exc}") from exc
    return _checked(f"`{name}`", table)


def _parse_parquet(content: bytes) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content))


def _parse_csv(name: str, content: bytes) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    header = content.partition(b"\n")[0].strip().decode(errors="replace")
    names = header.replace('"', "").split(",")
    wanted = {column: field for column, field in _CSV_NAMES.items() if column in names or field not in OPTIONAL}
    missing = set(wanted) - set(names)
    if missing:
        raise InvalidInputError(
            f"`{name}`: expected the header {','.join(_CSV_NAMES)}, got `{header[:200]}` "
            f"(missing: {', '.join(column for column in _CSV_NAMES if column in missing)})"
        )
    schema = prediction_schema()
    types: dict[str, Any] = {column: schema.field(field).type for column, field in wanted.items()}
    types |= {column: pa.string() for column in _CSV_TIMES if column in wanted}
    table = csv.read_csv(
        pa.BufferReader(content),
        read_options=csv.ReadOptions(block_size=_CSV_BLOCK_BYTES, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=types, include_columns=list(wanted), strings_can_be_null=False),
    ).rename_columns(list(wanted.values()))
    table = _with_texts(table, unescape_cell)
    for field in (wanted[column] for column in _CSV_TIMES if column in wanted):
        texts = pc.if_else(pc.equal(table[field], ""), None, table[field])
        times = pc.strptime(texts, format=_CSV_TIME, unit="s").cast(pa.int64())
        table = table.set_column(table.schema.get_field_index(field), field, times)
    if "explanation" in table.column_names:
        place = table.schema.get_field_index("explanation")
        texts = table["explanation"]
        table = table.set_column(place, "explanation", pc.if_else(pc.equal(texts, ""), None, texts))
    return table


def _with_texts(table: pa.Table, change: Callable[[str], str]) -> pa.Table:
    """Return the table with each text changed; texts repeat, so that only distinct ones are looked at."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            encoded = pc.dictionary_encode(table[field.name].combine_chunks())
            texts = [None if text is None else change(text) for text in encoded.dictionary.to_pylist()]
            changed = pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, pa.string()))
            table = table.set_column(place, field, changed.cast(pa.string()))
    return table


def _checked(what: str, table: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = prediction_schema()
    for name in OPTIONAL:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, schema.field(name).type))
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise InvalidInputError(
            f"{what}: expected the columns {', '.join(schema.names)}; missing: {', '.join(missing)}"
        )
    table = table.select(schema.names)
    empty = [field.name for field in schema if not field.nullable and table[field.name].null_count]
    if empty:
        raise InvalidInputError(f"{what}: expected a value in every row, some are empty in: {', '.join(empty)}")
    try:
        table = table.cast(schema)
    except (pa.ArrowException, ValueError) as exc:
        raise InvalidInputError(f"{what}: expected the columns {schema}, got another type: {exc}") from exc
    known = pc.is_in(table["prediction"], pa.array([NORMAL, ANOMALOUS], pa.int8()))
    if not pc.all(known, min_count=0).as_py():
        raise InvalidInputError(f"{what}: expected every prediction to be {NORMAL} (normal) or {ANOMALOUS} (anomalous)")
    in_range = pc.and_(pc.greater_equal(table["score"], 0.0), pc.less_equal(table["score"], 100.0))
    if not pc.all(in_range, min_count=0).as_py():
        raise InvalidInputError(f"{what}: expected every score to lie between 0 and 100")
    return table
