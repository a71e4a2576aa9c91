"""What the models of a shard remember from one scoring to the next.

A model's own memory ends with its training. Scoring keeps what the models remember behind the windows it has scored,
apart from them, and goes on from there: a file is named by how far it goes, so a task that is done again finds what its
first try found. Memories that are lost are made up for from the windows of the last two hours.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import CHECKPOINT, checkpoint_times, with_checkpoint
from sensorwatch.models.table import detectors_in, params_column

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.models.scoring.raw_scores import MovedMemories

    Integers = npt.NDArray[np.int64]

__all__ = ["CATCH_UP_SECONDS", "memories_after", "reading_start", "recalled", "remembered_until"]

CATCH_UP_SECONDS = 7200
"""How far back windows are read to make up for memories that end before the windows to score."""

_PREFIX = "memory_"
_NEVER = int(np.iinfo(np.int64).min)


def memories_after(models: pa.Table, moved: Mapping[str, MovedMemories]) -> pa.Table | None:
    """Return what the models remember after windows; None where none remembers anything.

    Columns are ``sensor_id`` and ``memory_`` with the name of each detector that remembers.

    Parameters
    ----------
    models
        The models.
    moved
        What scoring the windows has moved, by detector.
    """
    columns = {
        _PREFIX + name: _replaced(models[params_column(name)].combine_chunks().field(CHECKPOINT), *each)
        for name, each in moved.items()
    }
    return pa.table({"sensor_id": models["sensor_id"].combine_chunks(), **columns}) if columns else None


def recalled(models: pa.Table, memories: pa.Table | None, start: datetime) -> pa.Table:
    """Return the models with what they remembered when scoring ended at ``start`` (UTC).

    Of a model's own memory and the one that is kept the later one counts that does not go beyond ``start``.
    """
    if memories is None:
        return models
    kept_ids, ids = memories["sensor_id"].to_numpy(), models["sensor_id"].to_numpy()
    if not len(kept_ids):
        return models
    place = np.minimum(np.searchsorted(kept_ids, ids), len(kept_ids) - 1)
    until = int(start.timestamp())
    for name in detectors_in(models):
        params = models[params_column(name)].combine_chunks()
        if _PREFIX + name not in memories.column_names or params.type.get_field_index(CHECKPOINT) < 0:
            continue
        kept = memories[_PREFIX + name].combine_chunks()
        if kept.type != params.field(CHECKPOINT).type:
            continue
        others = with_checkpoint(params, kept.take(pa.array(place)))
        own_times, kept_times = checkpoint_times(params), checkpoint_times(others)
        better = (kept_ids[place] == ids) & others.field(CHECKPOINT).is_valid().to_numpy(zero_copy_only=False)
        better &= (kept_times <= until) & ((own_times > until) | (kept_times > own_times))
        rows = np.flatnonzero(better)
        column = models.schema.get_field_index(params_column(name))
        merged = _replaced(params, rows, others.take(pa.array(rows)))
        models = models.set_column(column, models.schema.field(column), merged)
    return models


def remembered_until(models: pa.Table) -> Integers:
    """Return how far each model's memory goes, shape ``(n_models,)``; the lowest integer where it has none."""
    times = np.full(models.num_rows, _NEVER)
    for name in detectors_in(models):
        times = np.maximum(times, checkpoint_times(models[params_column(name)].combine_chunks()))
    return times


def reading_start(models: pa.Table, kept_until: datetime | None, start: datetime) -> datetime:
    """Return from where windows are read, so that memories reach up to ``start`` (UTC).

    Parameters
    ----------
    models
        The models.
    kept_until
        End of the windows (UTC) that the memories kept from the last scoring go up to; None where there are none.
    start
        Where the windows to score begin.
    """
    if kept_until is None:
        times = remembered_until(models)
        # One that goes beyond the start is of no use there.
        times = np.where(times > start.timestamp(), int(start.timestamp()) - CATCH_UP_SECONDS, times)[times > _NEVER]
        kept_until = datetime.fromtimestamp(int(times.min()), UTC) if len(times) else start
    return min(start, max(kept_until, start - timedelta(seconds=CATCH_UP_SECONDS)))


def _replaced(rows: pa.Array, at: Integers, others: pa.Array) -> pa.Array:
    """Return rows with others in the places ``at``."""
    place = np.arange(len(rows))
    place[at] = len(rows) + np.arange(len(at))
    return pa.concat_arrays([rows, others]).take(pa.array(place))
