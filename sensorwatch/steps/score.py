"""Score a shard's new windows, and those that changed since they were scored, and write one prediction file.

Doing a task twice is harmless: until the mark "scored until" has moved, which it does last and together with the marks
of what is to be scored again, the file replaces the former one; after that it stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.calibration import SEVERITIES, Calibration, severity_codes
from sensorwatch.detectors import Series, detector
from sensorwatch.ports import WindowStore
from sensorwatch.prediction_columns import ANOMALOUS, NORMAL, prediction_schema
from sensorwatch.records import WindowColumns
from sensorwatch.shards import detectors_in, has_model, params_column
from sensorwatch.steps.current_models import load_current

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from sensorwatch.configuration import EstimatorPolicy
    from sensorwatch.ports import ModelRegistry, PredictionWriter
    from sensorwatch.records import SensorStatus, TaskSpec

__all__ = ["ScoreSummary", "ScoringStore", "score"]


class ScoringStore(WindowStore, Protocol):
    """What scoring needs of the store."""

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        """As :meth:`sensorwatch.ports.SensorStore.sensors`."""
        ...

    def is_scored(self, task: TaskSpec) -> bool:
        """As :meth:`sensorwatch.ports.RunStore.is_scored`."""
        ...

    def complete_scoring(self, task: TaskSpec, scored: WindowColumns) -> None:
        """As :meth:`sensorwatch.ports.RunStore.complete_scoring`."""
        ...


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """What a scoring task did.

    Attributes
    ----------
    shard
        The shard.
    version
        The version of the models; None where there are none.
    windows
        Windows read.
    predictions
        Windows scored; the others are of sensors without a model, or at or before the training of its first one.
    rescored
        Those among them that had changed since they were scored.
    anomalies
        Those among them that are anomalous.
    file
        Name of the prediction file; None where there was nothing to write.
    problem
        Why the models that are current could not be used; empty when they could.
    done_before
        A former try did the whole task: nothing was done now.
    """

    shard: int
    version: str | None
    windows: int
    predictions: int
    rescored: int
    anomalies: int
    file: str | None
    problem: str
    done_before: bool = False

    def __str__(self) -> str:
        """Return it as one line."""
        if self.done_before:
            return f"shard {self.shard}: a former try has scored all windows"
        line = (
            f"shard {self.shard}: scored {self.predictions} of {self.windows} windows ({self.rescored} again), "
            f"{self.anomalies} anomalous; {self.file or 'no file'}; "
        )
        line += f"version {self.version}" if self.version else "no models"
        return f"{line}; went back to an older version: {self.problem}" if self.problem else line


def score(
    task: TaskSpec,
    *,
    store: ScoringStore,
    registry: ModelRegistry,
    predictions: PredictionWriter,
    policy: EstimatorPolicy | None = None,
    include_trained: bool = False,
) -> ScoreSummary:
    """Score the windows of a task, and those of its shard that are marked for scoring again.

    Windows at or before the end of the training of a sensor's first model are not scored: the model knows them.

    Parameters
    ----------
    task
        The shard, and the windows ``task.start < end <= task.end``. Without ``task.start`` they begin where the first
        training of the shard's models ended.
    store, registry, predictions
        Where windows and models come from, where predictions go.
    policy
        Which stored estimators may be loaded; None: the configuration's defaults.
    include_trained
        Whether windows up to the end of a model's first training are scored as well.

    Raises
    ------
    CorruptModelError, NotFoundError
        There are models, but none that can be read.
    InvalidInputError
        A model was made by a detector that this version of the code does not know.
    """
    if store.is_scored(task):
        # Its marks are gone by now: another file would lack the windows that were scored again.
        return ScoreSummary(task.shard, None, 0, 0, 0, 0, None, "", done_before=True)
    current = load_current(registry, task.shard)
    if current.pointer and current.models is None:
        registry.load(current.pointer)
    marked = store.read_rescore_windows(task.shard, task.end)
    models = current.models
    if models is not None:
        models = models.filter(has_model(models))
    if models is None or not models.num_rows:
        store.complete_scoring(task, _windows_of((), marked))
        return ScoreSummary(task.shard, None, len(marked.end), 0, 0, 0, None, current.problem)
    if include_trained:
        earliest = pa.array(np.full(models.num_rows, np.iinfo(np.int64).min))
        column = models.schema.get_field_index("first_training_end")
        models = models.set_column(column, models.schema.field(column), earliest)
    start = task.start
    if start is None and not include_trained:
        start = datetime.fromtimestamp(pc.min(models["first_training_end"]).as_py(), UTC)
    windows, rescored = _together(store.read_windows(task.shard, start, task.end), marked)
    table = _predict(models, windows, rescored, store.sensors(task.shard), policy)
    file = predictions.write(task, table) if table.num_rows else None
    # A sensor's first model may have been recorded since these were loaded: its marks are for the next run.
    store.complete_scoring(task, _windows_of(models["sensor_id"].to_numpy(), windows))
    return ScoreSummary(
        shard=task.shard,
        version=current.loaded.version if current.loaded else None,
        windows=len(windows.end),
        predictions=table.num_rows,
        rescored=pc.sum(table["rescored"], min_count=0).as_py(),
        anomalies=pc.sum(pc.equal(table["prediction"], ANOMALOUS), min_count=0).as_py(),
        file=file,
        problem=current.problem,
    )


def _windows_of(sensor_ids: npt.ArrayLike, windows: WindowColumns) -> WindowColumns:
    keep = np.isin(windows.sensor_id, sensor_ids)
    return WindowColumns(windows.sensor_id[keep], windows.end[keep], windows.value[keep], windows.count[keep])


def _together(new: WindowColumns, marked: WindowColumns) -> tuple[WindowColumns, npt.NDArray[np.bool_]]:
    """Return all windows once, in order, and which of them are marked; of a window read twice the marked one counts."""
    rescored = np.concatenate((np.ones(len(marked.end), np.bool_), np.zeros(len(new.end), np.bool_)))
    if not len(marked.end):
        return new, rescored
    sensor_id = np.concatenate((marked.sensor_id, new.sensor_id))
    end = np.concatenate((marked.end, new.end))
    order = np.lexsort((~rescored, end, sensor_id))
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(sensor_id[order]) != 0) | (np.diff(end[order]) != 0)
    kept = order[first]
    return (
        WindowColumns(
            sensor_id[kept],
            end[kept],
            np.concatenate((marked.value, new.value))[kept],
            np.concatenate((marked.count, new.count))[kept],
        ),
        rescored[kept],
    )


class _Models(NamedTuple):
    """What is needed of each sensor's model, as arrays of shape ``(n_models,)``."""

    sensor_id: npt.NDArray[np.int64]
    first_training_end: npt.NDArray[np.int64]
    calibration: Calibration
    expected_low: npt.NDArray[np.float64]
    expected_high: npt.NDArray[np.float64]

    @classmethod
    def of(cls, models: pa.Table) -> _Models:
        return cls(
            models["sensor_id"].to_numpy(),
            models["first_training_end"].to_numpy(),
            Calibration.of(models),
            np.asarray(models["expected_low"].to_numpy(), dtype=np.float64),
            np.asarray(models["expected_high"].to_numpy(), dtype=np.float64),
        )


def _predict(
    models: pa.Table,
    windows: WindowColumns,
    rescored: npt.NDArray[np.bool_],
    sensors: Sequence[SensorStatus],
    policy: EstimatorPolicy | None,
) -> pa.Table:
    """Return the predictions of the windows that can be scored, ordered as the windows are."""
    known = _Models.of(models)
    model = np.searchsorted(known.sensor_id, windows.sensor_id).astype(np.int64)
    model = np.minimum(model, len(known.sensor_id) - 1)
    usable = (known.sensor_id[model] == windows.sensor_id) & (windows.end > known.first_training_end[model])
    usable &= ~np.isnan(windows.value)
    sensor_id, end, value = windows.sensor_id[usable], windows.end[usable], windows.value[usable]
    model, rescored = model[usable], rescored[usable]
    raw = _raw_scores(models, model, end, value, policy)
    # A stored estimator that can't be used gives no scores: its sensor is left out, and the others are not.
    scored = ~np.isnan(raw)
    sensor_id, end, value, raw = sensor_id[scored], end[scored], value[scored], raw[scored]
    model, rescored = model[scored], rescored[scored]
    scores = known.calibration.scores(model, raw)
    anomalous = known.calibration.anomalous(model, raw)
    sensor = np.searchsorted([each.sensor_id for each in sensors], sensor_id)
    columns = {
        "sensor_id": pa.array(sensor_id),
        "device": _repeated([each.key.device for each in sensors], sensor),
        "tag": _repeated([each.key.tag for each in sensors], sensor),
        "ts": pa.array(end),
        "value": pa.array(value),
        "prediction": pa.array(np.where(anomalous, ANOMALOUS, NORMAL).astype(np.int8)),
        "score": pa.array(scores),
        "severity": _repeated(SEVERITIES, severity_codes(scores)),
        "expected_low": pa.array(known.expected_low[model], from_pandas=True),
        "expected_high": pa.array(known.expected_high[model], from_pandas=True),
        "model_version": models["version"].combine_chunks().dictionary_encode().take(pa.array(model)),
        "rescored": pa.array(rescored),
        "training_start": models["training_start"].combine_chunks().take(pa.array(model)),
        "training_end": models["training_end"].combine_chunks().take(pa.array(model)),
    }
    return pa.table([columns[name] for name in prediction_schema().names], names=prediction_schema().names)


def _raw_scores(
    models: pa.Table,
    model: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    policy: EstimatorPolicy | None,
) -> npt.NDArray[np.float64]:
    """Return raw scores of windows whose models stand at the positions ``model``, which never fall."""
    raw = np.full(len(model), np.nan)
    for name in detectors_in(models):
        params = models[params_column(name)].combine_chunks()
        chosen = np.flatnonzero(params.is_valid().to_numpy(zero_copy_only=False)[model])
        rows, series = Series.grouped(model[chosen], end[chosen], value[chosen])
        raw[chosen] = detector(name, policy=policy).score(params.take(pa.array(rows)), series)
    return raw


def _repeated(texts: Sequence[str], position: npt.NDArray[np.integer]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(position.astype(np.int32)), pa.array(texts, pa.string()))
