"""Progress of scoring by shard, and windows that are marked for rescoring.

To avoid deadlocks, Sensors is always locked before ShardScoring, and ShardScoring before RescoreWindows, here and in
the merge of windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.store.connection.types import seconds_of
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.tables import rescore_windows, sensor_windows, sensors, shard_scoring

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sensorwatch.sensors.windows import WindowColumns
    from sensorwatch.store.dialects import Dialect
    from sensorwatch.tasks.records import TaskSpec

__all__ = [
    "drop_marks_without_model",
    "lock_untrained",
    "mark_after_first_training",
    "move_planned",
    "move_scored",
    "planned_until",
]


def planned_until(
    connection: sa.Connection, dialect: Dialect, sensor_ids: Collection[int], shard_size: int
) -> dict[int, int]:
    """Return the end of the newest window that scoring is planned for, by sensor; others are left out.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    sensor_ids
        The sensors.
    shard_size
        Number of sensors in a shard.

    Returns
    -------
    dict of int to int
        Ends in seconds since 1970-01-01T00:00:00Z.
    """
    table = shard_scoring.c
    shards = {sensor_id // shard_size for sensor_id in sensor_ids}
    if not shards:
        return {}
    wanted = value_rows(dialect, table.Shard, shards)
    query = (
        sa.select(table.Shard, table.PlannedUntil)
        .join_from(wanted, shard_scoring, table.Shard == wanted.c.Shard)
        .where(table.PlannedUntil.is_not(None))
    )
    until = {row.Shard: row.PlannedUntil for row in connection.execute(query)}
    return {sensor_id: until[shard] for sensor_id in sensor_ids if (shard := sensor_id // shard_size) in until}


def move_planned(connection: sa.Connection, dialect: Dialect, tasks: Sequence[TaskSpec]) -> None:
    """Move "planned until" of the tasks' shards forward; older windows that change later are marked for rescoring.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    tasks
        The scoring tasks.
    """
    _move(connection, dialect, shard_scoring.c.PlannedUntil, tasks)


def move_scored(connection: sa.Connection, dialect: Dialect, task: TaskSpec, scored: WindowColumns) -> None:
    """Move "scored until" forward to the task's end, and delete the marks of windows that have not changed since.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    task
        The scoring task.
    scored
        Windows that were scored.
    """
    _move(connection, dialect, shard_scoring.c.ScoredUntil, [task])
    marked = rescore_windows.c
    window_end = marked.TS
    query = sa.select(marked.SensorId, window_end, marked.Readings).where(
        marked.Shard == task.shard, window_end <= seconds_of(task.end)
    )
    waiting = {(sensor_id, end): count for sensor_id, end, count in connection.execute(query)}
    if not waiting:
        return
    import numpy as np

    among = np.isin(scored.end, np.fromiter({end for _, end in waiting}, np.int64))
    done = zip(scored.sensor_id[among].tolist(), scored.end[among].tolist(), scored.count[among].tolist(), strict=True)
    # The count is part of the condition, because a window may change between reading and deleting its mark.
    rows = [
        {"Shard": task.shard, "TS": end, "SensorId": sensor_id, "Readings": count}
        for sensor_id, end, count in done
        if waiting.get((sensor_id, end)) == count
    ]
    dialect.delete(connection, rescore_windows, rows)


def lock_untrained(connection: sa.Connection, dialect: Dialect, sensor_ids: Collection[int]) -> set[int]:
    """Return the sensors that have no model yet, and lock them until the transaction ends.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    sensor_ids
        The sensors to look at.
    """
    if not sensor_ids:
        return set()
    column = sensors.c.SensorId

    def untrained(among: Collection[int]) -> set[int]:
        wanted = value_rows(dialect, column, sorted(among))
        query = sa.select(column).where(column.in_(sa.select(wanted.c.SensorId)), sensors.c.TrainedUntil.is_(None))
        return set(connection.execute(query).scalars())

    found = untrained(sensor_ids)
    if not found:
        return found
    wanted = value_rows(dialect, column, sorted(found))
    connection.execute(
        sensors.update()
        .where(column.in_(sa.select(wanted.c.SensorId)), sensors.c.TrainedUntil.is_(None))
        .values(State=sensors.c.State)
    )
    return untrained(found)


def mark_after_first_training(connection: sa.Connection, dialect: Dialect, trained_until: Mapping[int, int]) -> None:
    """Mark windows after sensors' first training for rescoring, if scoring has already passed them.

    Scoring skipped these windows because there was no model, and would never return to them.

    Parameters
    ----------
    connection, dialect
        Connection with the transaction that records the training, with the sensors locked, and its dialect.
    trained_until
        End of the newest training window, in seconds since 1970-01-01T00:00:00Z, of each sensor that had no model.
    """
    wanted = value_rows(dialect, sensors.c.SensorId, sorted(trained_until))
    query = (
        sa.select(sensors.c.SensorId, sensors.c.Shard, sensors.c.LastWindow, shard_scoring.c.PlannedUntil)
        .join_from(sensors, shard_scoring, shard_scoring.c.Shard == sensors.c.Shard)
        .where(sensors.c.SensorId.in_(sa.select(wanted.c.SensorId)), shard_scoring.c.PlannedUntil.is_not(None))
    )
    passed: dict[tuple[int, int], dict[int, int]] = {}
    for sensor_id, shard, last_window, planned_until in connection.execute(query):
        if last_window is not None and min(last_window, planned_until) > trained_until[sensor_id]:
            passed.setdefault((shard, planned_until), {})[sensor_id] = trained_until[sensor_id]
    for (shard, planned_until), after in passed.items():
        among = value_rows(dialect, sensors.c.SensorId, sorted(after))
        window = sensor_windows.c
        window_end = window.TS
        found = sa.select(window.TS, window.SensorId, window.Readings).where(
            window.Shard == shard,
            window_end > min(after.values()),
            window_end <= planned_until,
            window.SensorId.in_(sa.select(among.c.SensorId)),
        )
        marks = [
            {"Shard": shard, "TS": end, "SensorId": sensor_id, "Readings": readings}
            for end, sensor_id, readings in connection.execute(found)
            if end > after[sensor_id]
        ]
        dialect.upsert(connection, rescore_windows, marks, overwrite=False)


def drop_marks_without_model(connection: sa.Connection, dialect: Dialect, task: TaskSpec) -> None:
    """Delete the marks of sensors without a model, whose windows are marked again with their first training.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    task
        The scoring task, for its shard and end.
    """
    marked = rescore_windows.c
    window_end = marked.TS
    query = (
        sa.select(window_end, marked.SensorId, marked.Readings)
        .join_from(rescore_windows, sensors, sensors.c.SensorId == marked.SensorId)
        .where(marked.Shard == task.shard, window_end <= seconds_of(task.end), sensors.c.TrainedUntil.is_(None))
    )
    waiting = connection.execute(query).all()
    untrained = lock_untrained(connection, dialect, {sensor_id for _, sensor_id, _ in waiting})
    rows = [
        {"Shard": task.shard, "TS": end, "SensorId": sensor_id, "Readings": readings}
        for end, sensor_id, readings in waiting
        if sensor_id in untrained
    ]
    dialect.delete(connection, rescore_windows, rows)


def _move(connection: sa.Connection, dialect: Dialect, column: sa.Column[int], tasks: Sequence[TaskSpec]) -> None:
    ends: dict[int, int] = {}
    for task in tasks:
        ends[task.shard] = max(seconds_of(task.end), ends.get(task.shard, 0))
    if not ends:
        return
    missing = [{"Shard": shard, "PlannedUntil": None, "ScoredUntil": None} for shard in ends]
    dialect.upsert(connection, shard_scoring, missing, overwrite=False)
    given = dialect.rows([shard_scoring.c.Shard, column], list(ends.items()))
    forward = sa.or_(column.is_(None), column < given.c[column.name])
    connection.execute(
        shard_scoring.update()
        .where(shard_scoring.c.Shard == given.c.Shard, forward)
        .values({column.name: given.c[column.name]})
    )
