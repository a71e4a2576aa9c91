"""In-memory ports for the training and scoring steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.errors import ConflictError, InvalidInputError, NotFoundError
from sensorwatch.models.ports import Pointer
from sensorwatch.models.records import ModelRef
from sensorwatch.models.table import checksum, models_from_bytes, models_to_bytes, with_version
from sensorwatch.sensors.labels import ShardLabels
from sensorwatch.sensors.records import SensorKey, SensorStatus
from sensorwatch.sensors.windows import WindowColumns, WindowRange
from sensorwatch.tasks.records import TaskSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pyarrow as pa

    from sensorwatch.sensors.records import ReportingProfile, TrainingOutcome
    from sensorwatch.tasks.records import Kind

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW_SECONDS = 5


def task(kind: Kind, end: datetime = NOON, start: datetime | None = None, shard: int = 0) -> TaskSpec:
    return TaskSpec(f"{kind}-{end:%Y%m%dT%H%M%SZ}", f"{kind}-{shard:06d}", kind, shard, start, end)


class FakeStore:
    """Windows and sensors of one shard; ``completed`` holds what scoring reported.

    It plans nothing: windows are marked for scoring again by ``change`` alone.
    """

    def __init__(self) -> None:
        self.windows: dict[int, dict[int, tuple[float, int]]] = {}
        self.statuses: dict[int, SensorStatus] = {}
        self.marks: set[tuple[int, int]] = set()
        self.reporting_profiles: dict[int, ReportingProfile] = {}
        self.outcomes: list[TrainingOutcome] = []
        self.completed: list[tuple[TaskSpec, WindowColumns]] = []
        self.reads: list[tuple[datetime | None, datetime]] = []
        self.look_ups: list[tuple[int, WindowRange]] = []
        self.labels = ShardLabels()

    def add(
        self, sensor_id: int, values: Sequence[float], end: datetime = NOON, interval: int = WINDOW_SECONDS
    ) -> None:
        """Give a sensor windows ``interval`` seconds apart, the last of which ends at ``end``."""
        last = int(end.timestamp())
        series = self.windows.setdefault(sensor_id, {})
        for back, value in enumerate(reversed(values)):
            series[last - back * interval] = (value, 1)
        self.register(sensor_id)

    def change(self, sensor_id: int, end: datetime, value: float) -> None:
        """Change a window that was scored before, as late data does."""
        seconds = int(end.timestamp())
        _, count = self.windows[sensor_id].get(seconds, (0.0, 0))
        self.windows[sensor_id][seconds] = (value, count + 1)
        self.marks.add((sensor_id, seconds))

    def register(self, sensor_id: int) -> None:
        series = self.windows.get(sensor_id)
        last = datetime.fromtimestamp(max(series), UTC) if series else None
        known = self.statuses.get(sensor_id)
        self.statuses[sensor_id] = (
            replace(known, last_window=last)
            if known
            else SensorStatus(
                sensor_id,
                SensorKey(f"device-{sensor_id}", "temperature"),
                0,
                NOON - timedelta(days=1),
                last,
                "no-data",
                "",
                None,
                "",
            )
        )

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        return [self.statuses[sensor_id] for sensor_id in sorted(self.statuses)]

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        return {sensor_id: self.statuses[sensor_id] for sensor_id in sensor_ids if sensor_id in self.statuses}

    def read_windows(self, shard: int, start: datetime | None, end: datetime) -> WindowColumns:
        self.reads.append((start, end))
        low = start.timestamp() if start else -np.inf
        return self._columns(lambda _, seconds: low < seconds <= end.timestamp())

    def history_range(self, sensor_id: int) -> WindowRange | None:
        ends = [end for series in self.windows.values() for end in series]
        return WindowRange(min(ends) - 1, max(self.windows[sensor_id])) if self.windows.get(sensor_id) else None

    def sensor_windows(self, sensor_id: int, wanted: WindowRange, window_seconds: int) -> WindowColumns:
        self.look_ups.append((sensor_id, wanted))
        return self._columns(lambda found, seconds: found == sensor_id and wanted.start < seconds <= wanted.end)

    def read_rescore_windows(self, shard: int, end: datetime) -> WindowColumns:
        return self._columns(
            lambda sensor_id, seconds: (sensor_id, seconds) in self.marks and seconds <= end.timestamp()
        )

    def _columns(self, wanted: Callable[[int, int], bool]) -> WindowColumns:
        rows = [
            (sensor_id, seconds, *self.windows[sensor_id][seconds])
            for sensor_id in sorted(self.windows)
            for seconds in sorted(self.windows[sensor_id])
            if wanted(sensor_id, seconds)
        ]
        ids, ends, values, counts = zip(*rows, strict=True) if rows else ((), (), (), ())
        return WindowColumns(
            np.array(ids, np.int64), np.array(ends, np.int64), np.array(values, np.float64), np.array(counts, np.int64)
        )

    def record_training(self, outcomes: Sequence[TrainingOutcome]) -> None:
        self.outcomes.extend(outcomes)
        for outcome in outcomes:
            known = self.statuses[outcome.sensor_id]
            times = [time for time in (known.trained_until, outcome.trained_until) if time is not None]
            self.statuses[outcome.sensor_id] = replace(
                known,
                state=outcome.state,
                reason=outcome.reason,
                trained_until=max(times, default=None),
                model_version=outcome.model_version,
            )

    def record_reporting_profiles(self, profiles: Sequence[ReportingProfile]) -> None:
        self.reporting_profiles.update({profile.sensor_id: profile for profile in profiles})

    def shard_labels(self, shard: int, start: datetime | None, end: datetime) -> ShardLabels:
        return self.labels

    def is_scored(self, task: TaskSpec) -> bool:
        return any(done.end >= task.end for done, _ in self.completed)

    def complete_scoring(self, task: TaskSpec, scored: WindowColumns) -> None:
        self.completed.append((task, scored))
        columns = (scored.sensor_id, scored.end, scored.count)
        for sensor_id, end, count in zip(*(column.tolist() for column in columns), strict=True):
            # A window that has changed again since it was read keeps its mark.
            if self.windows[sensor_id][end][1] == count:
                self.marks.discard((sensor_id, end))
        never_trained = {sensor_id for sensor_id, known in self.statuses.items() if known.trained_until is None}
        self.marks = {mark for mark in self.marks if mark[0] not in never_trained}


class FakeRegistry:
    """Versions in memory, as bytes; a version's name is its pointer's ETag.

    ``before_publish`` may change the registry in between, as another task would.
    """

    def __init__(self) -> None:
        self.files: dict[ModelRef, bytes] = {}
        self.manifests: dict[ModelRef, dict[str, object]] = {}
        self.pointers: dict[int, ModelRef] = {}
        self.before_publish: Callable[[], None] | None = None

    def publish(
        self, shard: int, models: pa.Table, manifest: Mapping[str, object], previous: ModelRef | None
    ) -> ModelRef:
        if self.before_publish:
            interfere, self.before_publish = self.before_publish, None
            interfere()
        content = models_to_bytes(models)
        sha256 = checksum(content)
        ref = ModelRef(shard, f"{_time_of(manifest):%Y%m%dT%H%M%SZ}-{sha256[:16]}")
        self.files.setdefault(ref, content)
        described = {"shard": shard, "version": ref.version, "sha256": sha256, "bytes": len(content)}
        self.manifests.setdefault(ref, {**manifest, **described})
        self.point(ref, previous)
        return ref

    def point(self, ref: ModelRef, previous: ModelRef | None) -> None:
        current = self.pointers.get(ref.shard)
        if current not in (previous, ref):
            expected, got = (each.version if each else "none" for each in (previous, current))
            raise ConflictError(f"expected the current models to be {expected}, got {got}")
        self.pointers[ref.shard] = ref

    def current(self, shard: int) -> ModelRef | None:
        return self.pointers.get(shard)

    def pointer(self, shard: int, etag: str) -> Pointer | None:
        ref = self.current(shard)
        if ref is None:
            return Pointer(None, "") if etag else None
        return None if ref.version == etag else Pointer(ref, ref.version)

    def load(self, ref: ModelRef) -> pa.Table:
        if ref not in self.files:
            raise NotFoundError(ref.version)
        return with_version(models_from_bytes(self.files[ref], ref.version[-16:]), ref.version)

    def manifest(self, ref: ModelRef) -> dict[str, object]:
        if ref not in self.manifests:
            raise NotFoundError(ref.version)
        return self.manifests[ref]

    def versions(self, shard: int | None = None) -> list[ModelRef]:
        newest_first = sorted(self.files, key=lambda ref: ref.version, reverse=True)
        return sorted((ref for ref in newest_first if shard in (None, ref.shard)), key=lambda ref: ref.shard)

    def damage(self, ref: ModelRef) -> None:
        """Cut a file, as a broken disk does."""
        self.files[ref] = self.files[ref][:-1]


def _time_of(manifest: Mapping[str, object]) -> datetime:
    try:
        time = datetime.fromisoformat(str(manifest.get("window_end")))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidInputError("manifest: expected `window_end` to be a time with its offset")
    return time.astimezone(UTC)


class FakeCheckpoints:
    """Detector checkpoints by shard and time."""

    def __init__(self) -> None:
        self.shards: dict[int, dict[datetime, pa.Table]] = {}

    def load(self, shard: int, until: datetime) -> tuple[datetime, pa.Table] | None:
        tables = self.shards.get(shard, {})
        time = max((time for time in tables if time <= until), default=None)
        return (time, tables[time]) if time else None

    def save(self, shard: int, since: datetime, until: datetime, checkpoints: pa.Table) -> None:
        tables = self.shards.setdefault(shard, {})
        tables[until] = checkpoints
        needed = max((time for time in tables if time <= since), default=since)
        self.shards[shard] = {time: table for time, table in tables.items() if time >= needed}
