"""Ports of predictive maintenance: data of machines, and risks of their components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sensorwatch.machines.datasets import DataSet, Reject
    from sensorwatch.machines.records import MachineInfo, MachineRisk

__all__ = ["MachineData", "MachineStore"]


class MachineData(Protocol):
    """Rows of the machines' data sets, sharded by machine."""

    def add(self, data_set: DataSet, rows: pa.Table) -> int:
        """Store checked rows; return the number of new files."""
        ...

    def add_rejects(self, data_set: DataSet, source: str, rejects: Sequence[Reject]) -> str:
        """Store the rejected rows of a source with their reasons; return the location of the list.

        Parameters
        ----------
        data_set
            Data set of the rows.
        source
            Name of the source, such as a file name.
        rejects
            Rejected rows.
        """
        ...

    def shards(self) -> list[int]:
        """Return the shards that have telemetry, in order."""
        ...

    def read(self, data_set: DataSet, shards: Sequence[int], start: int | None, end: int) -> pa.Table:
        """Return rows of a data set.

        Parameters
        ----------
        data_set
            The data set.
        shards
            Shards to read.
        start
            Only rows after this time (exclusive), in seconds since 1970-01-01T00:00:00Z; None for no limit.
        end
            Only rows up to this time (inclusive), in the same unit.
        """
        ...

    def newest(self, data_set: DataSet = "telemetry") -> int | None:
        """Return the time of the newest row in seconds since 1970-01-01T00:00:00Z; None if there are no rows."""
        ...


class MachineStore(Protocol):
    """Catalogue of machines, and the risks of their components."""

    def put_machines(self, machines: Sequence[MachineInfo]) -> None:
        """Store machines, replacing those with the same ids."""
        ...

    def machines(self, first: int = 0, last: int | None = None) -> list[MachineInfo]:
        """Return the machines with ids from ``first`` to ``last`` (inclusive; None for no limit), ordered by id."""
        ...

    def put_risks(self, risks: Sequence[MachineRisk]) -> None:
        """Store risks, replacing those of the same machine, component and time."""
        ...

    def newest_risks(self) -> list[MachineRisk]:
        """Return the risks of the newest sample of every machine, ordered by machine and component."""
        ...

    def risks(self, machine_id: int, start: int | None = None, end: int | None = None) -> list[MachineRisk]:
        """Return the risks of a machine, ordered by time and component.

        Parameters
        ----------
        machine_id
            Machine id.
        start
            Only samples after this time (exclusive), in seconds since 1970-01-01T00:00:00Z; None for no limit.
        end
            Only samples up to this time (inclusive), in the same unit; None for no limit.
        """
        ...

    def warnings_after(self, start: int, first: int, last: int) -> list[MachineRisk]:
        """Return warnings of some machines, ordered by machine, time and component.

        Parameters
        ----------
        start
            Only samples after this time (exclusive), in seconds since 1970-01-01T00:00:00Z.
        first, last
            First and last machine id (both inclusive).
        """
        ...
