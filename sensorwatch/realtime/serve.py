"""Step that scores a batch of events as it arrives, and stores its anomalies.

A reading is scored with its window, at the mean of the window's readings so far, because models are trained on such
means. With its last reading, a window gets the same score as in batch scoring, so both find one anomaly, identified by
sensor and window end. Before that, an anomaly is provisional, and withdrawn if more readings make the window normal.
Alert states get closed windows only, so that each window counts once.

A batch is processed as a whole or not at all: the state in memory changes only after the results are stored. After a
restart, or when a partition moves from another process, the state of a sensor is restored from the stored windows.
Ingestion's offset checkpoint says which of the partition's events these windows contain.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from sensorwatch.alerts.publish import advance_by_policy
from sensorwatch.alerts.state_machine import ScoredWindow
from sensorwatch.config.serving import ServingRule
from sensorwatch.detectors.calibration import SCORE_SEVERITIES
from sensorwatch.ingestion.decode import ReadingRules
from sensorwatch.ingestion.ingest import IngestRules
from sensorwatch.ingestion.ports import IngestStore
from sensorwatch.ingestion.records import OffsetCheckpoint, Partition
from sensorwatch.realtime.findings import find_anomalies, scored_window
from sensorwatch.realtime.model_calls import ModelThreads
from sensorwatch.realtime.open_windows import OpenWindows
from sensorwatch.realtime.ports import ServingStore
from sensorwatch.realtime.readings import SensorReadings, new_events
from sensorwatch.realtime.records import ServingCounts
from sensorwatch.realtime.scoring import Scorer, WindowBatch, distinct
from sensorwatch.realtime.serving_statistics import ServingStatistics
from sensorwatch.sensors.ports import ProfileStore
from sensorwatch.sensors.windows import WindowColumns, WindowStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import numpy.typing as npt

    from sensorwatch.alerts.handling import Tolerance
    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.records import AlertChanges, AlertState, Anomaly
    from sensorwatch.clock import Clock
    from sensorwatch.config.serving import ServingSection
    from sensorwatch.ingestion.records import RawEvent
    from sensorwatch.realtime.findings import Findings
    from sensorwatch.realtime.model_loader import ModelLoader, Shard
    from sensorwatch.realtime.open_windows import Arrivals, Touched
    from sensorwatch.realtime.scoring import ScoredWindows
    from sensorwatch.sensors.records import SensorKey
    from sensorwatch.settings import Settings

__all__ = ["Serve", "ServeRules", "ServeStore"]

_log = logging.getLogger(__name__)

_FIRST_LOAD_SECONDS = 5.0
"""Time that a batch waits for the first load of its models, so that the first readings after a start get scores."""

_READ_ATTEMPTS = 5
"""Number of attempts to read windows and the offset checkpoint without a commit of ingestion in between."""


class ServeStore(IngestStore, WindowStore, ServingStore, ProfileStore, Protocol):
    """Methods of the store that real-time scoring uses."""

    def tolerances(self, sensor_ids: Collection[int]) -> dict[int, list[Tolerance]]:
        """Return tolerances; see :meth:`sensorwatch.alerts.ports.AlertStore.tolerances`."""
        ...


@dataclass(frozen=True, slots=True)
class ServeRules:
    """Settings of the step.

    Attributes
    ----------
    section
        Section ``serving`` of ``sensorwatch.yaml``: models and combiner of each sensor.
    ingest_group
        Consumer group of ingestion, whose offset checkpoints say which events the stored windows contain.
    shard_size
        Number of sensors in a shard.
    window_seconds
        Length of a window.
    readings
        Rules of valid readings, the same as in ingestion.
    deadline_seconds
        Time that a batch waits for its models, unless the rule has its own deadline.
    history_windows
        Number of closed windows kept for each sensor.
    max_sensors
        Maximum number of sensors kept for each partition.
    threads
        Maximum number of threads that call models.
    """

    section: ServingSection
    ingest_group: str
    shard_size: int
    window_seconds: int = 5
    readings: ReadingRules = field(default_factory=ReadingRules)
    deadline_seconds: float = 0.05
    history_windows: int = 16
    max_sensors: int = 100_000
    threads: int = 16

    @classmethod
    def from_settings(cls, settings: Settings, section: ServingSection) -> Self:
        """Return the rules from the settings and the section ``serving`` of the configuration."""
        return cls(
            section=section,
            ingest_group=settings.event_hub_consumer_group,
            shard_size=settings.shard_size,
            window_seconds=settings.window_seconds,
            readings=IngestRules.from_settings(settings).readings,
            deadline_seconds=settings.serving_deadline_ms / 1000,
            history_windows=settings.serving_history_windows,
            max_sensors=settings.serving_max_sensors,
            threads=settings.serving_threads,
        )


@dataclass(slots=True)
class _Partition:
    """State of one partition, used by one thread at a time.

    ``restored`` holds closed windows read back from the store that alert states may not have processed, by sensor.
    """

    readings: SensorReadings
    windows: OpenWindows
    checkpoint: OffsetCheckpoint | None = None
    restored: dict[int, list[ScoredWindow]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Serve:
    """Step with its state between batches; safe to call from several threads.

    Parameters
    ----------
    store
        Store of windows and results.
    models
        Models in use; the caller refreshes them.
    policy
        Alert policy; may be replaced between batches.
    rules
        Settings.
    clock
        Current time (UTC).
    """

    def __init__(
        self, store: ServeStore, models: ModelLoader, policy: AlertPolicy, rules: ServeRules, clock: Clock
    ) -> None:
        self.statistics = ServingStatistics()
        self.alerts_changed = threading.Event()
        self._store = store
        self._models = models
        self.policy = policy
        self._rules = rules
        self._clock = clock
        self._serving_rules = (*rules.section.rules, ServingRule())
        threads: ModelThreads[npt.NDArray[np.float64]] = ModelThreads(rules.threads, self.statistics.record_late_call)
        self._scorer = Scorer(self._serving_rules, rules.deadline_seconds, threads, self.statistics)
        self._partitions: dict[Partition, _Partition] = {}
        self._lock = threading.Lock()

    def __call__(self, partition: Partition, events: Sequence[RawEvent]) -> ServingCounts:
        """Score a batch of one partition's events, in ascending order of sequence number.

        Returns
        -------
        ServingCounts
            Number of readings by outcome.

        Raises
        ------
        TransientError
            The store is unavailable; the state is unchanged, and the batch can be delivered again.
        """
        if not events:
            return ServingCounts()
        state = self._state(partition)
        with state.lock:
            counts = self._process(partition, state, events)
        self.statistics.count(partition, counts)
        return counts

    def _state(self, partition: Partition) -> _Partition:
        rules = self._rules
        with self._lock:
            if partition not in self._partitions:
                self._partitions[partition] = _Partition(
                    SensorReadings(self._store, rules.readings, rules.window_seconds, rules.section),
                    OpenWindows(rules.history_windows, rules.max_sensors),
                )
            return self._partitions[partition]

    def _process(self, partition: Partition, state: _Partition, events: Sequence[RawEvent]) -> ServingCounts:
        fresh, known, checkpoint = new_events(events, state.checkpoint)
        duplicate = state.readings.count(known) if known else 0
        if not fresh:
            return ServingCounts(duplicate, duplicate=duplicate)
        arrivals, invalid = state.readings.decode(fresh)
        received = len(arrivals.end) + duplicate + invalid
        if not len(arrivals.end):
            state.checkpoint = checkpoint
            return ServingCounts(received, duplicate=duplicate, invalid=invalid)
        if len(unknown := state.windows.unknown(arrivals.sensor_id)):
            self._restore(partition, state, unknown, arrivals)
        touched = state.windows.touch(arrivals)
        scored, arrived = self._score(state, touched)
        state.checkpoint = checkpoint
        answered = scored.scored if scored else np.empty(0, np.bool_)
        asked = scored.late.any(axis=0) if scored else np.empty(0, np.bool_)
        in_score = int(arrived[answered].sum())
        not_in_time = int(arrived[~answered & asked].sum())
        return ServingCounts(
            received,
            scored=in_score,
            not_in_time=not_in_time,
            without_model=int(arrived.sum()) - in_score - not_in_time,
            late=touched.late,
            duplicate=duplicate,
            invalid=invalid,
        )

    def _score(self, state: _Partition, touched: Touched) -> tuple[ScoredWindows | None, npt.NDArray[np.int64]]:
        """Score the touched windows, store the findings and commit the windows.

        Return the scores, and the number of new readings of each window.
        """
        if not touched.rounds:
            return None, np.empty(0, np.int64)
        now = self._clock()
        rule = state.readings.rules(touched.sensor_id)
        self._models.request(self._shards(touched.sensor_id, rule), _FIRST_LOAD_SECONDS)
        batch = WindowBatch.of(touched.rounds, touched.sensor_id, rule)
        scored = self._scorer(batch, self._models.current, now)
        findings = find_anomalies(
            touched,
            batch,
            scored,
            rules=self._serving_rules,
            open_anomalies=state.windows.anomalies,
            restored=state.restored,
            policy=self.policy,
            tolerances=self._store.tolerances,
            key=state.readings.key,
            now=now,
        )
        unsettled = {} if findings.empty else self._publish(findings, state.readings.key)
        state.windows.commit(touched, findings.scored, findings.reported, unsettled)
        state.restored.clear()
        return scored, np.concatenate([each.arrived for each in touched.rounds])

    def _publish(self, findings: Findings, key: Callable[[int], SensorKey]) -> dict[int, bool]:
        """Store the findings; return for each sensor with a changed alert state whether that is unsettled."""
        states: list[AlertState] = []
        profiles = self._store.reporting_profiles(findings.closed.keys())

        def decide(known: Mapping[int, AlertState]) -> AlertChanges:
            keys = {sensor_id: key(sensor_id) for sensor_id in findings.closed}
            changes = advance_by_policy(known, findings.closed, keys, self.policy, profiles)
            states[:] = changes.states
            return changes

        outcome = self._store.publish_served(
            findings.windows, findings.anomalies, findings.withdrawn, list(findings.closed), decide
        )
        if outcome.alerts_opened or outcome.alerts_cleared:
            self.alerts_changed.set()
        return {
            state.sensor_id: state.alert is not None or any(score is not None for score in state.recent_scores)
            for state in states
        }

    def _shards(self, sensor_ids: npt.NDArray[np.int64], rule: npt.NDArray[np.int64]) -> set[Shard]:
        """Return the shards of models that score these sensors."""
        shard = sensor_ids // self._rules.shard_size
        return {
            (name, number)
            for at in distinct(rule)
            for name in self._serving_rules[at].models
            for number in distinct(shard[rule == at])
        }

    def _restore(
        self, partition: Partition, state: _Partition, sensor_ids: npt.NDArray[np.int64], arrivals: Arrivals
    ) -> None:
        """Restore sensors from the store, up to their first windows in the batch.

        The window before that was open when the previous process stopped, so it may be missing in the alert state.
        """
        order = np.lexsort((arrivals.end, arrivals.sensor_id))
        ids, first = np.unique(arrivals.sensor_id[order], return_index=True)
        ends = dict(zip(ids.tolist(), arrivals.end[order][first].tolist(), strict=True))
        first_end = {sensor_id: ends[sensor_id] for sensor_id in sensor_ids.tolist()}
        earliest, latest = min(first_end.values()), max(first_end.values())
        earliest -= self._rules.history_windows * self._rules.window_seconds
        stored, number = self._stored_windows(partition, sensor_ids, earliest, latest)
        unsettled = self._store.unsettled_sensors(list(first_end))
        reported: dict[int, Anomaly] = {}
        found: dict[int, dict[int, ScoredWindow]] = {}
        for sensor_id in unsettled:
            ends_of_sensor = stored.end[stored.sensor_id == sensor_id]
            for end in ends_of_sensor[ends_of_sensor < first_end[sensor_id]][-1:].tolist():
                found[sensor_id] = {end: ScoredWindow(end, 0.0, SCORE_SEVERITIES[0], anomalous=False)}
        for anomaly in self._store.served_anomalies(list(first_end), earliest, latest):
            if anomaly.end == first_end[anomaly.sensor_id]:
                reported[anomaly.sensor_id] = anomaly
            elif anomaly.end < first_end[anomaly.sensor_id]:
                found.setdefault(anomaly.sensor_id, {})[anomaly.end] = scored_window(anomaly)
        state.restored |= {sensor_id: [by_end[end] for end in sorted(by_end)] for sensor_id, by_end in found.items()}
        state.windows.load(first_end, stored, number, reported, unsettled)

    def _stored_windows(
        self, partition: Partition, sensor_ids: npt.NDArray[np.int64], earliest: int, latest: int
    ) -> tuple[WindowColumns, int]:
        """Return stored windows of sensors with ``earliest <= end <= latest``, ordered by (sensor_id, end).

        Return also the sequence number up to which they contain the partition's events, inclusive; -1 without any.
        """
        rules = self._rules
        ingested = Partition(partition.hub, rules.ingest_group, partition.partition_id)
        checkpoint = self._store.offset_checkpoint(ingested)
        for _ in range(_READ_ATTEMPTS):
            parts = [
                self._store.read_windows(shard, _time(earliest - 1), _time(latest))
                for shard in np.unique(sensor_ids // rules.shard_size).tolist()
            ]
            before, checkpoint = checkpoint, self._store.offset_checkpoint(ingested)
            if before == checkpoint:
                break
        else:
            _log.info(
                "partition %s: ingestion commits too fast; means of open windows may be inexact",
                partition,
            )
        columns = (np.concatenate([getattr(part, name) for part in parts]) for name in WindowColumns.__slots__)
        return WindowColumns(*columns), checkpoint.sequence_number if checkpoint else -1


def _time(end: int) -> datetime:
    return datetime.fromtimestamp(end, UTC)
