"""Machines: their data, and the risks of their components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sensorwatch.machines.datasets import DataSet, Reject
    from sensorwatch.machines.records import MachineInfo, MachineRisk

__all__ = ["MachineData", "MachineStore"]


class MachineData(Protocol):
    """The rows of the machines' data sets, sharded by machine."""

    def add(self, data_set: DataSet, rows: pa.Table) -> int:
        """Store checked rows; return how many files that made, without those that were there already."""
        ...

    def add_rejects(self, data_set: DataSet, source: str, rejects: Sequence[Reject]) -> str:
        """Store which rows of a source can't be used, and why; return the place."""
        ...

    def shards(self) -> list[int]:
        """Return the shards that have telemetry, in order."""
        ...

    def read(self, data_set: DataSet, shards: Sequence[int], start: int | None, end: int) -> pa.Table:
        """Return the rows with ``start < datetime <= end`` (seconds since 1970; None: no lower bound)."""
        ...

    def newest(self, data_set: DataSet = "telemetry") -> int | None:
        """Return the time of the newest row (seconds since 1970), None where there is none."""
        ...


class MachineStore(Protocol):
    """The catalogue of machines, and what scoring said of them."""

    def put_machines(self, machines: Sequence[MachineInfo]) -> None:
        """Store machines, in place of what was known of them."""
        ...

    def machines(self, first: int = 0, last: int | None = None) -> list[MachineInfo]:
        """Return the machines with ids from ``first`` to ``last`` (inclusive; None: all), ordered by id."""
        ...

    def put_risks(self, risks: Sequence[MachineRisk]) -> None:
        """Store risks, in place of those of the same machine, component and time."""
        ...

    def newest_risks(self) -> list[MachineRisk]:
        """Return the risks of every machine's newest sample, ordered by machine and component."""
        ...

    def risks(self, machine_id: int, start: int | None = None, end: int | None = None) -> list[MachineRisk]:
        """Return a machine's risks with ``start < end of the sample <= end``, ordered by time and component."""
        ...

    def warnings_after(self, start: int, first: int, last: int) -> list[MachineRisk]:
        """Return what warns after a time, of machines ``first`` to ``last``, ordered by machine, time and component."""
        ...
