"""Machines of predictive maintenance: the fleet by risk, and the risks, signals and events of one machine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.api.requests import After, Context, Limit, Page, ReadContext, time
from sensorwatch.errors import NotFoundError
from sensorwatch.machines.records import MachineInfo, MachineRisk
from sensorwatch.store.pages.queries import RiskKey

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorwatch.machines.datasets import DataSet

__all__ = ["router"]

router = APIRouter(prefix="/api/machines", tags=["machines"])

_DAY_SECONDS = 86_400
_WARNINGS = 50

MachineId = Annotated[int, Path(ge=0, le=2**31 - 1, description="Machine id.", examples=[17])]
Days = Annotated[int, Query(ge=1, le=3660, description="Length of the range, which ends with the newest sample.")]


class Reason(BaseModel):
    """One reason for a high risk."""

    about: str = Field(description="Signal, error, component or property that it is about.")
    text: str = Field(description="Reason in words.")
    weight: float = Field(description="Increase of the log odds.")


class ComponentRisk(BaseModel):
    """Probability that a component fails within the model's horizon after a sample."""

    component: str = Field(examples=["comp2"])
    ts: datetime = Field(description="Time of the sample.")
    risk: float = Field(description="Probability, 0 to 1.")
    threshold: float | None = Field(
        description="Risk from which it warns; null if the most likely class warns instead."
    )
    warns: bool
    reasons: list[Reason] = Field(description="Highest weight first; stored for warnings and newest samples only.")


class Machine(BaseModel):
    """Machine with the risks of its newest sample."""

    machine_id: int
    model: str = Field(description="Model of the machine.")
    age: float = Field(description="Age in years.")
    sampled_at: datetime | None = Field(description="Time of its newest sample; null before the first scoring.")
    model_version: str | None = Field(description="Model version that computed its newest risks.")
    components: list[ComponentRisk] = Field(description="Highest risk first.")


class MachineHistory(BaseModel):
    """Machine with its risks over time and its newest warnings."""

    machine: Machine
    ts: list[int] = Field(description="Times of samples, seconds since 1970-01-01T00:00:00Z.")
    risks: dict[str, list[float | None]] = Field(description="Risks of each component, one for each of `ts`.")
    warnings: list[ComponentRisk] = Field(description=f"Up to {_WARNINGS} warnings, newest first.")


class MachineEvent(BaseModel):
    """Error, replacement or failure."""

    ts: datetime
    what: str = Field(examples=["error3", "comp1"])


class MachineSignals(BaseModel):
    """Signals of a machine, downsampled for charts, and its events in the same range."""

    readings_in_range: int = Field(description="Number of hourly readings in the range.")
    ts: list[int] = Field(description="Ends of the hours, seconds since 1970-01-01T00:00:00Z.")
    signals: dict[str, list[float]] = Field(
        description="Values of each signal, one for each of `ts`; extremes are kept."
    )
    errors: list[MachineEvent]
    replacements: list[MachineEvent]
    failures: list[MachineEvent]


@router.get("")
def machines(context: ReadContext, limit: Limit = 100, after: After = None) -> Page[Machine]:
    """List scored machines, highest risk of the newest sample first."""
    store = context.product.store
    cursors = Cursors("machines", {})
    place = cursors.read(after, tuple[float, Key])
    found = store.machine_page(limit + 1, None if place is None else RiskKey(*place))
    page = found[:limit]
    machine_ids = [key.machine_id for key in page]
    about = store.machines_by_id(machine_ids)
    risks: dict[int, list[MachineRisk]] = {}
    for risk in store.newest_risks_of(machine_ids):
        risks.setdefault(risk.machine_id, []).append(risk)
    return Page(
        items=[_machine(about[key.machine_id], risks[key.machine_id]) for key in page],
        next=cursors.write(page[-1]) if len(found) > limit else None,
    )


@router.get("/{machine_id}")
def machine(context: ReadContext, machine_id: MachineId, days: Days = 90) -> MachineHistory:
    """Show one machine: its newest risks with reasons, and all risks over time."""
    info = _info(context, machine_id)
    newest = context.product.store.newest_risks_of([machine_id])
    if not newest:
        return MachineHistory(machine=_machine(info, []), ts=[], risks={}, warnings=[])
    end = newest[0].end
    found = context.product.store.risks(machine_id, end - days * _DAY_SECONDS, end)
    ts = sorted({risk.end for risk in found})
    values = {(risk.component, risk.end): risk.risk for risk in found}
    return MachineHistory(
        machine=_machine(info, newest),
        ts=ts,
        risks={name: [values.get((name, at)) for at in ts] for name in sorted({risk.component for risk in found})},
        warnings=[_component(risk) for risk in reversed(found) if risk.warns][:_WARNINGS],
    )


@router.get("/{machine_id}/signals")
def machine_signals(
    context: ReadContext,
    machine_id: MachineId,
    days: Days = 90,
    points: Annotated[int, Query(ge=16, le=20_000, description="Maximum number of readings in the response.")] = 2000,
) -> MachineSignals:
    """Show the signals, errors, replacements and failures of a machine.

    The range ends at the newest risk or, before the first scoring, at the newest reading.
    """
    _info(context, machine_id)
    data = context.product.machines.data
    newest = context.product.store.newest_risks_of([machine_id])
    end = newest[0].end if newest else data.newest()
    if end is None:
        return MachineSignals(readings_in_range=0, ts=[], signals={}, errors=[], replacements=[], failures=[])
    start, shard = end - days * _DAY_SECONDS, machine_id // context.product.settings.machines_per_shard

    def rows_of(data_set: DataSet) -> pa.Table:
        import pyarrow.compute as pc

        rows = data.read(data_set, [shard], start, end)
        return rows.filter(pc.equal(rows["machineID"], machine_id))

    return MachineSignals(
        **_thinned(rows_of("telemetry"), points),
        errors=_events(rows_of("errors"), "errorID"),
        replacements=_events(rows_of("maint"), "comp"),
        failures=_events(rows_of("failures"), "failure"),
    )


def _info(context: Context, machine_id: int) -> MachineInfo:
    found = context.product.store.machines_by_id([machine_id]).get(machine_id)
    if found is None:
        raise NotFoundError(f"no machine {machine_id}; /api/machines lists the scored machines")
    return found


def _machine(info: MachineInfo, newest: Iterable[MachineRisk]) -> Machine:
    ordered = sorted(newest, key=lambda risk: (-risk.risk, risk.component))
    return Machine(
        machine_id=info.machine_id,
        model=info.model,
        age=info.age,
        sampled_at=time(ordered[0].end) if ordered else None,
        model_version=ordered[0].model_version if ordered else None,
        components=[_component(risk) for risk in ordered],
    )


def _component(risk: MachineRisk) -> ComponentRisk:
    return ComponentRisk(
        component=risk.component,
        ts=time(risk.end),
        risk=risk.risk,
        threshold=risk.threshold,
        warns=risk.warns,
        reasons=[Reason(**each._asdict()) for each in sorted(risk.reasons, key=lambda each: -each.weight)],
    )


def _events(rows: pa.Table, column: str) -> list[MachineEvent]:
    pairs = zip(rows["datetime"].to_pylist(), rows[column].to_pylist(), strict=True)
    return [MachineEvent(ts=time(at), what=what) for at, what in sorted(set(pairs))]


def _thinned(rows: pa.Table, points: int) -> dict[str, Any]:
    import numpy as np

    from sensorwatch.api.downsampling import min_max
    from sensorwatch.machines.fleet import SIGNALS

    # An hour may have several readings.
    hours = rows.group_by("datetime").aggregate([(name, "mean") for name in SIGNALS]).sort_by("datetime")
    columns = {name: hours[f"{name}_mean"].to_numpy() for name in SIGNALS}
    keep = np.unique(np.concatenate([min_max(values, points // len(SIGNALS)) for values in columns.values()]))
    return {
        "readings_in_range": hours.num_rows,
        "ts": hours["datetime"].to_numpy()[keep].tolist(),
        "signals": {name: values[keep].tolist() for name, values in columns.items()},
    }
