"""Ports of models: source of windows, model registry and detector checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from sensorwatch.sensors.ports import LabelStore, SensorStore
from sensorwatch.sensors.windows import SensorHistory, WindowStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from sensorwatch.models.records import ModelRef

__all__ = ["CheckpointFiles", "ModelRegistry", "Pointer", "WatchedRegistry", "WindowSource"]


class WindowSource(WindowStore, SensorHistory, SensorStore, LabelStore, Protocol):
    """Source of windows, sensors and labels."""


class Pointer(NamedTuple):
    """A shard's pointer at the time of reading.

    Attributes
    ----------
    ref
        The version in use; None if there is none yet.
    etag
        ETag of the pointer, which changes with it.
    """

    ref: ModelRef | None
    etag: str


class ModelRegistry(Protocol):
    """Immutable versions of a shard's models, and a pointer to the current one."""

    def publish(
        self, shard: int, models: pa.Table, manifest: Mapping[str, object], previous: ModelRef | None
    ) -> ModelRef:
        """Store a new version and move the pointer to it.

        Storing equal content twice gives the same version.

        Parameters
        ----------
        shard
            Number of the shard.
        models
            Its model table (:mod:`sensorwatch.models.table`).
        manifest
            Description of the version as JSON values.
        previous
            The version that ``models`` was merged with; None if there was none.

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
        """Return the version in use; None if nothing was trained yet."""
        ...

    def load(self, ref: ModelRef) -> pa.Table:
        """Return the model table of a version.

        Raises
        ------
        NotFoundError
            There is no such version.
        CorruptModelError
            Its file is damaged.
        """
        ...

    def manifest(self, ref: ModelRef) -> dict[str, object]:
        """Return a version's manifest."""
        ...

    def versions(self, shard: int | None = None) -> list[ModelRef]:
        """Return all versions (of one shard), ordered by shard, newest first."""
        ...


class WatchedRegistry(ModelRegistry, Protocol):
    """A registry that can be polled for changed pointers."""

    def pointer(self, shard: int, etag: str) -> Pointer | None:
        """Return the shard's current pointer; None if its ETag is still ``etag``.

        Raises
        ------
        CorruptModelError
            The pointer exists but names no version.
        """
        ...


class CheckpointFiles(Protocol):
    """Storage of detector checkpoints between scoring tasks, apart from the models.

    A table of checkpoints has a column ``sensor_id``, ascending, and one for each detector with state.
    """

    def load(self, shard: int, until: datetime) -> tuple[datetime, pa.Table] | None:
        """Return the newest checkpoints of a shard that can be read, with their time; None if there are none.

        Parameters
        ----------
        shard
            The shard.
        until
            Latest time of the checkpoints (UTC), inclusive.
        """
        ...

    def save(self, shard: int, since: datetime, until: datetime, checkpoints: pa.Table) -> None:
        """Store checkpoints, replacing those of the same time; older ones may be deleted.

        The newest checkpoints that are not later than ``since`` are kept: a task that started there may be repeated.

        Parameters
        ----------
        shard
            The shard.
        since
            Start of the windows that the task scored (UTC).
        until
            Time of the checkpoints: the end of those windows (UTC).
        checkpoints
            Table of checkpoints.
        """
        ...
