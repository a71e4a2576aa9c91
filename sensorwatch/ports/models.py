"""Models and predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from sensorwatch.records import (
        ModelRef,
        TaskSpec,
    )

__all__ = [
    "ModelRegistry",
    "Pointer",
    "PredictionFiles",
    "PredictionWriter",
    "WatchedRegistry",
]


class Pointer(NamedTuple):
    """A shard's pointer as it was seen: the version in use (None: none yet), and the ETag that changes with it."""

    ref: ModelRef | None
    etag: str


class ModelRegistry(Protocol):
    """Immutable versions of a shard's models, and a pointer to the current one."""

    def publish(
        self, shard: int, models: pa.Table, manifest: Mapping[str, object], previous: ModelRef | None
    ) -> ModelRef:
        """Store a new version and move the pointer to it.

        Storing equal content twice gives the same version.

        Raises
        ------
        ConflictError
            The pointer no longer names ``previous``; the version is stored but not current.
        """
        ...

    def point(self, ref: ModelRef, previous: ModelRef | None) -> None:
        """Make a stored version the current one.

        Raises
        ------
        ConflictError
            The pointer no longer names ``previous``.
        """
        ...

    def current(self, shard: int) -> ModelRef | None:
        """Return the version in use, None where nothing was trained yet."""
        ...

    def load(self, ref: ModelRef) -> pa.Table:
        """Return the models of a version.

        Raises
        ------
        NotFoundError, CorruptModelError
        """
        ...

    def manifest(self, ref: ModelRef) -> dict[str, object]:
        """Return a version's manifest."""
        ...

    def versions(self, shard: int | None = None) -> list[ModelRef]:
        """Return all versions (of one shard), ordered by shard, newest first."""
        ...


class WatchedRegistry(ModelRegistry, Protocol):
    """A registry whose pointers can be watched."""

    def pointer(self, shard: int, etag: str) -> Pointer | None:
        """Return the shard's pointer as it is now, None if it still has this ETag.

        Raises
        ------
        CorruptModelError
            The pointer is there but names no version.
        """
        ...


class PredictionWriter(Protocol):
    """Where scoring puts its predictions; columns as ``sensorwatch.prediction_columns`` documents them."""

    def write(self, task: TaskSpec, predictions: pa.Table) -> str:
        """Store a task's predictions, replacing what a former try left; return the blob's name."""
        ...


class PredictionFiles(PredictionWriter, Protocol):
    """One file of predictions per task."""

    def read(self, name: str) -> pa.Table:
        """Return a file's predictions."""
        ...

    def parse(self, name: str, content: bytes) -> pa.Table:
        """Return the predictions in a file's bytes, as a blob trigger delivers them.

        Raises
        ------
        InvalidInputError
            It is not a prediction file; says what was expected.
        """
        ...

    def traceparent(self, name: str) -> str | None:
        """Return the trace of the task that wrote a file; None where nothing was traced."""
        ...

    def names(self, run_id: str) -> list[str]:
        """Return the names of a run's files."""
        ...
