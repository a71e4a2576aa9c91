"""Reading of the stored fleet, for training and scoring."""

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
    """Read the machines of some shards with their data until ``end``.

    Parameters
    ----------
    shards
        Shards, in order.
    shard_machines
        Number of machines in a shard.
    telemetry_after
        Only readings after this time (exclusive), in seconds since 1970-01-01T00:00:00Z; None for all. Events are few,
        and always read completely.
    end
        Only data up to this time (inclusive), in the same unit.
    store
        Catalogue of machines.
    data
        Data of machines.

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
        raise NotFoundError("no machines yet; import their data with `sensorwatch maintenance ingest DIR`")
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
