"""Train the model of a fleet, measure it on later samples, publish it; done twice, the second changes nothing."""

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
"""All machines share one model: the only shard of their registry."""


@dataclass(frozen=True, slots=True)
class MachineTraining:
    """What a training gave: the version that is current now, on how many samples, and its figures.

    ``confirmed_alerts`` counts the confirmed alerts by what became of them.
    """

    ref: ModelRef
    rows: int
    metrics: Metrics
    confirmed_alerts: dict[str, int]

    def __str__(self) -> str:
        """Return it in one line."""
        pooled = self.metrics.pooled
        found = {outcome: count for outcome, count in self.confirmed_alerts.items() if count}
        alerts = f"; confirmed alerts: {', '.join(f'{n} {outcome}' for outcome, n in found.items())}" if found else ""
        return (
            f"version {self.ref.version} of {self.rows} samples; on later ones precision {pooled.precision:.3f}, "
            f"recall {pooled.recall:.3f}, F1 {pooled.f1:.3f}, {self.metrics.warned} of {self.metrics.failures} "
            f"failures warned of{alerts}"
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
    """Train on the samples with ``start < time <= end`` (seconds since 1970; None: no lower bound) and publish.

    Alerts that were confirmed by ``end`` count as failures.

    Raises
    ------
    NotFoundError, InvalidInputError
        There are no data, or too few.
    ConflictError
        Another training was published meanwhile; running again is safe.
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
