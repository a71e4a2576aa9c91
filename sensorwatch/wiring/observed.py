"""The steps with what they say of themselves: a span around each, and the metrics of what it did."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from sensorwatch.errors import SensorwatchError
from sensorwatch.telemetry import metrics, note_published, span
from sensorwatch.wiring.machines import MACHINE_KINDS, MachineSteps
from sensorwatch.wiring.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from opentelemetry.trace import Span

    from sensorwatch.ports import ModelRegistry, PredictionWriter
    from sensorwatch.records import IngestCounts, Kind, Partition, PublishOutcome, RawEvent, ServingCounts, TaskSpec
    from sensorwatch.steps.score import ScoreSummary, ScoringStore
    from sensorwatch.steps.submit import Submission
    from sensorwatch.steps.sweep import Sweep
    from sensorwatch.steps.train import TrainingStore, TrainSummary

__all__ = ["ObservedMachines", "Wiring", "observed"]

_log = logging.getLogger(__name__)

_BEFORE_ALL = -(2**53)
_VERSION_TIME = "%Y%m%dT%H%M%SZ"


class Wiring(Steps):
    """The product put together: its steps, observed."""

    def ingest(self, partition: Partition, events: Sequence[RawEvent], senders: Collection[str] = ()) -> IngestCounts:
        """Ingest a batch of one partition's events; ``senders`` are the traceparents that came with them."""
        with span("ingest", kind="consumer", links=senders, attributes=_about(partition, events)) as current:
            counts = super().ingest(partition, events)
            if events:
                metrics.count_readings(counts, (self.clock() - events[0].enqueued_time).total_seconds())
            _note(current, counts)
            return counts

    def serve(self, partition: Partition, events: Sequence[RawEvent], senders: Collection[str] = ()) -> ServingCounts:
        """Score a batch of one partition's events in real time; ``senders`` as in :meth:`ingest`."""
        with span("serve", kind="consumer", links=senders, attributes=_about(partition, events)) as current:
            counts = super().serve(partition, events)
            _note(current, counts)
            return counts

    @cached_property
    def machines(self) -> ObservedMachines:
        """The steps of predictive maintenance."""
        return ObservedMachines(self)

    def submit_due(self, kind: Kind, *, past_due: bool = False) -> Submission:
        """Submit the training or scoring that is due now; ``past_due`` says that its timer comes too late."""
        if past_due:
            metrics.CYCLES_MISSED.record(1, kind=kind)
        return _submitted(kind, super().submit_due)

    def train(
        self,
        task: TaskSpec,
        *,
        store: TrainingStore | None = None,
        registry: ModelRegistry | None = None,
        detector: str | None = None,
        training_seconds: int | None = None,
    ) -> TrainSummary:
        """Train a shard's sensors as the settings say; what is given stands in for theirs."""
        with observed(task) as current:
            summary = super().train(
                task, store=store, registry=registry, detector=detector, training_seconds=training_seconds
            )
            current.set_attributes({"sensorwatch.sensors": summary.trained, "sensorwatch.model": summary.version or ""})
            return summary

    def score(
        self,
        task: TaskSpec,
        *,
        store: ScoringStore | None = None,
        registry: ModelRegistry | None = None,
        predictions: PredictionWriter | None = None,
    ) -> ScoreSummary:
        """Score a shard's windows; what is given stands in for the settings'."""
        with observed(task) as current:
            summary = super().score(task, store=store, registry=registry, predictions=predictions)
            # Models of a backtest are in memory: they have no age.
            if registry is None and summary.version is not None:
                made_at = datetime.strptime(summary.version.partition("-")[0], _VERSION_TIME).replace(tzinfo=UTC)
                metrics.MODEL_AGE.record(max(0.0, (self.clock() - made_at).total_seconds()))
            current.set_attributes(
                {
                    "sensorwatch.model": summary.version or "",
                    "sensorwatch.predictions": summary.predictions,
                    "sensorwatch.anomalies": summary.anomalies,
                    "sensorwatch.file": summary.file or "",
                }
            )
            return summary

    def publish(self, name: str, content: bytes, traceparent: str | None = None) -> PublishOutcome:
        """Publish a prediction file, and send what it gives rise to; ``traceparent`` is that of who wrote it."""
        with span("publish", kind="consumer", parent=traceparent, attributes={"sensorwatch.file": name}) as current:
            outcome = super().publish(name, content)
            note_published(current, outcome)
            return outcome

    def sweep(self) -> Sweep:
        """Bring open runs up to date, look for silent sensors, send waiting notifications; then look at the rest."""
        swept = super().sweep()
        for kind in swept.failed_kinds:
            metrics.CYCLES_MISSED.record(1, kind=kind)
        if self.settings.telemetry_exporter != "none":
            metrics.SINKS_FAILING.record(sum(status.failing for status in self.store.sink_status()))
            metrics.POOL_ERRORS.record(self._pool_errors())
        return swept

    def _pool_errors(self) -> int:
        try:
            return len(self.pool.problems())
        except SensorwatchError as exc:
            _log.warning("the pool can't be looked at: %s", exc)
            return 1


class ObservedMachines(MachineSteps):
    """The steps of predictive maintenance, observed."""

    def submit_due(self, *, past_due: bool = False) -> list[Submission]:
        """Submit the training and the scoring that are due now; ``past_due`` says that their timer comes too late."""
        if past_due:
            for kind in MACHINE_KINDS:
                metrics.CYCLES_MISSED.record(1, kind=kind)
        return super().submit_due()

    def submit(self, kind: Kind) -> Submission:
        """Submit the training, or the scoring, that is due now."""
        return _submitted(kind, super().submit)


def _submitted(kind: Kind, submit: Callable[[Kind], Submission]) -> Submission:
    with span(f"submit {kind}", kind="producer") as current:
        try:
            submission = submit(kind)
        except Exception:
            metrics.CYCLES_MISSED.record(1, kind=kind)
            raise
        current.set_attributes({"sensorwatch.run": submission.run_id or "", "sensorwatch.tasks": submission.tasks})
        return submission


def _about(partition: Partition, events: Sequence[RawEvent]) -> dict[str, str | int]:
    return {
        "messaging.system": "eventhubs",
        "messaging.destination.name": partition.hub,
        "messaging.destination.partition.id": partition.partition_id,
        "messaging.consumer.group.name": partition.consumer_group,
        "messaging.batch.message_count": len(events),
    }


def _note(current: Span, counts: IngestCounts | ServingCounts) -> None:
    if current.is_recording():
        current.set_attributes({f"sensorwatch.readings.{name}": number for name, number in counts._asdict().items()})


@contextmanager
def observed(task: TaskSpec) -> Iterator[Span]:
    """Observe a task that is worked on inside.

    Its windows are ``after < end <= until``, in seconds since 1970-01-01T00:00:00Z.
    """
    attributes: dict[str, str | int] = {
        "sensorwatch.run": task.run_id,
        "sensorwatch.shard": task.shard,
        "sensorwatch.windows.after": _BEFORE_ALL if task.start is None else int(task.start.timestamp()),
        "sensorwatch.windows.until": int(task.end.timestamp()),
    }
    begun = time.monotonic()
    try:
        with span(task.kind, attributes=attributes) as current:
            yield current
    finally:
        metrics.TASK_DURATION.record(time.monotonic() - begun, kind=task.kind)
