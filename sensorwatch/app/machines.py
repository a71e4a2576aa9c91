"""Use cases of predictive maintenance, bound to adapters and settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from sensorwatch.app.spans import note_submission, submission_span
from sensorwatch.telemetry import metrics

if TYPE_CHECKING:
    from pathlib import Path

    from sensorwatch.app.adapters import Adapters
    from sensorwatch.machines.classifiers import Recipe
    from sensorwatch.machines.confirmed import ConfirmedOutcome
    from sensorwatch.machines.data_files import BlobMachineData
    from sensorwatch.machines.features import FeatureSet, FeatureTable
    from sensorwatch.machines.fleet import ConfirmedFault, Fleet
    from sensorwatch.machines.ingest import IngestedDataSet
    from sensorwatch.machines.metrics import Metrics
    from sensorwatch.machines.score import MachineScoring
    from sensorwatch.machines.train import MachineTraining
    from sensorwatch.machines.training import TrainingPlan
    from sensorwatch.models.registry import BlobModelRegistry
    from sensorwatch.scheduling.submit import Submission
    from sensorwatch.tasks.records import Kind

__all__ = ["MACHINE_KINDS", "MachineProduct"]

MACHINE_KINDS: tuple[Kind, ...] = ("machines-train", "machines-score")
"""Kinds of runs for machines."""


@dataclass(frozen=True)
class MachineProduct:
    """Use cases of predictive maintenance; each imports its modules when it is called.

    Times are in UTC; ranges are ``(start, end]``.
    """

    adapters: Adapters

    @cached_property
    def data(self) -> BlobMachineData:
        """Data of machines."""
        from sensorwatch.machines.data_files import BlobMachineData

        settings = self.adapters.settings
        container = self.adapters.blobs.get_container_client(settings.machines_container)
        return BlobMachineData(container, settings.machines_per_shard)

    @cached_property
    def models(self) -> BlobModelRegistry:
        """Registry of models of machines: one shard, beside their data."""
        from sensorwatch.models.registry import BlobModelRegistry

        return BlobModelRegistry(self.adapters.blobs.get_container_client(self.adapters.settings.machines_container))

    def plan(self, recipe: Recipe | None = None) -> TrainingPlan:
        """Return the parameters of training from the settings; ``recipe`` overrides the classifier."""
        from sensorwatch.machines.training import TrainingPlan

        settings = self.adapters.settings
        return TrainingPlan(
            recipe=recipe or settings.maintenance_model,
            horizon_seconds=round(settings.maintenance_horizon_days * 86_400),
            validation_days=settings.maintenance_validation_days,
            test_days=settings.maintenance_test_days,
        )

    def ingest(self, folder: Path) -> list[IngestedDataSet]:
        """Import the data sets in a folder."""
        from sensorwatch.machines.ingest import find_sources, ingest_machines

        return ingest_machines(find_sources(folder), store=self.adapters.store, data=self.data)

    def fleet(self, end: datetime) -> Fleet:
        """Return all stored data of all machines until ``end`` (inclusive)."""
        from sensorwatch.machines.read_fleet import read_fleet

        shard_machines = self.adapters.settings.machines_per_shard
        return read_fleet(
            self.data.shards(), shard_machines, None, _seconds(end), store=self.adapters.store, data=self.data
        )[0]

    def features(self, feature_set: FeatureSet, start: datetime, end: datetime) -> tuple[Fleet, FeatureTable]:
        """Return the fleet with the features of its samples in ``(start, end]``."""
        from sensorwatch.machines.features import make_features
        from sensorwatch.machines.fleet import sample_at

        fleet = self.fleet(end)
        first, last = sample_at(_seconds(start)) + 1, sample_at(_seconds(end))
        return fleet, make_features(fleet, sorted(set(fleet.machines.model)), feature_set, first, last)

    def confirmed(self) -> tuple[ConfirmedFault, ...]:
        """Return the confirmed alerts of machines; none if MAINTENANCE_FEEDBACK_LABELS is off."""
        from sensorwatch.machines.feedback import confirmed_faults

        if not self.adapters.settings.maintenance_feedback_labels:
            return ()
        store = self.adapters.store
        return confirmed_faults(store.labels(), self.adapters.configuration.machines, store.machines())

    def confirmed_outcomes(self, end: datetime | None) -> list[tuple[ConfirmedFault, ConfirmedOutcome | None]]:
        """Return the confirmed alerts with their outcomes in a training up to ``end``.

        The outcome is None for alerts confirmed after ``end``. Without ``end``, the time of the newest reading is used.
        """
        from sensorwatch.machines.confirmed import join_confirmed

        until = self._newest() if end is None else _seconds(end)
        faults = self.confirmed()
        fleet = replace(self.fleet(datetime.fromtimestamp(until, UTC)), confirmed=faults).until(until)
        outcomes = join_confirmed(fleet, self.plan().horizon_seconds).outcomes
        known = dict(zip(fleet.confirmed, outcomes, strict=True))
        return [(fault, known.get(fault)) for fault in faults]

    def train(self, start: datetime | None, end: datetime | None, recipe: Recipe | None = None) -> MachineTraining:
        """Train, measure and publish a model; without ``end``, on data up to the newest reading."""
        from sensorwatch.machines.train import train_machines

        return train_machines(
            self.plan(recipe),
            None if start is None else _seconds(start),
            self._newest() if end is None else _seconds(end),
            confirmed=self.confirmed(),
            shard_machines=self.adapters.settings.machines_per_shard,
            store=self.adapters.store,
            data=self.data,
            registry=self.models,
        )

    def evaluate(self, start: datetime | None, end: datetime | None) -> dict[Recipe, Metrics]:
        """Return the measures of all recipes on the same test part; nothing is published."""
        from sensorwatch.machines.classifiers import RECIPES
        from sensorwatch.machines.training import measure_model

        until = datetime.fromtimestamp(self._newest(), UTC) if end is None else end
        fleet = replace(self.fleet(until), confirmed=self.confirmed())
        since = None if start is None else _seconds(start)
        return {recipe: measure_model(fleet, self.plan(recipe), since, _seconds(until)).metrics for recipe in RECIPES}

    def card(self, version: str | None) -> str:
        """Return the model card of a version as an HTML page; None for the version in use.

        Raises
        ------
        NotFoundError
            The version does not exist, or there is no model yet.
        """
        from sensorwatch.errors import NotFoundError
        from sensorwatch.machines.card import model_card
        from sensorwatch.machines.train import MACHINES_SHARD
        from sensorwatch.models.records import ModelRef

        ref = self.models.current(MACHINES_SHARD) if version is None else ModelRef(MACHINES_SHARD, version)
        if ref is None:
            raise NotFoundError("no model of machines yet; train one with `sensorwatch maintenance train`")
        return model_card(self.models.manifest(ref))

    def score(self, shard: int, start: datetime, end: datetime) -> MachineScoring:
        """Score a shard of machines, and open and clear their alerts."""
        from sensorwatch.machines.fleet import HALF_DAY_SECONDS, sample_at
        from sensorwatch.machines.score import score_machines
        from sensorwatch.machines.watch import watch_machines

        settings = self.adapters.settings
        size = settings.machines_per_shard
        scored = score_machines(
            shard,
            _seconds(start),
            _seconds(end),
            shard_machines=size,
            store=self.adapters.store,
            data=self.data,
            registry=self.models,
        )
        opened, cleared = watch_machines(
            shard * size,
            (shard + 1) * size - 1,
            sample_at(_seconds(end)) * HALF_DAY_SECONDS,
            fewest=settings.maintenance_alert_warnings,
            store=self.adapters.store,
            policy=self.adapters.alert_policy,
        )
        return replace(scored, alerts_opened=opened, alerts_cleared=cleared)

    def score_all(self, start: datetime | None, end: datetime | None) -> list[MachineScoring]:
        """Score all shards one after the other; without ``start``, as many days as a scheduled run."""
        until = datetime.fromtimestamp(self._newest(), UTC) if end is None else end
        since = until - timedelta(days=self.adapters.settings.maintenance_rescore_days) if start is None else start
        return [self.score(shard, since, until) for shard in self.data.shards()]

    def submit_due(self, *, past_due: bool = False) -> list[Submission]:
        """Submit training and scoring that is due; ``past_due`` if the timer fired too late."""
        if past_due:
            for kind in MACHINE_KINDS:
                metrics.CYCLES_MISSED.record(1, kind=kind)
        return [self.submit(kind) for kind in MACHINE_KINDS]

    def submit(self, kind: Kind) -> Submission:
        """Submit training or scoring if it is due.

        Raises
        ------
        SettingsError
            The configuration is invalid; nothing is submitted.
        """
        with submission_span(kind) as current:
            # Read the configuration first, because with an invalid one every task of the run would fail.
            _checked = self.adapters.configuration
            submission = self._submit_training() if kind == "machines-train" else self._submit_scoring()
            note_submission(current, submission)
            return submission

    def _submit_training(self) -> Submission:
        from sensorwatch.machines.runs import submit_machine_training

        adapters = self.adapters
        return submit_machine_training(
            train_days=adapters.settings.maintenance_train_days,
            store=adapters.store,
            pool=adapters.pool,
            data=self.data,
            registry=self.models,
            clock=adapters.clock,
        )

    def _submit_scoring(self) -> Submission:
        from sensorwatch.clock import parse_zone
        from sensorwatch.machines.runs import submit_machine_scoring
        from sensorwatch.settings.local_times import parse_times

        adapters, settings = self.adapters, self.adapters.settings
        return submit_machine_scoring(
            times=parse_times(settings.maintenance_times),
            zone=parse_zone(settings.maintenance_time_zone),
            rescore_days=settings.maintenance_rescore_days,
            store=adapters.store,
            pool=adapters.pool,
            data=self.data,
            registry=self.models,
            clock=adapters.clock,
        )

    def _newest(self) -> int:
        from sensorwatch.errors import NotFoundError

        newest = self.data.newest()
        if newest is None:
            raise NotFoundError("no telemetry yet; import some with `sensorwatch maintenance ingest DIR`")
        return newest


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
