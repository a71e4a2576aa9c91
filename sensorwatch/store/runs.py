"""Runs and their tasks, and the activity of shards."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, get_args

import sqlalchemy as sa

from sensorwatch.store.connection.database import StorePart
from sensorwatch.store.connection.types import time_of
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.scoring import drop_marks_without_model, move_planned, move_scored
from sensorwatch.store.tables import rescore_windows, runs, sensors, shard_scoring, tasks
from sensorwatch.tasks.records import Run, RunSummary, ShardActivity, TaskSpec, TaskState, TaskSummary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Any

    from sensorwatch.sensors.windows import WindowColumns
    from sensorwatch.tasks.records import Kind, TaskResult

__all__ = ["RunPart", "task_summary"]

_ACTIVE = ("planned", "running")
_WITH_MODEL = ("ready", "stale")


class RunPart(StorePart):
    """Implements :class:`~sensorwatch.scheduling.ports.RunStore`."""

    def shard_activity(self) -> list[ShardActivity]:
        """Return one row for each shard that has sensors, ordered by shard.

        Active tasks are read first. If a run ends in between, its shards look busy and wait for the next run. In the
        other order they would look idle with unfinished work, and would be planned again.
        """

        def work(connection: sa.Connection) -> list[ShardActivity]:
            active: defaultdict[int, set[Kind]] = defaultdict(set)
            for shard, kind in connection.execute(_active_kinds()):
                active[shard].add(kind)
            changed = dict(connection.execute(_rescore_counts()).all())
            return [
                ShardActivity(
                    shard=row.Shard,
                    sensors=row.Sensors,
                    last_window=None if row.LastWindow is None else time_of(row.LastWindow),
                    untrained_sensors=row.Untrained,
                    trained_sensors=row.Trained,
                    scored_until=None if row.ScoredUntil is None else time_of(row.ScoredUntil),
                    rescore_windows=changed.get(row.Shard, 0),
                    active_kinds=frozenset(active[row.Shard]),
                )
                for row in connection.execute(_shards())
            ]

        return self._database.read(work)

    def last_planned(self, kind: Kind) -> dict[int, datetime]:
        """Return, by shard, the newest window end (UTC) that a task of this kind was planned for."""
        if kind == "score":
            planned = sa.select(shard_scoring.c.Shard, shard_scoring.c.PlannedUntil).where(
                shard_scoring.c.PlannedUntil.is_not(None)
            )
            return self._database.read(
                lambda connection: {shard: time_of(end) for shard, end in connection.execute(planned)}
            )
        newest = (
            sa.select(tasks.c.Shard, sa.func.max(tasks.c.EndTime))
            .join_from(runs, tasks, tasks.c.RunId == runs.c.RunId)
            .where(runs.c.Kind == kind)
            .group_by(tasks.c.Shard)
        )
        return self._database.read(lambda connection: dict(connection.execute(newest).all()))

    def task_history(self, kind: Kind, limit: int = 200) -> list[TaskSummary]:
        """Return succeeded tasks of this kind, newest first."""
        query = (
            sa.select(tasks)
            .join_from(runs, tasks, tasks.c.RunId == runs.c.RunId)
            .where(runs.c.Kind == kind, tasks.c.State == "succeeded", tasks.c.Seconds.is_not(None))
            .order_by(runs.c.CreatedAt.desc(), runs.c.RunId.desc(), tasks.c.TaskId)
            .limit(limit)
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [task_summary(row) for row in rows]

    def begin_run(self, run: Run, now: datetime) -> bool:
        """Store a planned run with its tasks; return False if its id was stored before.

        If two processes begin the same run, the primary key makes the second one repeat its transaction, which then
        finds the run.
        """

        def work(connection: sa.Connection) -> bool:
            if connection.execute(sa.select(runs.c.RunId).where(runs.c.RunId == run.run_id)).first() is not None:
                return False
            connection.execute(
                runs.insert().values(
                    RunId=run.run_id, Kind=run.kind, WindowEnd=run.window_end, CreatedAt=now, Submitted=False
                )
            )
            if run.tasks:
                connection.execute(tasks.insert(), [_planned(task) for task in run.tasks])
            move_planned(connection, self._database.dialect, [task for task in run.tasks if task.kind == "score"])
            return True

        return self._database.write(work)

    def mark_submitted(self, run_id: str) -> None:
        """Record that the pool has all tasks of the run."""
        statement = runs.update().where(runs.c.RunId == run_id).values(Submitted=True)
        self._database.write(lambda connection: connection.execute(statement))

    def unsubmitted_runs(self) -> list[Run]:
        """Return the runs that are neither submitted nor ended, oldest first."""
        return self._runs_where(runs.c.EndedAt.is_(None) & (runs.c.Submitted == sa.false()))

    def open_runs(self) -> list[Run]:
        """Return the runs that have not ended, submitted or not, oldest first, with tasks ordered by id."""
        return self._runs_where(runs.c.EndedAt.is_(None))

    def _runs_where(self, condition: sa.ColumnElement[bool]) -> list[Run]:
        wanted = sa.select(runs).where(condition).order_by(runs.c.CreatedAt, runs.c.RunId)
        their_tasks = (
            sa.select(tasks)
            .join_from(tasks, runs, tasks.c.RunId == runs.c.RunId)
            .where(condition)
            .order_by(tasks.c.TaskId)
        )

        def work(connection: sa.Connection) -> list[Run]:
            found = connection.execute(wanted).all()
            specs: defaultdict[str, list[TaskSpec]] = defaultdict(list)
            for row in connection.execute(their_tasks):
                specs[row.RunId].append(_spec(row))
            return [Run(row.RunId, row.Kind, row.WindowEnd, tuple(specs[row.RunId])) for row in found]

        return self._database.read(work)

    def record_results(self, run_id: str, results: Sequence[TaskResult]) -> None:
        """Store the results of ended tasks; tasks that the run does not have are ignored."""
        rows = [
            {
                "RunId": run_id,
                "TaskId": result.task_id,
                "State": "succeeded" if result.succeeded else "failed",
                "ExitCode": result.exit_code,
                "Retries": result.retries,
                "Seconds": result.seconds,
                "Detail": result.detail,
            }
            for result in results
        ]
        if rows:
            self._database.write(
                lambda connection: self._database.dialect.update(connection, tasks, ("RunId", "TaskId"), rows)
            )

    def end_run(self, run_id: str, now: datetime) -> None:
        """Close a run; tasks that have neither succeeded nor failed become failed.

        A closed run keeps its time of closing.
        """

        def work(connection: sa.Connection) -> None:
            connection.execute(
                runs.update().where(runs.c.RunId == run_id, runs.c.EndedAt.is_(None)).values(EndedAt=now)
            )
            connection.execute(
                tasks.update().where(tasks.c.RunId == run_id, tasks.c.State.in_(_ACTIVE)).values(State="failed")
            )

        self._database.write(work)

    def is_scored(self, task: TaskSpec) -> bool:
        """Return whether the shard's "scored until" has reached ``task.end``."""
        query = sa.select(shard_scoring.c.ScoredUntil).where(shard_scoring.c.Shard == task.shard)
        scored_until = self._database.read(lambda connection: connection.execute(query).scalar_one_or_none())
        return scored_until is not None and time_of(scored_until) >= task.end

    def complete_scoring(self, task: TaskSpec, scored: WindowColumns) -> None:
        """Complete a scoring task; see :meth:`~sensorwatch.models.scoring.score.ScoringStore.complete_scoring`.

        "Scored until" never moves back. Marks of sensors without a model can be deleted, because recording their first
        training marks their windows.
        """

        def work(connection: sa.Connection) -> None:
            drop_marks_without_model(connection, self._database.dialect, task)
            move_scored(connection, self._database.dialect, task, scored)

        self._database.write(work)

    def runs(self, kind: Kind | None = None, limit: int = 50) -> list[RunSummary]:
        """Return runs, newest first; ``tasks`` has a number for every state."""
        newest = sa.select(runs).order_by(runs.c.CreatedAt.desc(), runs.c.RunId.desc()).limit(limit)
        if kind is not None:
            newest = newest.where(runs.c.Kind == kind)

        return self._database.read(lambda connection: self._with_counts(connection, newest))

    def _with_counts(self, connection: sa.Connection, query: sa.Select[Any]) -> list[RunSummary]:
        """Return the runs of a query on Runs, with the numbers of their tasks by state."""
        found = connection.execute(query).all()
        states: tuple[TaskState, ...] = get_args(TaskState)
        counts: dict[str, dict[TaskState, int]] = {row.RunId: dict.fromkeys(states, 0) for row in found}
        wanted = value_rows(self._database.dialect, runs.c.RunId, counts)
        by_state = (
            sa.select(tasks.c.RunId, tasks.c.State, sa.func.count())
            .join_from(wanted, tasks, tasks.c.RunId == wanted.c.RunId)
            .group_by(tasks.c.RunId, tasks.c.State)
        )
        for run_id, state, count in connection.execute(by_state):
            counts[run_id][state] = count
        return [
            RunSummary(
                run_id=row.RunId,
                kind=row.Kind,
                window_end=row.WindowEnd,
                created_at=row.CreatedAt,
                submitted=row.Submitted,
                ended_at=row.EndedAt,
                tasks=counts[row.RunId],
            )
            for row in found
        ]

    def tasks(self, run_id: str) -> list[TaskSummary]:
        """Return a run's tasks ordered by task id; empty for an unknown run."""
        query = sa.select(tasks).where(tasks.c.RunId == run_id).order_by(tasks.c.TaskId)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [task_summary(row) for row in rows]


def _active_kinds() -> sa.Select[int, Kind]:
    return (
        sa.select(tasks.c.Shard, tasks.c.Kind)
        .distinct()
        .join_from(runs, tasks, tasks.c.RunId == runs.c.RunId)
        .where(runs.c.EndedAt.is_(None), tasks.c.State.in_(_ACTIVE))
    )


def _rescore_counts() -> sa.Select[int, int]:
    return sa.select(rescore_windows.c.Shard, sa.func.count()).group_by(rescore_windows.c.Shard)


def _shards() -> sa.Select[Any]:
    sensor = sensors.c
    untrained = sensor.LastWindow.is_not(None) & (
        sensor.TrainedUntil.is_(None) | (sensor.TrainedUntil < sensor.LastWindow)
    )
    counts = (
        sa.select(
            sensor.Shard,
            sa.func.count().label("Sensors"),
            sa.func.max(sensor.LastWindow).label("LastWindow"),
            sa.func.sum(sa.case((untrained, 1), else_=0)).label("Untrained"),
            sa.func.sum(sa.case((sensor.State.in_(_WITH_MODEL), 1), else_=0)).label("Trained"),
        )
        .group_by(sensor.Shard)
        .subquery("counts")
    )
    return (
        sa.select(counts, shard_scoring.c.ScoredUntil)
        .outerjoin_from(counts, shard_scoring, shard_scoring.c.Shard == counts.c.Shard)
        .order_by(counts.c.Shard)
    )


def _planned(task: TaskSpec) -> dict[str, object]:
    return {
        "RunId": task.run_id,
        "TaskId": task.task_id,
        "Kind": task.kind,
        "Shard": task.shard,
        "StartTime": task.start,
        "EndTime": task.end,
        "State": "planned",
        "Retries": 0,
        "Detail": "",
    }


def task_summary(row: sa.Row[Any]) -> TaskSummary:
    """Return the task in a row of Tasks."""
    return TaskSummary(_spec(row), row.State, row.ExitCode, row.Retries, row.Seconds, row.Detail)


def _spec(row: sa.Row[Any]) -> TaskSpec:
    return TaskSpec(row.RunId, row.TaskId, row.Kind, row.Shard, row.StartTime, row.EndTime)
