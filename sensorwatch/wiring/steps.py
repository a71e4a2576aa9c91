"""The steps, bound to the adapters and settings that they run with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from sensorwatch.wiring.adapters import Adapters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from sensorwatch.data_files import DataFile
    from sensorwatch.estimates import Estimate
    from sensorwatch.ports import ModelRegistry, PredictionWriter
    from sensorwatch.records import (
        DeadLetter,
        IngestCounts,
        Kind,
        Partition,
        PublishOutcome,
        RawEvent,
        Reading,
        SensorKey,
        ServingCounts,
        TaskSpec,
    )
    from sensorwatch.steps.import_models import ImportedModels
    from sensorwatch.steps.import_readings import ImportedReadings
    from sensorwatch.steps.ingest import Ingest
    from sensorwatch.steps.notify import Outbox
    from sensorwatch.steps.replay import LetterState, ReplayOutcome, Selection
    from sensorwatch.steps.score import ScoreSummary, ScoringStore
    from sensorwatch.steps.score_data import DataScoring
    from sensorwatch.steps.serve import Serve
    from sensorwatch.steps.submit import DuePlan, Submission
    from sensorwatch.steps.sweep import Sweep
    from sensorwatch.steps.train import TrainingStore, TrainSummary
    from sensorwatch.wiring.machines import MachineSteps

__all__ = ["Steps"]


@dataclass(frozen=True)
class Steps(Adapters):
    """The steps of the product; each loads what it needs when it is called."""

    _making_serve: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @cached_property
    def machines(self) -> MachineSteps:
        """The steps of predictive maintenance."""
        from sensorwatch.wiring.machines import MachineSteps

        return MachineSteps(self)

    @cached_property
    def _ingest(self) -> Ingest:
        from sensorwatch.steps.ingest import Ingest, IngestRules

        return Ingest(self.store, self.dead_letters, IngestRules.from_settings(self.settings))

    def ingest(self, partition: Partition, events: Sequence[RawEvent]) -> IngestCounts:
        """Ingest a batch of one partition's events."""
        return self._ingest(partition, events)

    @cached_property
    def _serve(self) -> Serve:
        from sensorwatch.configuration import OWN_MODEL
        from sensorwatch.steps.serve import Serve, ServeRules
        from sensorwatch.steps.serve_background import ServeBackground
        from sensorwatch.steps.serve_models import ModelsInUse

        section, poll_seconds = self.configuration.serving, self.settings.serving_poll_seconds
        registries = {name: self.model_set(name) for name in (OWN_MODEL, *section.models)}
        models = ModelsInUse(registries.__getitem__, self.store, self.configuration.estimators, self.clock)
        rules = ServeRules.from_settings(self.settings, section)
        serve = Serve(self.store, models, self.alert_policy, rules, self.clock)
        ServeBackground(serve, models, self.store, self.clock, self.notify, poll_seconds).start()
        return serve

    def serve(self, partition: Partition, events: Sequence[RawEvent]) -> ServingCounts:
        """Score a batch of one partition's events in real time."""
        with self._making_serve:
            serve = self._serve
        return serve(partition, events)

    def dead_letters_with_state(self, selection: Selection) -> Iterator[tuple[DeadLetter, LetterState]]:
        """Yield the selected dead letters with what became of them."""
        from sensorwatch.steps.replay import select

        return select(selection, store=self.store, dead_letters=self.dead_letters)

    def replay_dead_letters(
        self, selection: Selection, *, accept_late: bool = False, again: bool = False, dry_run: bool = False
    ) -> ReplayOutcome:
        """Take the selected dead letters in again, each once however often this is called."""
        from sensorwatch.steps.ingest import IngestRules
        from sensorwatch.steps.replay import replay

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
        """Take in what another system has recorded, oldest first; each reading once however often this is called."""
        from sensorwatch.steps.import_readings import import_readings
        from sensorwatch.steps.ingest import IngestRules

        return import_readings(
            source,
            readings,
            store=self.store,
            dead_letters=self.dead_letters,
            rules=IngestRules.from_settings(self.settings),
        )

    def submit_due(self, kind: Kind) -> Submission:
        """Submit the training or scoring that is due now.

        Raises
        ------
        SettingsError
            The configuration has mistakes: nothing is submitted.
        """
        from sensorwatch.configuration import parse_configuration
        from sensorwatch.steps.submit import submit_due

        # Before there is a run whose every task would fail of it.
        parse_configuration(self._configuration_content, self.settings.configuration_file)
        return submit_due(
            kind,
            store=self.store,
            pool=self.pool,
            clock=self.clock,
            settle_seconds=self.settings.settle_seconds,
            run_window_seconds=self.settings.run_window_seconds,
            max_tasks=self.settings.max_tasks_per_run,
        )

    def plan(self, kind: Kind) -> tuple[DuePlan, Estimate]:
        """Return the training or scoring that is due now and what it will take; nothing is submitted."""
        from sensorwatch.estimates import Fleet, estimate
        from sensorwatch.steps.submit import plan_due

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
            max_nodes=settings.max_nodes,
            slots_per_node=settings.task_slots_per_node,
            price_per_hour=settings.node_price_per_hour,
            currency=settings.node_price_currency,
        )
        tasks = plan.run.tasks if plan.run else ()
        return plan, estimate(kind, tasks, self.store.shard_activity(), self.store.task_history(kind), fleet)

    def data_file(self, place: str, content: bytes) -> DataFile:
        """Return the windows in a data file, of the sensors in the catalogue."""
        from sensorwatch.data_files import parse_data

        return parse_data(place, content, self.store.sensors(), self.settings.window_seconds)

    def import_models(self, paths: Sequence[Path], key: SensorKey | None = None) -> ImportedModels:
        """Take in models that were trained elsewhere.

        Parameters
        ----------
        paths
            Files named ``model_{device}_{tag}.skops`` or ``.onnx``.
        key
            Whose model the one file is, whatever its name.

        Raises
        ------
        InvalidInputError
            A file can't be used; nothing is imported.
        """
        from sensorwatch.steps.import_models import ModelFile, import_models, sensor_of

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
        """Score a data file instead of the database's windows.

        Parameters
        ----------
        place
            A path, or ``CONTAINER/NAME`` of a blob.
        run_id
            The run that the prediction files belong to; None: one that follows from the file's content.
        shard
            Score the sensors of this shard only.

        Raises
        ------
        NotFoundError, InvalidInputError
            There is no such file, or it holds nothing to score.
        """
        from sensorwatch.data_files import read_data
        from sensorwatch.steps.score_data import data_run_id, score_data

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
        """Train a shard's sensors as the settings say; what is given stands in for theirs.

        A ``detector`` is every sensor's, whatever the configuration says.
        """
        from sensorwatch.configuration import Configuration
        from sensorwatch.promotion import PromotionRules
        from sensorwatch.steps.chosen_detectors import TrainingWindows
        from sensorwatch.steps.train import train
        from sensorwatch.steps.train_further import train_further
        from sensorwatch.steps.weighing import EnsembleRules

        settings = self.settings
        ensembles = EnsembleRules(
            settings.auto_weights_days, settings.auto_weights_sensors, settings.new_normal_seconds
        )
        summary = train(
            task,
            store=store or self.store,
            registry=registry or self.models,
            detector_name=detector or settings.detector,
            training_seconds=training_seconds or settings.training_seconds,
            needed=TrainingWindows(
                settings.minimum_training_windows, settings.warming_windows, settings.warming_detector
            ),
            now=self.clock(),
            promotion=PromotionRules(settings.promotion_holdout_share, settings.promotion_max_flagged_share),
            configuration=Configuration() if detector else self.configuration,
            maintenance=self.maintenance,
            ensembles=ensembles,
        )
        if detector or registry or not self.configuration.serving.models:
            return summary
        further = train_further(
            task,
            store=self.store,
            registry=self.model_set,
            configuration=self.configuration,
            training_seconds=training_seconds or settings.training_seconds,
            needed=TrainingWindows(settings.minimum_training_windows),
            now=self.clock(),
            promotion=PromotionRules(settings.promotion_holdout_share, settings.promotion_max_flagged_share),
            maintenance=self.maintenance,
            ensembles=ensembles,
        )
        return replace(summary, further=further)

    def score(
        self,
        task: TaskSpec,
        *,
        store: ScoringStore | None = None,
        registry: ModelRegistry | None = None,
        predictions: PredictionWriter | None = None,
    ) -> ScoreSummary:
        """Score a shard's windows; what is given stands in for the settings'."""
        from sensorwatch.steps.score import score

        return score(
            task,
            store=store or self.store,
            registry=registry or self.models,
            predictions=predictions or self.prediction_files,
            # What is scored for trial leaves no trace.
            memories=self.memories if (store, registry, predictions) == (None, None, None) else None,
            policy=self.configuration.estimators,
        )

    def publish(self, name: str, content: bytes) -> PublishOutcome:
        """Publish a prediction file as a blob trigger delivers it, and send what it gives rise to."""
        from sensorwatch.steps.publish import publish

        outcome = publish(
            name,
            self.prediction_files.parse(name, content),
            store=self.store,
            policy=self.alert_policy,
        )
        self.notify()
        return outcome

    def sweep(self) -> Sweep:
        """Bring open runs up to date, look for silent sensors, and send waiting notifications."""
        from sensorwatch.steps.sweep import sweep_runs
        from sensorwatch.steps.watch_silence import watch_silence

        swept = sweep_runs(
            store=self.store,
            pool=self.pool,
            prediction_files=self.prediction_files,
            policy=self.alert_policy,
            clock=self.clock,
        )
        silence = watch_silence(store=self.store, policy=self.alert_policy, now=self.clock())
        self.notify()
        return replace(swept, silent=silence.opened, heard=silence.cleared)

    def missed_cycles(self) -> list[tuple[Kind, datetime]]:
        """Return the timers that were due and planned nothing although there was something to do."""
        from sensorwatch.steps.missed_cycles import missed_cycles

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
        from sensorwatch.steps.notify import DeliveryRules, Outbox

        return Outbox(self.store, self.sinks, self.clock, DeliveryRules.from_settings(self.settings))

    def notify(self) -> int:
        """Send waiting notifications to every sink; return how many deliveries were made."""
        self.store.release_held()
        return self._outbox.deliver()

    def delete_old_windows(self) -> int:
        """Delete windows that are older than the settings ask for; return how many."""
        from sensorwatch.steps.retention import delete_old_windows

        return delete_old_windows(
            store=self.store, clock=self.clock, retention_days=self.settings.window_retention_days
        )

    def delete_old_jobs(self) -> list[str]:
        """Delete jobs that ended long ago; return their ids."""
        from sensorwatch.steps.sweep import delete_old_jobs

        return delete_old_jobs(pool=self.pool, clock=self.clock, retention_days=self.settings.job_retention_days)
