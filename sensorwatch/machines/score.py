"""Scoring of a shard of machines with the model in use; results replace those of the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.machines.features import HISTORY_SECONDS
from sensorwatch.machines.fleet import COMPONENTS, HALF_DAY_SECONDS, sample_at
from sensorwatch.machines.model_table import model_from_table
from sensorwatch.machines.read_fleet import read_fleet
from sensorwatch.machines.records import MachineRisk
from sensorwatch.machines.train import MACHINES_SHARD

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.machines.features import FeatureCounts, FeatureTable
    from sensorwatch.machines.fleet import Fleet, Ints
    from sensorwatch.machines.model import MachineModel
    from sensorwatch.machines.ports import MachineData, MachineStore
    from sensorwatch.models.ports import ModelRegistry

__all__ = ["MachineScoring", "score_machines"]


@dataclass(frozen=True, slots=True)
class MachineScoring:
    """Result of scoring.

    Attributes
    ----------
    samples
        Number of scored samples.
    warnings
        Number of warnings of components.
    counts
        Numbers of samples that were imputed or left out.
    version
        Version of the model.
    alerts_opened, alerts_cleared
        Number of alerts opened and cleared.
    """

    samples: int
    warnings: int
    counts: FeatureCounts
    version: str
    alerts_opened: int = 0
    alerts_cleared: int = 0

    def __str__(self) -> str:
        """Return the result in one line."""
        silent = f"; {self.counts.silent} without readings" if self.counts.silent else ""
        alerts = f"{self.alerts_opened} alerts opened, {self.alerts_cleared} cleared"
        return f"scored {self.samples} samples with {self.version}: {self.warnings} warnings, {alerts}{silent}"


def score_machines(
    shard: int,
    start: int,
    end: int,
    *,
    shard_machines: int,
    store: MachineStore,
    data: MachineData,
    registry: ModelRegistry,
) -> MachineScoring:
    """Score the samples of a shard of machines.

    Warnings and the newest sample of each machine are explained.

    Parameters
    ----------
    shard
        Number of the shard.
    start
        Only samples after this time (exclusive), in seconds since 1970-01-01T00:00:00Z.
    end
        Only samples up to this time (inclusive), in the same unit.
    shard_machines
        Number of machines in a shard.
    store
        Store of machines and risks.
    data
        Data of machines.
    registry
        Registry of models of machines.

    Raises
    ------
    NotFoundError
        There is no model yet, or there are no machines.
    InvalidInputError
        There is no sample in this range.
    """
    first, last = sample_at(start) + 1, sample_at(end)
    if last < first:
        raise InvalidInputError(
            f"no sample after {start} up to {end}: samples are at 00:00 and 12:00 UTC; give a longer range"
        )
    ref = registry.current(MACHINES_SHARD)
    if ref is None:
        raise NotFoundError("no model of machines yet; train one with `sensorwatch maintenance train`")
    model = model_from_table(registry.load(ref))
    telemetry_after = first * HALF_DAY_SECONDS - HISTORY_SECONDS - HALF_DAY_SECONDS
    fleet, _ = read_fleet([shard], shard_machines, telemetry_after, last * HALF_DAY_SECONDS, store=store, data=data)
    table = model.features(fleet, first, last)
    risks = machine_risks(model, fleet, table, ref.version)
    store.put_risks(risks)
    return MachineScoring(table.counts.rows, sum(risk.warns for risk in risks), table.counts, ref.version)


def machine_risks(model: MachineModel, fleet: Fleet, table: FeatureTable, version: str) -> list[MachineRisk]:
    """Return the risk of every sample and component; warnings and newest samples have reasons.

    Parameters
    ----------
    model
        Model.
    fleet
        Fleet that the features were computed from.
    table
        Features of the samples.
    version
        Version of the model.
    """
    decisions = model.decide(table)
    explained = _worth_explaining(table, np.asarray(decisions.warns.any(axis=1)))
    reasons = dict(zip(explained.tolist(), model.reasons(table, decisions, explained), strict=True))
    ids = fleet.machines.machine_id[table.machine].tolist()
    thresholds = [None] * len(COMPONENTS) if model.thresholds is None else model.thresholds.tolist()
    found = []
    for row, (machine_id, sample) in enumerate(zip(ids, table.sample.tolist(), strict=True)):
        why = reasons.get(row)
        for component, name in enumerate(COMPONENTS):
            found.append(
                MachineRisk(
                    machine_id=machine_id,
                    component=name,
                    end=sample * HALF_DAY_SECONDS,
                    risk=float(decisions.risk[row, component]),
                    threshold=thresholds[component],
                    warns=bool(decisions.warns[row, component]),
                    reasons=tuple(why[component]) if why else (),
                    model_version=version,
                )
            )
    return found


def _worth_explaining(table: FeatureTable, warned: npt.NDArray[np.bool_]) -> Ints:
    newest = np.r_[table.machine[1:] != table.machine[:-1], True][: len(table.machine)]
    return np.flatnonzero(warned | newest)
