"""Pages of runs and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.store.pages.keyset import newest_first
from sensorwatch.store.runs import RunPart, task_summary
from sensorwatch.store.tables import runs, tasks

if TYPE_CHECKING:
    from sensorwatch.store.pages.queries import RunKey
    from sensorwatch.tasks.records import Kind, RunSummary, TaskSummary

__all__ = ["RunPagesPart"]


class RunPagesPart(RunPart):
    """Pages of runs and tasks."""

    def run_page(self, kind: Kind | None, limit: int, after: RunKey | None = None) -> list[RunSummary]:
        """Return a page of runs, newest first.

        Parameters
        ----------
        kind
            Kind of the runs; None: all.
        limit
            Largest number of runs.
        after
            Key of the last run of the previous page; None for the first page.
        """
        query = sa.select(runs)
        if kind is not None:
            query = query.where(runs.c.Kind == kind)
        page = newest_first(query, (runs.c.CreatedAt, runs.c.RunId), after, limit)
        return self._database.read(lambda connection: self._with_counts(connection, page))

    def task_page(self, run_id: str, limit: int, after: str | None = None) -> list[TaskSummary]:
        """Return a page of a run's tasks, ordered by task id; empty for an unknown run.

        Parameters
        ----------
        run_id
            The run.
        limit
            Largest number of tasks.
        after
            Id of the last task of the previous page; None for the first page.
        """
        query = sa.select(tasks).where(tasks.c.RunId == run_id).order_by(tasks.c.TaskId).limit(limit)
        if after is not None:
            query = query.where(tasks.c.TaskId > after)
        return self._database.read(lambda connection: [task_summary(row) for row in connection.execute(query)])

    def active_runs(self) -> int:
        """Return the number of runs that have not ended."""
        query = sa.select(sa.func.count()).select_from(runs).where(runs.c.EndedAt.is_(None))
        return self._database.read(lambda connection: connection.execute(query).scalar_one())
