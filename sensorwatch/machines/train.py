"""Training, measurement and publication of the model of a fleet; repeating it changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sensorwatch.machines.fleet import HALF_DAY_SECONDS
from sensorwatch.machines.model_table import model_to_table
from sensorwatch.machines.read_fleet import read_fleet
from sensorwatch.machines.training import summary_of, train_model

if TYPE_CHECKING:
    from sensorwatch.machines.fleet import ConfirmedFault
    from sensorwatch.machines.metrics import Metrics
    from sensorwatch.machines.ports import MachineData, MachineStore
    from sensorwatch.machines.training import TrainingPlan
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.records import ModelRef

__all__ = ["MACHINES_SHARD", "MachineTraining", "train_machines"]

MACHINES_SHARD = 0
"""Shard of the registry; there is only one, because all machines share one model."""


@dataclass(frozen=True, slots=True)
class MachineTraining:
    """Result of training.

    Attributes
    ----------
    ref
        Version of the model that is now in use.
    rows
        Number of training samples.
    metrics
        Measures on later samples.
    confirmed_alerts
        Number of confirmed alerts by outcome.
    """

    ref: ModelRef
    rows: int
    metrics: Metrics
    confirmed_alerts: dict[str, int]

    def __str__(self) -> str:
        """Return the result in one line."""
        pooled = self.metrics.pooled
        found = {outcome: count for outcome, count in self.confirmed_alerts.items() if count}
        alerts = f"; confirmed alerts: {', '.join(f'{n} {outcome}' for outcome, n in found.items())}" if found else ""
        return (
            f"version {self.ref.version}, trained on {self.rows} samples; on later samples "
            f"precision {pooled.precision:.3f}, recall {pooled.recall:.3f}, F1 {pooled.f1:.3f}, "
            f"{self.metrics.warned} of {self.metrics.failures} failures with a warning{alerts}"
        )


def train_machines(
    plan: TrainingPlan,
    start: int | None,
    end: int,
    *,
    confirmed: tuple[ConfirmedFault, ...],
    shard_machines: int,
    store: MachineStore,
    data: MachineData,
    registry: ModelRegistry,
) -> MachineTraining:
    """Train a model on all machines and publish it.

    Parameters
    ----------
    plan
        Parameters of training.
    start
        Only samples after this time (exclusive), in seconds since 1970-01-01T00:00:00Z; None for no limit.
    end
        Only data up to this time (inclusive), in the same unit.
    confirmed
        Confirmed alerts; those confirmed by ``end`` count as failures.
    shard_machines
        Number of machines in a shard.
    store
        Catalogue of machines.
    data
        Data of machines.
    registry
        Registry of models of machines.

    Raises
    ------
    NotFoundError
        There are no machines.
    InvalidInputError
        There is too little data.
    ConflictError
        Another training was published at the same time; repeating the training is safe.
    """
    end -= end % HALF_DAY_SECONDS
    previous = registry.current(MACHINES_SHARD)
    fleet, counts = read_fleet(data.shards(), shard_machines, None, end, store=store, data=data)
    trained = train_model(replace(fleet, confirmed=confirmed), plan, start, end)
    manifest: dict[str, Any] = {
        "window_end": datetime.fromtimestamp(end, UTC).isoformat(),
        **asdict(counts),
        **summary_of(trained),
    }
    ref = registry.publish(MACHINES_SHARD, model_to_table(trained.model), manifest, previous)
    measured = trained.measured
    return MachineTraining(ref, trained.model.rows, measured.metrics, measured.samples.confirmed)
