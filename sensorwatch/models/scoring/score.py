"""Scoring of a shard's new windows, and of windows that changed after they were scored, into one prediction file.

A task can be repeated. Its last step, in one transaction, moves the shard's time "scored until" and clears the rescore
marks of the windows. Before that step, a repeated task replaces the prediction file; after it, a repeated task does
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.models.current import load_current
from sensorwatch.models.scoring.checkpoints import (
    CATCH_UP_SECONDS,
    checkpoint_table,
    checkpointed_until,
    reading_start,
    restored,
)
from sensorwatch.models.scoring.explain import explanations
from sensorwatch.models.scoring.predictions import predictions_of
from sensorwatch.models.scoring.raw_scores import raw_scores
from sensorwatch.models.table import has_model
from sensorwatch.sensors.windows import WindowColumns, WindowStore
from sensorwatch.tasks.prediction_schema import ANOMALOUS

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.models.ports import CheckpointFiles, ModelRegistry
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.tasks.ports import PredictionWriter
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["ScoreSummary", "ScoringStore", "score"]


class ScoringStore(WindowStore, Protocol):
    """Methods of the store that scoring uses."""

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        """As :meth:`sensorwatch.sensors.ports.SensorStore.sensors`."""
        ...

    def is_scored(self, task: TaskSpec) -> bool:
        """Return whether the shard's "scored until" has reached ``task.end``."""
        ...

    def complete_scoring(self, task: TaskSpec, scored: WindowColumns) -> None:
        """Move the shard's "scored until" forward to ``task.end`` and delete the rescoring marks of scored windows.

        A window that has changed since it was read (its count differs) keeps its mark. Marks of sensors without a model
        are deleted.

        Parameters
        ----------
        task
            The scoring task.
        scored
            Scored windows, without those that had no model.
        """
        ...


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """Result of a scoring task.

    Attributes
    ----------
    shard
        Number of the shard.
    version
        Version of the models; None if there are none.
    windows
        Number of windows to score.
    predictions
        Number of windows that were scored. The others belong to sensors without a model, or are not after the training
        of the sensor's first model.
    rescored
        Number of scored windows that had changed after an earlier scoring.
    anomalies
        Number of scored windows that are anomalous.
    file
        Name of the prediction file; None if nothing was written.
    problem
        Reason why the current models could not be used; empty if they could.
    done_before
        True if an earlier try completed the task, so nothing was done.
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
            return f"shard {self.shard}: an earlier try has scored all windows"
        line = (
            f"shard {self.shard}: scored {self.predictions} of {self.windows} windows ({self.rescored} again), "
            f"{self.anomalies} anomalous; {self.file or 'no file'}; "
        )
        line += f"version {self.version}" if self.version else "no models"
        return f"{line}; used an older version: {self.problem}" if self.problem else line


def score(
    task: TaskSpec,
    *,
    store: ScoringStore,
    registry: ModelRegistry,
    predictions: PredictionWriter,
    checkpoints: CheckpointFiles | None = None,
    policy: EstimatorPolicy | None = None,
    include_trained: bool = False,
) -> ScoreSummary:
    """Score the windows of a task, and windows of its shard that are marked for rescoring.

    Windows up to the end of the training of a sensor's first model are not scored, because the model was trained on
    them.

    Parameters
    ----------
    task
        The shard, and the windows ``task.start < end <= task.end``. Without ``task.start`` they begin at the earliest
        end of a first training among the shard's models.
    store
        Source of the windows; destination of the progress.
    registry
        Source of the models.
    predictions
        Destination of the prediction file.
    checkpoints
        Store of detector checkpoints; None: each model starts from its state at the end of training.
    policy
        Estimators that may be loaded; None: the configuration's defaults.
    include_trained
        True to score also the windows up to the end of a model's first training.

    Raises
    ------
    CorruptModelError, NotFoundError
        There are models, but none can be read.
    InvalidInputError
        A model was made by a detector that this version of the code does not know.
    """
    if store.is_scored(task):
        # The rescore marks are cleared by now, so another file would lack the rescored windows.
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
    stored = checkpoints.load(task.shard, start) if checkpoints and start else None
    read_from = start
    if start is not None:
        models = restored(models, stored[1] if stored else None, start)
        read_from = reading_start(models, stored[0] if stored else None, start)
    windows, rescored = _together(store.read_windows(task.shard, read_from, task.end), marked)
    position = _positions(models, windows)
    until, began = checkpointed_until(models), int(start.timestamp()) if start else -np.inf
    included = (position >= 0) & (windows.end <= np.minimum(until, began)[position])
    # A changed window that the checkpoint already includes is scored separately, together with the windows before it.
    separate = rescored & included
    in_sequence = np.where(separate | (included & (until <= began)[position]), -1, position)
    requested = rescored | (windows.end > began)
    raw, advanced = raw_scores(models, in_sequence, windows, policy)
    explained = explanations(models, in_sequence, windows, raw, requested, policy)
    if separate.any():
        first, last = int(windows.end[separate].min()) - CATCH_UP_SECONDS, int(windows.end[separate].max())
        earlier = store.read_windows(task.shard, datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC))
        again, changed = _together(_windows_of(windows.sensor_id[separate], earlier), windows.only(separate))
        found, _ = raw_scores(models, _positions(models, again), again, policy)
        raw.put(separate, found.only(changed))
        explained[separate] = explanations(models, _positions(models, again), again, found, changed, policy)[changed]
    wanted = requested & (position >= 0) & (windows.end > models["first_training_end"].to_numpy()[position])
    table = predictions_of(
        models,
        windows.only(wanted),
        raw.only(wanted),
        explained[wanted],
        rescored[wanted],
        store.sensors(task.shard),
    )
    file = predictions.write(task, table) if table.num_rows else None
    if checkpoints and start is not None:
        after = checkpoint_table(models, advanced)
        if after is not None:
            checkpoints.save(task.shard, start, task.end, after)
    # A sensor's first model may be newer than the loaded models. Its rescore marks are for the next run.
    store.complete_scoring(task, _windows_of(models["sensor_id"].to_numpy(), windows))
    return ScoreSummary(
        shard=task.shard,
        version=current.loaded.version if current.loaded else None,
        windows=int(np.count_nonzero(requested)),
        predictions=table.num_rows,
        rescored=pc.sum(table["rescored"], min_count=0).as_py(),
        anomalies=pc.sum(pc.equal(table["prediction"], ANOMALOUS), min_count=0).as_py(),
        file=file,
        problem=current.problem,
    )


def _positions(models: pa.Table, windows: WindowColumns) -> npt.NDArray[np.int64]:
    """Return the position of each window's model, shape ``(n_windows,)``; -1 without a model or without a value."""
    ids = models["sensor_id"].to_numpy()
    position = np.minimum(np.searchsorted(ids, windows.sensor_id), len(ids) - 1)
    return np.where((ids[position] == windows.sensor_id) & ~np.isnan(windows.value), position, -1)


def _windows_of(sensor_ids: npt.ArrayLike, windows: WindowColumns) -> WindowColumns:
    return windows.only(np.isin(windows.sensor_id, sensor_ids))


def _together(new: WindowColumns, marked: WindowColumns) -> tuple[WindowColumns, npt.NDArray[np.bool_]]:
    """Return all windows once, in order, and a mask of the marked ones; a marked window replaces an equal new one."""
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
