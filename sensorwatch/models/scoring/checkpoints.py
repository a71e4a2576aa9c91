"""Detector checkpoints of a shard from one scoring task to the next.

The checkpoint in a model is that of the end of its training. Scoring stores the checkpoints after the windows that it
has scored apart from the models, and the next task continues from them. They are stored by their time, so a task that
is repeated continues from the same checkpoints. If checkpoints are lost, the windows of the last two hours are read to
replace them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import CHECKPOINT, checkpoint_times, with_checkpoint
from sensorwatch.models.table import detectors_in, params_column
from sensorwatch.sensors.windows import BEFORE_ALL_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.models.scoring.raw_scores import AdvancedCheckpoints

    Integers = npt.NDArray[np.int64]

__all__ = ["CATCH_UP_SECONDS", "checkpoint_table", "checkpointed_until", "reading_start", "restored"]

CATCH_UP_SECONDS = 7200
"""How far back windows are read to advance checkpoints to the start of the windows to score."""

_PREFIX = "memory_"


def checkpoint_table(models: pa.Table, advanced: Mapping[str, AdvancedCheckpoints]) -> pa.Table | None:
    """Return the checkpoints of models as a table to store; None if no detector has state.

    The columns are ``sensor_id`` and, for each detector with state, ``memory_`` and its name.

    Parameters
    ----------
    models
        Model table of the shard.
    advanced
        Checkpoints after the windows that were scored, by detector.
    """
    columns = {
        _PREFIX + name: _replaced(models[params_column(name)].combine_chunks().field(CHECKPOINT), *each)
        for name, each in advanced.items()
    }
    return pa.table({"sensor_id": models["sensor_id"].combine_chunks(), **columns}) if columns else None


def restored(models: pa.Table, checkpoints: pa.Table | None, start: datetime) -> pa.Table:
    """Return the models with their checkpoints at ``start``.

    A model gets the later of its own checkpoint and the stored one. A checkpoint after ``start`` is not used, nor one
    that lacks the state of a member that the model has.

    Parameters
    ----------
    models
        Model table of the shard.
    checkpoints
        Stored checkpoints; None if there are none.
    start
        Start of the windows to score (UTC).
    """
    if checkpoints is None:
        return models
    stored_ids, ids = checkpoints["sensor_id"].to_numpy(), models["sensor_id"].to_numpy()
    if not len(stored_ids):
        return models
    place = np.minimum(np.searchsorted(stored_ids, ids), len(stored_ids) - 1)
    until = int(start.timestamp())
    for name in detectors_in(models):
        params = models[params_column(name)].combine_chunks()
        if _PREFIX + name not in checkpoints.column_names or params.type.get_field_index(CHECKPOINT) < 0:
            continue
        stored = checkpoints[_PREFIX + name].combine_chunks()
        if stored.type != params.field(CHECKPOINT).type:
            continue
        others = with_checkpoint(params, stored.take(pa.array(place)))
        own_times, stored_times = checkpoint_times(params), checkpoint_times(others)
        better = (stored_ids[place] == ids) & others.field(CHECKPOINT).is_valid().to_numpy(zero_copy_only=False)
        better &= (stored_times <= until) & ((own_times > until) | (stored_times > own_times))
        better &= _has_all_parts(others.field(CHECKPOINT), params.field(CHECKPOINT))
        rows = np.flatnonzero(better)
        column = models.schema.get_field_index(params_column(name))
        merged = _replaced(params, rows, others.take(pa.array(rows)))
        models = models.set_column(column, models.schema.field(column), merged)
    return models


def checkpointed_until(models: pa.Table) -> Integers:
    """Return the time of each model's checkpoint, shape ``(n_models,)``, int64, in seconds since 1970-01-01T00:00:00Z.

    It is :data:`~sensorwatch.sensors.windows.BEFORE_ALL_WINDOWS` for a model without a checkpoint.
    """
    times = np.full(models.num_rows, BEFORE_ALL_WINDOWS)
    for name in detectors_in(models):
        times = np.maximum(times, checkpoint_times(models[params_column(name)].combine_chunks()))
    return times


def reading_start(models: pa.Table, stored_until: datetime | None, start: datetime) -> datetime:
    """Return from when on windows are read (UTC, exclusive), so that checkpoints advance to ``start``.

    Parameters
    ----------
    models
        Model table of the shard.
    stored_until
        Time of the stored checkpoints (UTC); None if there are none.
    start
        Start of the windows to score (UTC).
    """
    if stored_until is None:
        times = checkpointed_until(models)
        # A checkpoint after the start can't be used.
        times = np.where(times > start.timestamp(), int(start.timestamp()) - CATCH_UP_SECONDS, times)[
            times > BEFORE_ALL_WINDOWS
        ]
        stored_until = datetime.fromtimestamp(int(times.min()), UTC) if len(times) else start
    return min(start, max(stored_until, start - timedelta(seconds=CATCH_UP_SECONDS)))


def _has_all_parts(checkpoints: pa.Array, needed: pa.Array) -> npt.NDArray[np.bool_]:
    """Return whether each checkpoint has every part that another one has, shape ``(n_sensors,)``.

    A model that was trained on more windows may have members that its predecessor lacked: their state is a part.
    """
    complete: npt.NDArray[np.bool_] = checkpoints.is_valid().to_numpy(zero_copy_only=False)
    complete |= needed.is_null().to_numpy(zero_copy_only=False)
    for own, other in zip(checkpoints.flatten(), needed.flatten(), strict=True):
        if pa.types.is_struct(own.type):
            complete &= _has_all_parts(own, other)
    return complete


def _replaced(rows: pa.Array, at: Integers, others: pa.Array) -> pa.Array:
    """Return rows with others in the places ``at``."""
    place = np.arange(len(rows))
    place[at] = len(rows) + np.arange(len(at))
    return pa.concat_arrays([rows, others]).take(pa.array(place))
