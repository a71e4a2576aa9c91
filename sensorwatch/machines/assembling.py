"""Assembly of a fleet from checked rows: machines ordered, duplicate hours averaged, duplicate events dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.machines.fleet import COMPONENTS, ERRORS, HOUR_SECONDS, SIGNALS, Events, Fleet, Machines, Telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.machines.datasets import DataSet
    from sensorwatch.machines.fleet import Ints

__all__ = ["FleetCounts", "assemble"]


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """Contents of a fleet, and how its rows were used.

    Attributes
    ----------
    machines, readings, errors, replacements, failures
        Numbers of each.
    repeated_hours
        Readings after the first of their machine and hour; the value of an hour is the mean of all its readings.
    repeated_events
        Duplicate errors, replacements and failures, which are dropped.
    missing_hours
        Hours without a reading, between the first and last reading of their machine.
    unknown_machines
        Rows of machines that are not in ``machines``, which are left out.
    """

    machines: int
    readings: int
    errors: int
    replacements: int
    failures: int
    repeated_hours: int
    repeated_events: int
    missing_hours: int
    unknown_machines: int


def assemble(rows: Mapping[DataSet, pa.Table]) -> tuple[Fleet, FleetCounts]:
    """Assemble a fleet from checked rows.

    If there are several rows of one machine, the last one is used. The order of other rows has no effect.

    Parameters
    ----------
    rows
        One table for each data set, with the columns of :func:`sensorwatch.machines.datasets.schema_of`.
    """
    machines = _machines(rows["machines"])
    telemetry, repeated, missing, unknown = _telemetry(rows["telemetry"], machines.machine_id)
    events = []
    repeated_events = 0
    for data_set, column, kinds in (
        ("errors", "errorID", ERRORS),
        ("maint", "comp", COMPONENTS),
        ("failures", "failure", COMPONENTS),
    ):
        found, twice, strangers = _events(rows[data_set], column, kinds, machines.machine_id)  # type: ignore[index]
        events.append(found)
        repeated_events += twice
        unknown += strangers
    errors, replacements, failures = events
    fleet = Fleet(machines, telemetry, errors, replacements, failures)
    counts = FleetCounts(
        machines=len(machines.machine_id),
        readings=len(telemetry.hour),
        errors=len(fleet.errors.time),
        replacements=len(fleet.replacements.time),
        failures=len(fleet.failures.time),
        repeated_hours=repeated,
        repeated_events=repeated_events,
        missing_hours=missing,
        unknown_machines=unknown,
    )
    return fleet, counts


def _machines(table: pa.Table) -> Machines:
    latest = {
        machine_id: (model, age)
        for machine_id, model, age in zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    }
    ids = sorted(latest)
    return Machines(
        np.array(ids, np.int64),
        tuple(latest[each][0] for each in ids),
        np.array([latest[each][1] for each in ids], np.float64),
    )


def _positions(table: pa.Table, machine_ids: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    ids = table["machineID"].to_numpy()
    if not len(machine_ids):
        return np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
    position = np.minimum(np.searchsorted(machine_ids, ids), len(machine_ids) - 1)
    return position, machine_ids[position] == ids


def _telemetry(table: pa.Table, machine_ids: Ints) -> tuple[Telemetry, int, int, int]:
    position, known = _positions(table, machine_ids)
    hour = -(-table["datetime"].to_numpy() // HOUR_SECONDS)
    values = np.column_stack([table[name].to_numpy() for name in SIGNALS])
    if not known.all():
        position, hour, values = position[known], hour[known], values[known]
    if not _ascending(position, hour):
        # The values are sort keys too, so that the sum of equal hours does not depend on the order of the rows.
        order = np.lexsort((*values.T[::-1], hour, position))
        position, hour, values = position[order], hour[order], values[order]
    begins = np.flatnonzero(np.r_[True, (position[1:] != position[:-1]) | (hour[1:] != hour[:-1])][: len(hour)])
    repeated = len(hour) - len(begins)
    if repeated:
        sizes = np.diff(np.r_[begins, len(hour)])
        values = np.add.reduceat(values, begins, axis=0) / sizes[:, None]
        position, hour = position[begins], hour[begins]
    same = position[1:] == position[:-1]
    missing = int((np.diff(hour)[same] - 1).sum())
    return Telemetry(position.astype(np.int32), hour, values), repeated, missing, int((~known).sum())


def _ascending(position: Ints, hour: Ints) -> bool:
    same = position[1:] == position[:-1]
    return bool(((position[1:] > position[:-1]) | (same & (hour[1:] > hour[:-1]))).all())


def _events(table: pa.Table, column: str, kinds: tuple[str, ...], machine_ids: Ints) -> tuple[Events, int, int]:
    position, known = _positions(table, machine_ids)
    kind = pc.index_in(table[column], pa.array(kinds)).to_numpy()
    rows = np.column_stack([position, table["datetime"].to_numpy(), kind])[known]
    distinct = np.unique(rows, axis=0)
    events = Events(distinct[:, 0].astype(np.int32), distinct[:, 1].astype(np.int64), distinct[:, 2].astype(np.int8))
    return events, len(rows) - len(distinct), int((~known).sum())
