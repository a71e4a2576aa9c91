"""Commands ``sensorwatch maintenance``: predictive maintenance, from data sets to the risks of machines."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text
from sensorwatch.cli.times import parse_moment
from sensorwatch.errors import NotFoundError

if TYPE_CHECKING:
    from sensorwatch.app.machines import MachineProduct
    from sensorwatch.machines.confirmed import ConfirmedOutcome
    from sensorwatch.machines.records import MachineRisk
    from sensorwatch.machines.score import MachineScoring
    from sensorwatch.machines.train import MachineTraining

__all__ = ["app"]

app = typer.Typer(
    name="maintenance",
    help="Predictive maintenance: predict which component of which machine will fail soon.",
    no_args_is_help=True,
)

_From: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        parser=parse_moment,
        metavar="TIME",
        help="Only samples after this time, in UTC.",
    ),
]
_To: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        "--to", parser=parse_moment, metavar="TIME", help="Only samples up to this time, in UTC; default: the newest."
    ),
]
_Model: TypeAlias = Annotated[
    Literal["boosted", "forest", "tree"] | None,
    typer.Option("--model", help="Classifier; default: MAINTENANCE_MODEL."),
]

_NO_LABELS = (
    "No confirmed alerts of machines, or MAINTENANCE_FEEDBACK_LABELS is off. To confirm an alert of a sensor whose "
    "device is a machine id, run `sensorwatch alerts feedback ALERT confirmed`."
)
_OUTCOMES: dict[ConfirmedOutcome | None, str] = {
    "joined": "added as a failure",
    "recorded": "the failure is already in the data",
    "repeated": "duplicate of another alert",
    "no component": "not used: machines.components in sensorwatch.yaml has no rule for its sensor",
    "unknown machine": "not used: unknown machine",
    None: "not used: confirmed after the newest sample; give a later --to to include it",
}


def _steps(context: typer.Context) -> MachineProduct:
    return context.ensure_object(CommandContext).product.machines


@app.command()
def generate(
    folder: Annotated[Path, typer.Argument(help="Folder to write the five files to; existing files are replaced.")],
    machines: Annotated[int, typer.Option(min=1, max=100_000, help="Number of machines.")] = 1000,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Length of the telemetry in days.")] = 365,
    start: Annotated[
        datetime,
        typer.Option(
            "--from",
            parser=parse_moment,
            metavar="TIME",
            help="Start of the telemetry, in UTC.",
        ),
    ] = datetime(2015, 1, 1, tzinfo=UTC),
    seed: Annotated[int, typer.Option(min=0, help="Seed; equal seeds give equal files.")] = 0,
    file_format: Annotated[
        Literal["csv", "parquet"], typer.Option("--format", help="Format of the files.")
    ] = "parquet",
) -> None:
    """Write the data sets of a simulated fleet, which docs/concepts/predictive-maintenance.md describes."""
    from sensorwatch.machines.generator import generate_fleet
    from sensorwatch.machines.writing import write_data_sets

    begin = start.replace(minute=0, second=0, microsecond=0)
    fleet = generate_fleet(machines, days, int(begin.timestamp()), seed)
    paths = write_data_sets(fleet, folder, file_format)
    typer.echo(
        f"{len(fleet.telemetry.hour)} readings of {machines} machines, {len(fleet.failures.time)} failures, in "
        + ", ".join(path.name for path in paths)
    )


@app.command()
def ingest(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="Folder with machines, telemetry, errors, maint and failures as .csv or .parquet.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Import the data sets in a folder. Rows that cannot be used are listed and left out."""
    product = context.ensure_object(CommandContext).product
    product.prepare(pool=False)
    done = product.machines.ingest(folder)
    if as_json:
        print_json([asdict(each) for each in done])
        return
    rows = [
        {"data_set": each.data_set, "rows": each.rows, "rejected": each.rejected, "new_files": each.files}
        for each in done
    ]
    print_table("Imported", rows, empty="Nothing to import.")
    for each in done:
        for reason, count in each.reasons.items():
            typer.echo(f"{each.data_set}: {count} rows left out: {reason}")
        if each.rejects_in:
            typer.echo(f"{each.data_set}: these rows are listed in the blob {each.rejects_in}")


@app.command()
def features(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    start: Annotated[
        datetime,
        typer.Option(
            "--from",
            parser=parse_moment,
            metavar="TIME",
            help="Only samples after this time, in UTC.",
        ),
    ],
    end: Annotated[
        datetime,
        typer.Option(
            "--to",
            parser=parse_moment,
            metavar="TIME",
            help="Only samples up to this time, in UTC.",
        ),
    ],
    feature_set: Annotated[Literal["original", "extended"], typer.Option("--set", help="Set of columns.")] = "extended",
) -> None:
    """Export the features of samples for inspection or for other tools."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from sensorwatch.machines.fleet import HALF_DAY_SECONDS

    fleet, table = _steps(context).features(feature_set, start, end)
    columns = {
        "machineID": fleet.machines.machine_id[table.machine],
        "datetime": pa.array(table.sample * HALF_DAY_SECONDS).cast(pa.timestamp("s", tz="UTC")),
    }
    pq.write_table(pa.table(columns | dict(zip(table.names, table.values.T, strict=True))), file, compression="zstd")
    counts = table.counts
    typer.echo(
        f"Wrote {counts.rows} samples with {len(table.names)} columns to {file}; "
        f"{counts.silent} samples without readings, {counts.imputed_windows} windows imputed, "
        f"{counts.never_replaced} components never replaced"
    )


@app.command()
def train(
    context: typer.Context, start: _From = None, end: _To = None, model: _Model = None, as_json: JsonOption = False
) -> None:
    """Train a model, measure it on the newest part of the data, and put it in use."""
    trained = _steps(context).train(start, end, model)
    _print_training(trained, as_json=as_json)


@app.command()
def labels(context: typer.Context, end: _To = None, as_json: JsonOption = False) -> None:
    """List confirmed alerts of machines, and how training uses them."""
    rows = [
        {
            "alert": fault.alert_id,
            "machine": fault.machine_id,
            "component": fault.component,
            "failed": utc_text(fault.time),
            "confirmed": utc_text(fault.known_at),
            "training": _OUTCOMES[outcome],
        }
        for fault, outcome in _steps(context).confirmed_outcomes(end)
    ]
    if as_json:
        print_json(rows)
    else:
        print_table("Confirmed alerts of machines", rows, empty=_NO_LABELS)


@app.command()
def evaluate(context: typer.Context, start: _From = None, end: _To = None, as_json: JsonOption = False) -> None:
    """Train and measure all classifiers on the same samples. Nothing is published."""
    found = _steps(context).evaluate(start, end)
    if as_json:
        print_json({recipe: metrics.as_json() for recipe, metrics in found.items()})
        return
    rows = [
        {
            "model": recipe,
            **asdict(metrics.pooled),
            "pr_auc": sum(metrics.pr_auc.values()) / max(len(metrics.pr_auc), 1),
            "failures_warned": f"{metrics.warned} of {metrics.failures}",
            "median_lead_days": metrics.median_lead_days,
            "false_alarms_per_machine_year": metrics.false_alarms_per_machine_year,
        }
        for recipe, metrics in found.items()
    ]
    print_table("Accuracy on the newest part of the data", rows, empty="No models.")


@app.command()
def score(context: typer.Context, start: _From = None, end: _To = None, as_json: JsonOption = False) -> None:
    """Score all machines, and open alerts for their warnings."""
    _print_scoring(_steps(context).score_all(start, end), as_json=as_json)


@app.command()
def run(context: typer.Context, start: _From = None, end: _To = None, model: _Model = None) -> None:
    """Train a model and score all machines with it, in this process."""
    steps = _steps(context)
    _print_training(steps.train(start, end, model), as_json=False)
    _print_scoring(steps.score_all(None, end), as_json=False)


@app.command()
def submit(context: typer.Context) -> None:
    """Submit the training and scoring that is due to the pool, as the timer does."""
    for submission in _steps(context).submit_due():
        typer.echo(submission)


@app.command()
def machines(
    context: typer.Context,
    machine_id: Annotated[
        int | None, typer.Argument(help="Machine id, to show the risks of one machine over time.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of machines, highest risk first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List machines by risk, or the risks of one machine over time."""
    store = context.ensure_object(CommandContext).product.store
    if machine_id is not None:
        risks = store.risks(machine_id)
        if not risks:
            raise NotFoundError(
                f"no risks of machine {machine_id}; `sensorwatch maintenance machines` lists the scored machines"
            )
        rows = [_risk_row(risk) for risk in risks]
    else:
        about = {machine.machine_id: machine for machine in store.machines()}
        highest: dict[int, MachineRisk] = {}
        for risk in store.newest_risks():
            if risk.machine_id not in highest or risk.risk > highest[risk.machine_id].risk:
                highest[risk.machine_id] = risk
        chosen = sorted(highest.values(), key=lambda risk: (-risk.risk, risk.machine_id))[:limit]
        rows = [
            {
                "machine": risk.machine_id,
                "model": about[risk.machine_id].model,
                "age": about[risk.machine_id].age,
                **_risk_row(risk),
            }
            for risk in chosen
        ]
    if as_json:
        print_json(rows)
    else:
        title = "Machines" if machine_id is None else f"Machine {machine_id}"
        print_table(title, rows, empty="No risks yet; run `sensorwatch maintenance run` to score the machines.")


@app.command()
def card(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="HTML file to write.")] = Path("model-card.html"),
    version: Annotated[str | None, typer.Option(help="Version of the model; default: the one in use.")] = None,
) -> None:
    """Write the model card: purpose, training data and accuracy of a model, with charts."""
    file.write_text(_steps(context).card(version), encoding="utf-8")
    typer.echo(f"{file}")


def _risk_row(risk: MachineRisk) -> dict[str, object]:
    return {
        "time": utc_text(risk.end),
        "component": risk.component,
        "risk": risk.risk,
        "warns": "yes" if risk.warns else "no",
        "because": "; ".join(reason.text for reason in risk.reasons),
    }


def _print_training(trained: MachineTraining, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "version": trained.ref.version,
                "rows": trained.rows,
                "confirmed_alerts": trained.confirmed_alerts,
                "metrics": trained.metrics.as_json(),
            }
        )
    else:
        typer.echo(trained)


def _print_scoring(scored: list[MachineScoring], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(each) for each in scored])
    else:
        for shard, each in enumerate(scored):
            typer.echo(f"shard {shard}: {each}")
