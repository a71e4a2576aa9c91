"""The service's memory: everything in dictionaries, written through to one SQLite file so that a restart finds it."""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from local.batch.errors import not_found
from local.batch.records import JobRecord, PoolRecord, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["DataInUseError", "State"]

_Record: TypeAlias = PoolRecord | JobRecord | TaskRecord
_T = TypeVar("_T")


class DataInUseError(Exception):
    """Another service works on the same folder."""


class State:
    """Pools, jobs and tasks by id; ids differ in more than case, as in Azure Batch.

    Parameters
    ----------
    folder
        Where the file lies; one service at a time works on it.

    Raises
    ------
    DataInUseError
        Another one does already.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise DataInUseError(
                f"{folder}: another Batch service works here; stop it, or give --data another folder"
            ) from None
        self._database = sqlite3.connect(folder / "batch.db", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS records (kind TEXT, job TEXT, id TEXT, content BLOB NOT NULL, "
            "PRIMARY KEY (kind, job, id)) WITHOUT ROWID"
        )
        self._in_transaction = False
        self._pools = {_key(pool.spec.id): pool for pool in self._load("pool", PoolRecord)}
        self._jobs = {_key(job.spec.id): job for job in sorted(self._load("job", JobRecord), key=lambda j: j.sequence)}
        self._tasks: dict[str, dict[str, TaskRecord]] = {job: {} for job in self._jobs}
        for task in sorted(self._load("task", TaskRecord), key=lambda t: t.sequence):
            self._tasks[_key(task.job_id)][_key(task.spec.id)] = task
        self._sequence = max(
            [job.sequence for job in self._jobs.values()] + [task.sequence for task in self.all_tasks()], default=0
        )

    def close(self) -> None:
        """Close the file and give the folder free."""
        self._database.close()
        self._lock.close()

    def next_sequence(self) -> int:
        """Return a number above all given before."""
        self._sequence += 1
        return self._sequence

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write what is saved within as one; it may be nested."""
        if self._in_transaction:
            yield
            return
        self._database.execute("BEGIN")
        self._in_transaction = True
        try:
            yield
        finally:
            # Memory holds the changes already, so what was saved before an error is written too.
            self._in_transaction = False
            self._database.execute("COMMIT")

    # ---- reading -----------------------------------------------------------------------------------------------------

    def pools(self) -> list[PoolRecord]:
        """Return all pools."""
        return list(self._pools.values())

    def pool(self, pool_id: str) -> PoolRecord:
        """Return a pool; 404 where there is none."""
        try:
            return self._pools[_key(pool_id)]
        except KeyError:
            raise not_found("Pool") from None

    def find_pool(self, pool_id: str) -> PoolRecord | None:
        """Return a pool if there is one."""
        return self._pools.get(_key(pool_id))

    def jobs(self) -> list[JobRecord]:
        """Return all jobs, oldest first."""
        return list(self._jobs.values())

    def job(self, job_id: str) -> JobRecord:
        """Return a job; 404 where there is none."""
        try:
            return self._jobs[_key(job_id)]
        except KeyError:
            raise not_found("Job") from None

    def has_job(self, job_id: str) -> bool:
        """Say whether there is such a job."""
        return _key(job_id) in self._jobs

    def tasks(self, job_id: str) -> list[TaskRecord]:
        """Return a job's tasks, oldest first; 404 where there is no such job."""
        self.job(job_id)
        return list(self._tasks[_key(job_id)].values())

    def all_tasks(self) -> list[TaskRecord]:
        """Return the tasks of all jobs."""
        return [task for tasks in self._tasks.values() for task in tasks.values()]

    def task(self, job_id: str, task_id: str) -> TaskRecord:
        """Return a task; 404 where there is none."""
        self.job(job_id)
        task = self.find_task(job_id, task_id)
        if task is None:
            raise not_found("Task")
        return task

    def find_task(self, job_id: str, task_id: str) -> TaskRecord | None:
        """Return a task if there is one."""
        return self._tasks.get(_key(job_id), {}).get(_key(task_id))

    # ---- writing -----------------------------------------------------------------------------------------------------

    def save(self, record: _Record) -> None:
        """Store a record as it is now."""
        kind, job, key = _place(record)
        if isinstance(record, PoolRecord):
            self._pools[key] = record
        elif isinstance(record, JobRecord):
            self._jobs[key] = record
            self._tasks.setdefault(key, {})
        else:
            self._tasks[job][key] = record
        self._database.execute(
            "INSERT INTO records (kind, job, id, content) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (kind, job, id) DO UPDATE SET content = excluded.content",
            (kind, job, key, msgspec.json.encode(record)),
        )

    def delete(self, record: _Record) -> None:
        """Forget a record, a job together with its tasks."""
        kind, job, key = _place(record)
        self._database.execute("DELETE FROM records WHERE kind = ? AND job = ? AND id = ?", (kind, job, key))
        if isinstance(record, PoolRecord):
            del self._pools[key]
        elif isinstance(record, JobRecord):
            self._database.execute("DELETE FROM records WHERE kind = 'task' AND job = ?", (key,))
            del self._jobs[key], self._tasks[key]
        else:
            del self._tasks[job][key]

    def _load(self, kind: str, record: type[_T]) -> Iterable[_T]:
        rows = self._database.execute("SELECT content FROM records WHERE kind = ?", (kind,))
        return [msgspec.json.decode(content, type=record) for (content,) in rows]


def _key(record_id: str) -> str:
    return record_id.lower()


def _place(record: _Record) -> tuple[str, str, str]:
    if isinstance(record, PoolRecord):
        return "pool", "", _key(record.spec.id)
    if isinstance(record, JobRecord):
        return "job", "", _key(record.spec.id)
    return "task", _key(record.job_id), _key(record.spec.id)
