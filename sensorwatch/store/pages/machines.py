"""Pages of machines, ordered by risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.machines.records import MachineInfo
from sensorwatch.store.machines import MachinePart, newest_samples
from sensorwatch.store.pages.queries import RiskKey
from sensorwatch.store.tables import machine_risks, machines

if TYPE_CHECKING:
    from collections.abc import Collection

    from sensorwatch.machines.records import MachineRisk

__all__ = ["MachinePagesPart"]


class MachinePagesPart(MachinePart):
    """Pages of machines and their newest risks."""

    def machine_page(self, limit: int, after: RiskKey | None = None) -> list[RiskKey]:
        """Return a page of machines by the highest risk of their newest sample, highest first, then by id."""
        highest = (
            sa.select(machine_risks.c.MachineId, sa.func.max(machine_risks.c.Risk).label("Highest"))
            .join(newest := newest_samples(), _at(newest))
            .group_by(machine_risks.c.MachineId)
            .subquery()
        )
        query = sa.select(highest).order_by(highest.c.Highest.desc(), highest.c.MachineId).limit(limit)
        if after is not None:
            tied = (highest.c.Highest == after.risk) & (highest.c.MachineId > after.machine_id)
            query = query.where((highest.c.Highest < after.risk) | tied)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [RiskKey(row.Highest, row.MachineId) for row in rows]

    def machines_by_id(self, machine_ids: Collection[int]) -> dict[int, MachineInfo]:
        """Return at most 2,000 machines by id; unknown ids are left out."""
        query = sa.select(machines).where(machines.c.MachineId.in_(machine_ids))
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {row.MachineId: MachineInfo(row.MachineId, row.Model, row.Age) for row in rows}

    def newest_risks_of(self, machine_ids: Collection[int]) -> list[MachineRisk]:
        """Return the risks of the newest samples of at most 2,000 machines, ordered by machine and component."""
        query = (
            sa.select(machine_risks)
            .join(newest := newest_samples(machine_ids), _at(newest))
            .order_by(machine_risks.c.MachineId, machine_risks.c.Component)
        )
        return self._found(query)


def _at(newest: sa.Subquery) -> sa.ColumnElement[bool]:
    return (machine_risks.c.MachineId == newest.c.MachineId) & (newest.c.Newest == machine_risks.c.TS)
