"""State of the service: records in dictionaries, written through to a SQLite file from which a restart reads them."""

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
    """Another service uses the same folder."""


class State:
    """Pools, jobs and tasks by id; ids are case-insensitive, as in Azure Batch.

    Parameters
    ----------
    folder
        Folder of the file; only one service at a time can use it.

    Raises
    ------
    DataInUseError
        Another service uses the folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise DataInUseError(
                f"{folder}: another Batch service uses this folder; stop it, or choose another folder with --data"
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
        """Close the file and release the folder."""
        self._database.close()
        self._lock.close()

    def next_sequence(self) -> int:
        """Return a number above all earlier ones."""
        self._sequence += 1
        return self._sequence

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Save records within the block in one transaction; blocks can be nested."""
        if self._in_transaction:
            yield
            return
        self._database.execute("BEGIN")
        self._in_transaction = True
        try:
            yield
        finally:
            # The dictionaries have the changes already, so records saved before an error are written too.
            self._in_transaction = False
            self._database.execute("COMMIT")

    def pools(self) -> list[PoolRecord]:
        """Return all pools."""
        return list(self._pools.values())

    def pool(self, pool_id: str) -> PoolRecord:
        """Return a pool; raise a 404 if it does not exist."""
        try:
            return self._pools[_key(pool_id)]
        except KeyError:
            raise not_found("Pool") from None

    def find_pool(self, pool_id: str) -> PoolRecord | None:
        """Return a pool, or None if it does not exist."""
        return self._pools.get(_key(pool_id))

    def jobs(self) -> list[JobRecord]:
        """Return all jobs, oldest first."""
        return list(self._jobs.values())

    def job(self, job_id: str) -> JobRecord:
        """Return a job; raise a 404 if it does not exist."""
        try:
            return self._jobs[_key(job_id)]
        except KeyError:
            raise not_found("Job") from None

    def has_job(self, job_id: str) -> bool:
        """Return whether a job exists."""
        return _key(job_id) in self._jobs

    def tasks(self, job_id: str) -> list[TaskRecord]:
        """Return the tasks of a job, oldest first; raise a 404 if the job does not exist."""
        self.job(job_id)
        return list(self._tasks[_key(job_id)].values())

    def all_tasks(self) -> list[TaskRecord]:
        """Return the tasks of all jobs."""
        return [task for tasks in self._tasks.values() for task in tasks.values()]

    def task(self, job_id: str, task_id: str) -> TaskRecord:
        """Return a task; raise a 404 if it does not exist."""
        self.job(job_id)
        task = self.find_task(job_id, task_id)
        if task is None:
            raise not_found("Task")
        return task

    def find_task(self, job_id: str, task_id: str) -> TaskRecord | None:
        """Return a task, or None if it does not exist."""
        return self._tasks.get(_key(job_id), {}).get(_key(task_id))

    def save(self, record: _Record) -> None:
        """Store the current content of a record."""
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
        """Delete a record; a job together with its tasks."""
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
