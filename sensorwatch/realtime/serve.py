"""The serve step: a batch of events is scored as it arrives, and its anomalies are stored.

What is scored is a reading's window: the mean of its readings so far, by the models that batch scoring uses, which are
trained on such means. With its last reading a window gets the score that batch scoring gives it, so what both find is
one anomaly, by sensor and window; until then it is provisional, and withdrawn if more readings make it normal. Alert
states take in closed windows only, so that each counts once.

A batch of a partition is taken in as a whole or not at all: only when what follows from it is stored does the state in
memory move on. After a restart, or when a partition comes from another process, the state of a sensor is read back from
the stored windows: ingestion's checkpoint says which of the partition's events are in them.
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
from sensorwatch.detectors.calibration import SEVERITIES
from sensorwatch.ingestion.decode import ReadingRules
from sensorwatch.ingestion.ingest import IngestRules
from sensorwatch.ingestion.ports import IngestStore
from sensorwatch.ingestion.records import OffsetCheckpoint, Partition
from sensorwatch.realtime.calls import ModelThreads
from sensorwatch.realtime.findings import alarm, find
from sensorwatch.realtime.open_windows import OpenWindows
from sensorwatch.realtime.ports import ServingStore
from sensorwatch.realtime.readings import SensorReadings, new_events
from sensorwatch.realtime.records import ServingCounts
from sensorwatch.realtime.scoring import Scorer, WindowBatch, distinct
from sensorwatch.realtime.statistics import ServingStatistics
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
    from sensorwatch.realtime.models_in_use import ModelsInUse, Shard
    from sensorwatch.realtime.open_windows import Arrivals, Touched
    from sensorwatch.realtime.scoring import ScoredWindows
    from sensorwatch.sensors.records import SensorKey
    from sensorwatch.settings import Settings

__all__ = ["Serve", "ServeRules", "ServeStore"]

_log = logging.getLogger(__name__)

_FIRST_LOAD_SECONDS = 5.0
"""How long a batch waits for models that were never looked for: after a start, that is how its readings get scores."""

_MARK_TRIES = 5


class ServeStore(IngestStore, WindowStore, ServingStore, Protocol):
    """What the step needs of the store."""

    def tolerances(self, sensor_ids: Collection[int]) -> dict[int, list[Tolerance]]:
        """As :meth:`sensorwatch.alerts.ports.LifecycleStore.tolerances`."""
        ...


@dataclass(frozen=True, slots=True)
class ServeRules:
    """The settings of the step.

    Attributes
    ----------
    section
        Which sensors are scored by which models.
    ingest_group
        Consumer group of ingestion, whose checkpoints say what is in the stored windows.
    shard_size, window_seconds, readings
        As for ingestion.
    deadline_seconds
        How long a batch waits for its models, where no rule says otherwise.
    history_windows, max_sensors
        Closed windows kept of each sensor, and sensors kept of each partition.
    threads
        Threads that models answer on.
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
        """Return the rules that the settings ask for."""
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
    """What is remembered of one partition; taken in by one thread at a time."""

    readings: SensorReadings
    windows: OpenWindows
    checkpoint: OffsetCheckpoint | None = None
    unfed: dict[int, list[ScoredWindow]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Serve:
    """The step with what it remembers between batches; safe to call from several threads.

    Parameters
    ----------
    store
        Where windows come from and findings go.
    models
        The models in use; who keeps them fresh is another matter.
    policy
        What alerts.
    rules
        The settings.
    clock
        The current time.
    """

    def __init__(
        self, store: ServeStore, models: ModelsInUse, policy: AlertPolicy, rules: ServeRules, clock: Clock
    ) -> None:
        self.statistics = ServingStatistics()
        self.alerts_changed = threading.Event()
        self._store = store
        self._models = models
        self._policy = policy
        self._rules = rules
        self._clock = clock
        self._serving_rules = (*rules.section.rules, ServingRule())
        threads: ModelThreads[npt.NDArray[np.float64]] = ModelThreads(rules.threads, self.statistics.late)
        self._scorer = Scorer(self._serving_rules, rules.deadline_seconds, threads, self.statistics)
        self._partitions: dict[Partition, _Partition] = {}
        self._lock = threading.Lock()

    def __call__(self, partition: Partition, events: Sequence[RawEvent]) -> ServingCounts:
        """Score a batch of one partition's events, in the hub's order.

        Returns
        -------
        ServingCounts
            What became of its readings.

        Raises
        ------
        TransientError
            The store is away; nothing was taken in, and the batch may be delivered again.
        """
        if not events:
            return ServingCounts()
        of = self._partition(partition)
        with of.lock:
            counts = self._take_in(partition, of, events)
        self.statistics.count(partition, counts)
        return counts

    def _partition(self, partition: Partition) -> _Partition:
        rules = self._rules
        with self._lock:
            if partition not in self._partitions:
                self._partitions[partition] = _Partition(
                    SensorReadings(self._store, rules.readings, rules.window_seconds, rules.section),
                    OpenWindows(rules.history_windows, rules.max_sensors),
                )
            return self._partitions[partition]

    def _take_in(self, partition: Partition, of: _Partition, events: Sequence[RawEvent]) -> ServingCounts:
        fresh, known, checkpoint = new_events(events, of.checkpoint)
        duplicate = of.readings.count(known) if known else 0
        if not fresh:
            return ServingCounts(duplicate, duplicate=duplicate)
        arrivals, invalid = of.readings.decode(fresh)
        received = len(arrivals.end) + duplicate + invalid
        if not len(arrivals.end):
            of.checkpoint = checkpoint
            return ServingCounts(received, duplicate=duplicate, invalid=invalid)
        if len(unknown := of.windows.unknown(arrivals.sensor_id)):
            self._load(partition, of, unknown, arrivals)
        touched = of.windows.take_in(arrivals)
        scored, arrived = self._score(of, touched)
        of.checkpoint = checkpoint
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

    def _score(self, of: _Partition, touched: Touched) -> tuple[ScoredWindows | None, npt.NDArray[np.int64]]:
        """Score the windows, store what follows and settle them; return the scores, and each one's new readings."""
        if not touched.rounds:
            return None, np.empty(0, np.int64)
        now = self._clock()
        rule = of.readings.rules(touched.sensor_id)
        self._models.want(self._shards(touched.sensor_id, rule), _FIRST_LOAD_SECONDS)
        batch = WindowBatch.of(touched.rounds, touched.sensor_id, rule)
        scored = self._scorer(batch, self._models.current, now)
        findings = find(
            touched,
            batch,
            scored,
            rules=self._serving_rules,
            open_anomalies=of.windows.anomalies,
            unfed=of.unfed,
            policy=self._policy,
            tolerances=self._store.tolerances,
            key=of.readings.key,
            now=now,
        )
        watched = {} if findings.empty else self._publish(findings, of.readings.key)
        of.windows.settle(touched, findings.scored, findings.reported, watched)
        of.unfed.clear()
        return scored, np.concatenate([each.arrived for each in touched.rounds])

    def _publish(self, findings: Findings, key: Callable[[int], SensorKey]) -> dict[int, bool]:
        """Store what follows from a batch; return which sensors' alert states are to be watched from now on."""
        states: list[AlertState] = []
        profiles = self._store.reporting_profiles(findings.closed.keys())

        def decide(known: Mapping[int, AlertState]) -> AlertChanges:
            keys = {sensor_id: key(sensor_id) for sensor_id in findings.closed}
            changes = advance_by_policy(known, findings.closed, keys, self._policy, profiles)
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
        """Return the shards of models that these sensors' rules ask for."""
        shard = sensor_ids // self._rules.shard_size
        return {
            (name, number)
            for at in distinct(rule)
            for name in self._serving_rules[at].models
            for number in distinct(shard[rule == at])
        }

    def _load(
        self, partition: Partition, of: _Partition, sensor_ids: npt.NDArray[np.int64], arrivals: Arrivals
    ) -> None:
        """Read back what is stored of sensors, as of the first windows that they are wanted from.

        The window before that was open when the former process left off, so alert states may lack it.
        """
        order = np.lexsort((arrivals.end, arrivals.sensor_id))
        ids, first = np.unique(arrivals.sensor_id[order], return_index=True)
        ends = dict(zip(ids.tolist(), arrivals.end[order][first].tolist(), strict=True))
        first_end = {sensor_id: ends[sensor_id] for sensor_id in sensor_ids.tolist()}
        earliest, latest = min(first_end.values()), max(first_end.values())
        earliest -= self._rules.history_windows * self._rules.window_seconds
        stored, number = self._stored_windows(partition, sensor_ids, earliest, latest)
        watched = self._store.unsettled_sensors(list(first_end))
        reported: dict[int, Anomaly] = {}
        found: dict[int, dict[int, ScoredWindow]] = {}
        for sensor_id in watched:
            own = stored.end[stored.sensor_id == sensor_id]
            for end in own[own < first_end[sensor_id]][-1:].tolist():
                found[sensor_id] = {end: ScoredWindow(end, 0.0, SEVERITIES[0], anomalous=False)}
        for anomaly in self._store.served_anomalies(list(first_end), earliest, latest):
            if anomaly.end == first_end[anomaly.sensor_id]:
                reported[anomaly.sensor_id] = anomaly
            elif anomaly.end < first_end[anomaly.sensor_id]:
                found.setdefault(anomaly.sensor_id, {})[anomaly.end] = alarm(anomaly)
        of.unfed |= {sensor_id: [by_end[end] for end in sorted(by_end)] for sensor_id, by_end in found.items()}
        of.windows.load(first_end, stored, number, reported, watched)

    def _stored_windows(
        self, partition: Partition, sensor_ids: npt.NDArray[np.int64], earliest: int, latest: int
    ) -> tuple[WindowColumns, int]:
        """Return windows of sensors, and the sequence number up to which the partition's events are in them."""
        rules = self._rules
        ingested = Partition(partition.hub, rules.ingest_group, partition.partition_id)
        checkpoint = self._store.offset_checkpoint(ingested)
        for _ in range(_MARK_TRIES):
            parts = [
                self._store.read_windows(shard, _time(earliest - 1), _time(latest))
                for shard in np.unique(sensor_ids // rules.shard_size).tolist()
            ]
            before, checkpoint = checkpoint, self._store.offset_checkpoint(ingested)
            if before == checkpoint:
                break
        else:
            _log.info("partition %s: ingestion moves on too fast; some means are off for a window", partition)
        columns = (np.concatenate([getattr(part, name) for part in parts]) for name in WindowColumns.__slots__)
        return WindowColumns(*columns), checkpoint.sequence_number if checkpoint else -1


def _time(end: int) -> datetime:
    return datetime.fromtimestamp(end, UTC)
