"""Use cases of the product: one method each, which opens a span, reads the settings and calls the step."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING

from sensorwatch.alerts.metrics import note_published
from sensorwatch.app.adapters import Adapters
from sensorwatch.app.spans import batch_attributes, note_counts, note_submission, observed, submission_span
from sensorwatch.errors import SensorwatchError
from sensorwatch.ingestion.metrics import count_readings
from sensorwatch.telemetry import metrics, span

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from sensorwatch.alerts.deliver import Outbox
    from sensorwatch.alerts.records import PublishOutcome
    from sensorwatch.app.machines import MachineProduct
    from sensorwatch.ingestion.import_readings import ImportedReadings
    from sensorwatch.ingestion.ingest import Ingest
    from sensorwatch.ingestion.records import DeadLetter, IngestCounts, Partition, RawEvent, Reading
    from sensorwatch.ingestion.replay import LetterState, ReplayOutcome, Selection
    from sensorwatch.models.import_models import ImportedModels
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.scoring.file_windows import FileWindows
    from sensorwatch.models.scoring.score import ScoreSummary, ScoringStore
    from sensorwatch.models.scoring.score_file import DataScoring
    from sensorwatch.models.training.train import TrainingStore, TrainSummary
    from sensorwatch.realtime.records import ServingCounts
    from sensorwatch.realtime.serve import Serve
    from sensorwatch.scheduling.estimates import Estimate
    from sensorwatch.scheduling.submit import DuePlan, Submission
    from sensorwatch.scheduling.sweep import Sweep
    from sensorwatch.sensors.records import SensorKey
    from sensorwatch.tasks.ports import PredictionWriter
    from sensorwatch.tasks.records import Kind, TaskSpec

__all__ = ["Product"]

_log = logging.getLogger(__name__)

_VERSION_TIME = "%Y%m%dT%H%M%SZ"
"""Format of the first part of a model version: its creation time (UTC)."""


@dataclass(frozen=True)
class Product(Adapters):
    """Use cases, bound to the adapters for the settings; each imports its modules when it is called."""

    _making_serve: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @cached_property
    def machines(self) -> MachineProduct:
        """Use cases of predictive maintenance."""
        from sensorwatch.app.machines import MachineProduct

        return MachineProduct(self)

    @cached_property
    def _ingest(self) -> Ingest:
        from sensorwatch.ingestion.ingest import Ingest, IngestRules

        return Ingest(self.store, self.dead_letters, IngestRules.from_settings(self.settings))

    def ingest(self, partition: Partition, events: Sequence[RawEvent], senders: Collection[str] = ()) -> IngestCounts:
        """Ingest a batch of events; return the number of readings by outcome.

        Parameters
        ----------
        partition
            Partition of the events.
        events
            Events in ascending order of sequence number.
        senders
            Trace contexts (``traceparent``) of the events, linked to the span.
        """
        attributes = batch_attributes(partition, events)
        with span("ingest", kind="consumer", links=senders, attributes=attributes) as current:
            counts = self._ingest(partition, events)
            if events:
                count_readings(counts, (self.clock() - events[0].enqueued_time).total_seconds())
            note_counts(current, counts)
            return counts

    @cached_property
    def _serve(self) -> Serve:
        from sensorwatch.config.serving import PRIMARY_MODEL
        from sensorwatch.realtime.background import ServeBackground
        from sensorwatch.realtime.model_loader import ModelLoader
        from sensorwatch.realtime.serve import Serve, ServeRules

        section, poll_seconds = self.configuration.serving, self.settings.serving_poll_seconds
        registries = {name: self.model_registry(name) for name in (PRIMARY_MODEL, *section.models)}
        models = ModelLoader(registries.__getitem__, self.store, self.configuration.estimators, self.clock)
        rules = ServeRules.from_settings(self.settings, section)
        serve = Serve(self.store, models, self.alert_policy, rules, self.clock)
        ServeBackground(serve, models, self.store, self.clock, self.notify, poll_seconds).start()
        return serve

    def serve(self, partition: Partition, events: Sequence[RawEvent], senders: Collection[str] = ()) -> ServingCounts:
        """Score a batch of events in real time; return the number of readings by outcome.

        Parameters
        ----------
        partition
            Partition of the events, in the consumer group of real-time scoring.
        events
            Events in ascending order of sequence number.
        senders
            Trace contexts (``traceparent``) of the events, linked to the span.
        """
        attributes = batch_attributes(partition, events)
        with span("serve", kind="consumer", links=senders, attributes=attributes) as current:
            with self._making_serve:
                serve = self._serve
            serve.policy = self.alert_policy
            counts = serve(partition, events)
            note_counts(current, counts)
            return counts

    def dead_letters_with_state(self, selection: Selection) -> Iterator[tuple[DeadLetter, LetterState]]:
        """Yield the selected dead letters with their states."""
        from sensorwatch.ingestion.replay import select

        return select(selection, store=self.store, dead_letters=self.dead_letters)

    def replay_dead_letters(
        self, selection: Selection, *, accept_late: bool = False, again: bool = False, dry_run: bool = False
    ) -> ReplayOutcome:
        """Ingest the selected dead letters; repeated calls do not ingest a letter again.

        Parameters
        ----------
        selection
            Dead letters to replay.
        accept_late
            Ingest late readings too, instead of rejecting them again.
        again
            Include letters that an earlier replay rejected again.
        dry_run
            Return the outcome without ingesting anything.
        """
        from sensorwatch.ingestion.ingest import IngestRules
        from sensorwatch.ingestion.replay import replay

        return replay(
            selection,
            store=self.store,
            dead_letters=self.dead_letters,
            rules=IngestRules.from_settings(self.settings),
            accept_late=accept_late,
            again=again,
            dry_run=dry_run,
        )

    def import_readings(self, source: str, readings: Iterable[Reading]) -> ImportedReadings:
        """Ingest recorded readings from a named source, oldest first; repeated calls do not ingest a reading again."""
        from sensorwatch.ingestion.import_readings import import_readings
        from sensorwatch.ingestion.ingest import IngestRules

        return import_readings(
            source,
            readings,
            store=self.store,
            dead_letters=self.dead_letters,
            rules=IngestRules.from_settings(self.settings),
        )

    def submit_due(self, kind: Kind, *, past_due: bool = False) -> Submission:
        """Submit training or scoring if it is due; ``past_due`` if the timer fired too late.

        Raises
        ------
        SettingsError
            The configuration is invalid; nothing is submitted.
        """
        from sensorwatch.scheduling.submit import submit_due

        if past_due:
            metrics.CYCLES_MISSED.record(1, kind=kind)
        with submission_span(kind) as current:
            # Read the configuration first, because with an invalid one every task of the run would fail.
            _checked = self.configuration
            submission = submit_due(
                kind,
                store=self.store,
                pool=self.pool,
                clock=self.clock,
                settle_seconds=self.settings.settle_seconds,
                run_window_seconds=self.settings.run_window_seconds,
                max_tasks=self.settings.max_tasks_per_run,
            )
            note_submission(current, submission)
            return submission

    def plan(self, kind: Kind) -> tuple[DuePlan, Estimate]:
        """Return the run of this kind that is due now and an estimate of its duration and cost; submit nothing."""
        from sensorwatch.scheduling.estimates import Fleet, estimate
        from sensorwatch.scheduling.submit import plan_due

        settings = self.settings
        plan = plan_due(
            kind,
            store=self.store,
            clock=self.clock,
            settle_seconds=settings.settle_seconds,
            run_window_seconds=settings.run_window_seconds,
            max_tasks=settings.max_tasks_per_run,
        )
        fleet = Fleet(
            window_seconds=settings.window_seconds,
            training_seconds=settings.training_seconds,
            training_windows=settings.training_windows,
            max_nodes=settings.max_nodes,
            slots_per_node=settings.task_slots_per_node,
            price_per_hour=settings.node_price_per_hour,
            currency=settings.node_price_currency,
        )
        tasks = plan.run.tasks if plan.run else ()
        return plan, estimate(kind, tasks, self.store.shard_activity(), self.store.task_history(kind), fleet)

    def data_file(self, place: str, content: bytes) -> FileWindows:
        """Return the windows in a data file of the sensors in the catalogue; the suffix of ``place`` is its format."""
        from sensorwatch.models.scoring.file_windows import parse_data

        return parse_data(place, content, self.store.sensors(), self.settings.window_seconds)

    def import_models(self, paths: Sequence[Path], key: SensorKey | None = None) -> ImportedModels:
        """Import models that were trained elsewhere.

        Parameters
        ----------
        paths
            Files named ``model_{device}_{tag}.skops`` or ``.onnx``.
        key
            Sensor of the model, if there is only one file; its name is then ignored.

        Raises
        ------
        InvalidInputError
            A file is not a valid model; nothing is imported.
        """
        from sensorwatch.models.import_models import ModelFile, import_models, sensor_of

        known = {sensor.key for sensor in self.store.sensors()}
        files = [ModelFile(key or sensor_of(path.name, known), path.name, path.read_bytes()) for path in paths]
        return import_models(
            files,
            store=self.store,
            registry=self.models,
            policy=self.configuration.estimators,
            training_seconds=self.settings.training_seconds,
            now=self.clock(),
        )

    def score_data(self, place: str, *, run_id: str | None = None, shard: int | None = None) -> DataScoring:
        """Score the windows in a data file instead of those in the database.

        Parameters
        ----------
        place
            Path of a file, or ``CONTAINER/NAME`` of a blob.
        run_id
            Run of the prediction files; None for an id derived from the content of the file.
        shard
            Only shard to score; None for all.

        Raises
        ------
        NotFoundError
            The file does not exist.
        InvalidInputError
            The file contains nothing to score.
        """
        from sensorwatch.models.scoring.file_windows import read_data
        from sensorwatch.models.scoring.score_file import data_run_id, score_data

        content = read_data(place, lambda: self.blobs)
        return score_data(
            self.data_file(place, content),
            run_id or data_run_id(content),
            shard,
            registry=self.models,
            predictions=self.prediction_files,
            policy=self.configuration.estimators,
        )

    def train(
        self,
        task: TaskSpec,
        *,
        store: TrainingStore | None = None,
        registry: ModelRegistry | None = None,
        detector: str | None = None,
        training_seconds: int | None = None,
    ) -> TrainSummary:
        """Train the sensors of a shard.

        Parameters
        ----------
        task
            Shard and range of windows.
        store, registry
            Source of windows and destination of models; by default those of the settings.
        detector
            Detector of all sensors, instead of the configured ones.
        training_seconds
            Length of the training range, which alone is then used; by default, the settings decide on range and older
            windows.
        """
        from sensorwatch.config.file import Configuration
        from sensorwatch.models.training.challengers import train_challengers
        from sensorwatch.models.training.detector_choice import TrainingWindows
        from sensorwatch.models.training.older_windows import OlderWindows
        from sensorwatch.models.training.promotion import PromotionRules
        from sensorwatch.models.training.train import train
        from sensorwatch.models.training.warm_start import EnsembleRules

        settings = self.settings
        least = settings.minimum_training_windows
        older = OlderWindows(max(settings.training_windows, least), settings.training_days, settings.window_seconds)
        step = partial(
            train,
            older=None if training_seconds else older,
            training_seconds=training_seconds or settings.training_seconds,
            now=self.clock(),
            promotion=PromotionRules(settings.promotion_holdout_share, settings.promotion_max_flagged_share),
            downtime=self.downtime,
            ensembles=EnsembleRules(
                settings.auto_weights_days, settings.auto_weights_sensors, settings.new_normal_seconds
            ),
        )
        with observed(task) as current:
            summary = step(
                task,
                store=store or self.store,
                registry=registry or self.models,
                detector_name=detector or settings.detector,
                needed=TrainingWindows(least, settings.warming_windows, settings.warming_detector),
                configuration=Configuration() if detector else self.configuration,
            )
            if not (detector or registry) and self.configuration.serving.models:
                challengers = train_challengers(
                    task,
                    store=self.store,
                    registry=self.model_registry,
                    configuration=self.configuration,
                    train=partial(step, needed=TrainingWindows(least)),
                )
                summary = replace(summary, challengers=challengers)
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
        """Score the windows of a shard.

        Detector checkpoints are kept only if no argument but ``task`` is given.

        Parameters
        ----------
        task
            Shard and range of windows.
        store, registry, predictions
            Source of windows, source of models and destination of predictions; by default those of the settings.
        """
        from sensorwatch.models.scoring.score import score

        with observed(task) as current:
            summary = score(
                task,
                store=store or self.store,
                registry=registry or self.models,
                predictions=predictions or self.prediction_files,
                # A trial must not change stored checkpoints.
                checkpoints=self.checkpoints if (store, registry, predictions) == (None, None, None) else None,
                policy=self.configuration.estimators,
            )
            # A given registry belongs to a backtest, whose models have no meaningful age.
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
        """Publish a prediction file, and send the resulting notifications.

        Parameters
        ----------
        name
            Name of the file in the container of predictions.
        content
            Content of the file.
        traceparent
            Trace context of the task that wrote the file.
        """
        from sensorwatch.alerts.publish import publish

        with span("publish", kind="consumer", parent=traceparent, attributes={"sensorwatch.file": name}) as current:
            predictions = self.prediction_files.parse(name, content)
            outcome = publish(name, predictions, store=self.store, policy=self.alert_policy)
            self.notify()
            note_published(current, outcome)
            return outcome

    def sweep(self) -> Sweep:
        """Update open runs, check for sensors without data, send waiting notifications and record health metrics."""
        from sensorwatch.alerts.ingestion_stopped import watch_ingestion
        from sensorwatch.alerts.no_data import watch_no_data
        from sensorwatch.scheduling.sweep import sweep_runs

        swept = sweep_runs(
            store=self.store,
            pool=self.pool,
            prediction_files=self.prediction_files,
            policy=self.alert_policy,
            clock=self.clock,
        )
        store, policy, now = self.store, self.alert_policy, self.clock()
        ingestion = watch_ingestion(store=store, policy=policy, now=now)
        no_data = watch_no_data(store=store, policy=policy, now=now, progress=ingestion.progress)
        self.notify()
        for kind in swept.failed_kinds:
            metrics.CYCLES_MISSED.record(1, kind=kind)
        if self.settings.telemetry_exporter != "none":
            metrics.SINKS_FAILING.record(sum(status.failing for status in self.store.sink_status()))
            metrics.POOL_ERRORS.record(self._pool_errors())
        return replace(
            swept,
            no_data_opened=ingestion.opened + no_data.opened,
            no_data_cleared=ingestion.cleared + no_data.cleared,
        )

    def _pool_errors(self) -> int:
        try:
            return len(self.pool.problems())
        except SensorwatchError as exc:
            _log.warning("cannot read the state of the pool: %s", exc)
            return 1

    def missed_cycles(self) -> list[tuple[Kind, datetime]]:
        """Return kind and due time of the timers that should have planned a run but did not."""
        from sensorwatch.scheduling.missed_cycles import missed_cycles

        settings = self.settings
        return missed_cycles(
            {"train": settings.train_schedule, "score": settings.score_schedule},
            store=self.store,
            now=self.clock(),
            settle_seconds=settings.settle_seconds,
            run_window_seconds=settings.run_window_seconds,
        )

    @cached_property
    def _outbox(self) -> Outbox:
        from sensorwatch.alerts.deliver import DeliveryRules, Outbox

        return Outbox(self.store, self.sinks, self.clock, DeliveryRules.from_settings(self.settings))

    def notify(self) -> int:
        """Send waiting notifications to all sinks; return the number of deliveries."""
        self.store.release_held()
        return self._outbox.deliver()

    def delete_old_windows(self) -> int:
        """Delete windows older than the retention period; return their number."""
        from sensorwatch.ingestion.retention import delete_old_windows

        return delete_old_windows(
            store=self.store, clock=self.clock, retention_days=self.settings.window_retention_days
        )

    def delete_old_jobs(self) -> list[str]:
        """Delete jobs that ended before the retention period; return their ids."""
        from sensorwatch.scheduling.sweep import delete_old_jobs

        return delete_old_jobs(pool=self.pool, clock=self.clock, retention_days=self.settings.job_retention_days)
