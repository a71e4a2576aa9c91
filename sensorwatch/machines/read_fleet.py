"""The stored fleet as training and scoring want it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from sensorwatch.errors import NotFoundError
from sensorwatch.machines.assembling import assemble
from sensorwatch.machines.datasets import DATA_SETS, schema_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.machines.assembling import FleetCounts
    from sensorwatch.machines.datasets import DataSet
    from sensorwatch.machines.fleet import Fleet
    from sensorwatch.machines.ports import MachineData, MachineStore

__all__ = ["read_fleet"]


def read_fleet(
    shards: Sequence[int],
    shard_machines: int,
    telemetry_after: int | None,
    end: int,
    *,
    store: MachineStore,
    data: MachineData,
) -> tuple[Fleet, FleetCounts]:
    """Return the machines of some shards with all that happened until ``end``.

    Parameters
    ----------
    shards
        The shards, in order.
    shard_machines
        Machines in a shard.
    telemetry_after
        Only readings after this time (seconds since 1970; None: all). Events are few, and read whole.
    end
        Inclusive.

    Raises
    ------
    NotFoundError
        There are no machines.
    """
    known = [
        machine
        for shard in shards
        for machine in store.machines(shard * shard_machines, (shard + 1) * shard_machines - 1)
    ]
    if not known:
        raise NotFoundError("there are no machines yet; `sensorwatch maintenance ingest DIR` takes their data in")
    rows: dict[DataSet, pa.Table] = {
        "machines": pa.Table.from_pylist(
            [{"machineID": each.machine_id, "model": each.model, "age": each.age} for each in known],
            schema_of("machines"),
        )
    }
    for data_set in DATA_SETS[1:]:
        start = telemetry_after if data_set == "telemetry" else None
        rows[data_set] = data.read(data_set, shards, start, end)
    return assemble(rows)
