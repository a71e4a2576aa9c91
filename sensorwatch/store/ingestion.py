"""Exactly-once ingestion: sensors, windows, counters and the partition's checkpoint."""

from __future__ import annotations

import threading
from math import isfinite
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.errors import CheckpointConflictError, InvalidInputError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, PartitionStatus
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store.connection.database import StorePart, take_lock
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.scoring import planned_until
from sensorwatch.store.tables import ingest_partitions, sensors, shard_scoring

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sensorwatch.ingestion.records import Window
    from sensorwatch.store.connection.database import Database
    from sensorwatch.store.dialects import WindowRow

__all__ = ["IngestPart"]

_NAME_LENGTH = 64

_mark_columns = ingest_partitions.c
# Built once, because building it takes as long as writing hundreds of windows.
_MOVE_CHECKPOINT = (
    ingest_partitions.update()
    .where(
        _mark_columns.Hub == sa.bindparam("hub"),
        _mark_columns.ConsumerGroup == sa.bindparam("consumer_group"),
        _mark_columns.PartitionId == sa.bindparam("partition_id"),
        _mark_columns.SequenceNumber == sa.bindparam("expected_number"),
        _mark_columns.EnqueuedTime == sa.bindparam("expected_time"),
    )
    .values(
        SequenceNumber=sa.bindparam("number"),
        EnqueuedTime=sa.bindparam("time"),
        Received=_mark_columns.Received + sa.bindparam("received"),
        Accepted=_mark_columns.Accepted + sa.bindparam("accepted"),
        Late=_mark_columns.Late + sa.bindparam("late"),
        Duplicate=_mark_columns.Duplicate + sa.bindparam("duplicate"),
        Invalid=_mark_columns.Invalid + sa.bindparam("invalid"),
    )
)


class IngestPart(StorePart):
    """Implements :class:`~sensorwatch.ingestion.ports.IngestStore`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._ids: dict[SensorKey, int] = {}
        self._ids_lock = threading.Lock()

    def sensor_ids(self, keys: Collection[SensorKey]) -> dict[SensorKey, int]:
        """Return the id of every key; unknown sensors are added to the catalogue with the next dense ids, in order.

        Ids never change, so a process reads each of them once. Because they are dense, new sensors are those whose ids
        start at the number of known sensors; the database never has to compare names.

        Raises
        ------
        InvalidInputError
            A name is empty, longer than 64 characters, or no valid text.
        """
        if not all(key in self._ids for key in keys):
            self._learn(keys)
        return {key: self._ids[key] for key in keys}

    def _learn(self, keys: Collection[SensorKey]) -> None:
        with self._ids_lock:
            known = len(self._ids)
            self._ids.update(self._database.read(lambda connection: _sensors_from(connection, known)))
            missing = [key for key in dict.fromkeys(keys) if key not in self._ids]
            if not missing:
                return
            for key in missing:
                _check_name(key)
            self._ids.update(self._database.write(lambda connection: self._enter(connection, missing)))

    def _enter(self, connection: sa.Connection, missing: Sequence[SensorKey]) -> dict[SensorKey, int]:
        """Assign the next ids, under a store-wide lock so that no two processes assign the same one."""
        take_lock(connection, "sensors")
        learned = _sensors_from(connection, len(self._ids))
        now, size = self._database.clock(), self._database.shard_size
        first = len(self._ids) + len(learned)
        new = {key: first + i for i, key in enumerate(key for key in missing if key not in learned)}
        if new:
            connection.execute(
                sensors.insert(),
                [
                    {
                        "SensorId": sensor_id,
                        "Shard": sensor_id // size,
                        "Device": key.device,
                        "Tag": key.tag,
                        "DeviceLength": len(key.device),
                        "TagLength": len(key.tag),
                        "FirstSeen": now,
                    }
                    for key, sensor_id in new.items()
                ],
            )
            # Every shard with sensors needs its row, because merging windows locks it (see the SQL Server dialect).
            shards = sorted({sensor_id // size for sensor_id in new.values()})
            rows = [{"Shard": shard, "PlannedUntil": None, "ScoredUntil": None} for shard in shards]
            self._database.dialect.upsert(connection, shard_scoring, rows, overwrite=False)
        return learned | new

    def last_windows(self, sensor_ids: Collection[int]) -> dict[int, int]:
        """Return the end of each sensor's newest window; sensors without windows are left out.

        Ends are in seconds since 1970-01-01T00:00:00Z.
        """
        if not sensor_ids:
            return {}
        wanted = value_rows(self._database.dialect, sensors.c.SensorId, set(sensor_ids))
        query = (
            sa.select(sensors.c.SensorId, sensors.c.LastWindow)
            .join_from(wanted, sensors, sensors.c.SensorId == wanted.c.SensorId)
            .where(sensors.c.LastWindow.is_not(None))
        )
        return self._database.read(lambda connection: dict(connection.execute(query).all()))

    def planned_until(self, sensor_ids: Collection[int]) -> dict[int, int]:
        """Return planned ends of scoring; see :func:`~sensorwatch.store.scoring.planned_until`."""
        database = self._database
        if not sensor_ids:
            return {}
        return database.read(
            lambda connection: planned_until(connection, database.dialect, sensor_ids, database.shard_size)
        )

    def offset_checkpoint(self, partition: Partition) -> OffsetCheckpoint | None:
        """Return the checkpoint of a partition; None if it was never read."""
        return self._database.read(lambda connection: _checkpoint(connection, partition))

    def commit_ingest(
        self,
        partition: Partition,
        expected: OffsetCheckpoint | None,
        checkpoint: OffsetCheckpoint,
        windows: Sequence[Window],
        counts: IngestCounts,
    ) -> None:
        """Commit a batch; see :meth:`~sensorwatch.ingestion.ports.IngestStore.commit_ingest`.

        The checkpoint's row is written first, on condition that it is as expected. That decides between two consumers
        of one partition: the lock on the row makes the second one wait until the first has committed or failed. Windows
        are written in the order of the clustered key, so that partitions with the same sensors seldom deadlock; if they
        do, one transaction is repeated.
        """
        if counts.received != counts.accepted + counts.late + counts.duplicate + counts.invalid:
            raise InvalidInputError(f"expected received = accepted + late + duplicate + invalid, got {counts}")
        rows = _window_rows(windows, self._database.shard_size)
        tries = 0

        def work(connection: sa.Connection) -> None:
            nonlocal tries
            tries += 1
            if not _move_checkpoint(connection, partition, expected, checkpoint, counts):
                stored = _checkpoint(connection, partition)
                if tries > 1 and stored == checkpoint:
                    # The connection broke during the commit, which succeeded: the events have been applied.
                    return
                raise CheckpointConflictError(
                    f"partition {partition}: expected the checkpoint {expected}, got {stored}; "
                    "read it again and skip what it covers"
                )
            if rows:
                self._database.dialect.merge_windows(connection, rows)

        self._database.write(work)

    def ingest_status(self) -> list[PartitionStatus]:
        """Return every partition's checkpoint and counters, ordered by partition."""
        table = ingest_partitions.c
        query = sa.select(ingest_partitions).order_by(table.Hub, table.ConsumerGroup, table.PartitionId)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [
            PartitionStatus(
                Partition(row.Hub, row.ConsumerGroup, row.PartitionId),
                OffsetCheckpoint(row.SequenceNumber, row.EnqueuedTime),
                IngestCounts(row.Received, row.Accepted, row.Late, row.Duplicate, row.Invalid),
            )
            for row in rows
        ]


def _sensors_from(connection: sa.Connection, first: int) -> dict[SensorKey, int]:
    query = sa.select(sensors.c.Device, sensors.c.Tag, sensors.c.SensorId).where(sensors.c.SensorId >= first)
    return {SensorKey(device, tag): sensor_id for device, tag, sensor_id in connection.execute(query)}


def _check_name(key: SensorKey) -> None:
    for part, name in zip(("device", "tag"), key, strict=True):
        if not 0 < len(name) <= _NAME_LENGTH:
            raise InvalidInputError(f"{part}: expected 1 to {_NAME_LENGTH} characters, got {len(name)}: {name[:80]!r}")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InvalidInputError(f"{part}: expected a text that UTF-8 can hold, got {name!r}") from None


def _is(partition: Partition) -> sa.ColumnElement[bool]:
    table = ingest_partitions.c
    return sa.and_(
        table.Hub == partition.hub,
        table.ConsumerGroup == partition.consumer_group,
        table.PartitionId == partition.partition_id,
    )


def _checkpoint(connection: sa.Connection, partition: Partition) -> OffsetCheckpoint | None:
    table = ingest_partitions.c
    row = connection.execute(sa.select(table.SequenceNumber, table.EnqueuedTime).where(_is(partition))).one_or_none()
    return None if row is None else OffsetCheckpoint(row.SequenceNumber, row.EnqueuedTime)


def _move_checkpoint(
    connection: sa.Connection,
    partition: Partition,
    expected: OffsetCheckpoint | None,
    checkpoint: OffsetCheckpoint,
    counts: IngestCounts,
) -> bool:
    if expected is None:
        if _checkpoint(connection, partition) is not None:
            return False
        # If another consumer inserts first, the duplicate key repeats this transaction, which then sees the row.
        connection.execute(
            ingest_partitions.insert().values(
                Hub=partition.hub,
                ConsumerGroup=partition.consumer_group,
                PartitionId=partition.partition_id,
                SequenceNumber=checkpoint.sequence_number,
                EnqueuedTime=checkpoint.enqueued_time,
                Received=counts.received,
                Accepted=counts.accepted,
                Late=counts.late,
                Duplicate=counts.duplicate,
                Invalid=counts.invalid,
            )
        )
        return True
    moved = connection.execute(
        _MOVE_CHECKPOINT,
        {
            "hub": partition.hub,
            "consumer_group": partition.consumer_group,
            "partition_id": partition.partition_id,
            "expected_number": expected.sequence_number,
            "expected_time": expected.enqueued_time,
            "number": checkpoint.sequence_number,
            "time": checkpoint.enqueued_time,
            **counts._asdict(),
        },
    )
    return moved.rowcount == 1


def _window_rows(windows: Sequence[Window], shard_size: int) -> list[WindowRow]:
    rows = [
        (sensor_id // shard_size, end, sensor_id, readings, total, minimum, maximum, squares)
        for sensor_id, end, readings, total, minimum, maximum, squares in windows
    ]
    rows.sort()
    if len({row[1:3] for row in rows}) != len(rows):
        raise InvalidInputError("expected windows of distinct sensor and end, got two of the same; merge them first")
    # One sum over all values finds any that is not finite. Huge values can overflow it too, so then each is checked.
    if not isfinite(sum([total + low + high + squares for _, _, _, _, total, low, high, squares in rows])):
        for row in rows:
            if not all(map(isfinite, row[4:])):
                raise InvalidInputError(
                    f"expected finite window sums, got {row[4:]} for sensor {row[2]}, end {row[1]}; "
                    "reject such readings"
                )
    return rows
