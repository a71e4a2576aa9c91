"""Machines, and the risks of their components."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from sensorwatch.machines.records import MachineInfo, MachineRisk, RiskReason
from sensorwatch.store.connection.database import StorePart
from sensorwatch.store.tables import machine_risks, machines

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["MachinePart", "newest_samples"]

_ROWS_AT_ONCE = 5_000


class MachinePart(StorePart):
    """Implements :class:`~sensorwatch.machines.ports.MachineStore`."""

    def put_machines(self, machines_given: Sequence[MachineInfo]) -> None:
        """Store machines, in place of earlier rows with the same id."""
        rows = [{"MachineId": each.machine_id, "Model": each.model, "Age": each.age} for each in machines_given]
        self._put(machines, rows)

    def machines(self, first: int = 0, last: int | None = None) -> list[MachineInfo]:
        """Return the machines with ids from ``first`` to ``last`` (inclusive; None: all), ordered by id."""
        query = sa.select(machines).where(machines.c.MachineId >= first).order_by(machines.c.MachineId)
        if last is not None:
            query = query.where(machines.c.MachineId <= last)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [MachineInfo(row.MachineId, row.Model, row.Age) for row in rows]

    def put_risks(self, risks: Sequence[MachineRisk]) -> None:
        """Store risks, in place of earlier ones of the same machine, component and time."""
        self._put(machine_risks, [_row(risk) for risk in risks])

    def newest_risks(self) -> list[MachineRisk]:
        """Return the risks of every machine's newest sample, ordered by machine and component."""
        newest = newest_samples()
        query = (
            sa.select(machine_risks)
            .join_from(
                newest,
                machine_risks,
                (machine_risks.c.MachineId == newest.c.MachineId) & (newest.c.Newest == machine_risks.c.TS),
            )
            .order_by(machine_risks.c.MachineId, machine_risks.c.Component)
        )
        return self._found(query)

    def risks(self, machine_id: int, start: int | None = None, end: int | None = None) -> list[MachineRisk]:
        """Return the risks of a machine, ordered by time and component.

        Parameters
        ----------
        machine_id
            The machine.
        start, end
            Range: ``start < end of the sample <= end``, in seconds since 1970-01-01T00:00:00Z; None: no bound.
        """
        query = sa.select(machine_risks).where(machine_risks.c.MachineId == machine_id)
        if start is not None:
            query = query.where(start < machine_risks.c.TS)
        if end is not None:
            query = query.where(end >= machine_risks.c.TS)
        return self._found(query.order_by(machine_risks.c.TS, machine_risks.c.Component))

    def warnings_after(self, start: int, first: int, last: int) -> list[MachineRisk]:
        """Return the risks that warn after a given time, ordered by machine, time and component.

        Parameters
        ----------
        start
            Only samples after this time, in seconds since 1970-01-01T00:00:00Z.
        first, last
            First and last machine id (both inclusive).
        """
        risks = machine_risks.c
        query = (
            sa.select(machine_risks)
            .where(risks.MachineId >= first, risks.MachineId <= last, start < risks.TS, risks.Warns == sa.true())
            .order_by(risks.MachineId, risks.TS, risks.Component)
        )
        return self._found(query)

    def _found(self, query: sa.Select[Any]) -> list[MachineRisk]:
        return [_risk(row) for row in self._database.read(lambda connection: connection.execute(query).all())]

    def _put(self, table: sa.Table, rows: Sequence[dict[str, object]]) -> None:
        dialect = self._database.dialect
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[begin : begin + _ROWS_AT_ONCE]
            self._database.write(partial(dialect.upsert, table=table, rows=part, overwrite=True))


def newest_samples(machine_ids: Collection[int] | None = None) -> sa.Subquery:
    """Return a subquery with the time ``Newest`` of the newest scored sample of each ``MachineId``."""
    query = sa.select(machine_risks.c.MachineId, sa.func.max(machine_risks.c.TS).label("Newest"))
    if machine_ids is not None:
        query = query.where(machine_risks.c.MachineId.in_(machine_ids))
    return query.group_by(machine_risks.c.MachineId).subquery()


def _row(risk: MachineRisk) -> dict[str, object]:
    return {
        "MachineId": risk.machine_id,
        "TS": risk.end,
        "Component": risk.component,
        "Risk": risk.risk,
        "Threshold": risk.threshold,
        "Warns": risk.warns,
        "Reasons": msgspec.json.encode([reason._asdict() for reason in risk.reasons]).decode(),
        "ModelVersion": risk.model_version,
    }


def _risk(row: sa.Row[Any]) -> MachineRisk:
    return MachineRisk(
        machine_id=row.MachineId,
        component=row.Component,
        end=row.TS,
        risk=row.Risk,
        threshold=row.Threshold,
        warns=row.Warns,
        reasons=tuple(RiskReason(**each) for each in msgspec.json.decode(row.Reasons)),
        model_version=row.ModelVersion,
    )
