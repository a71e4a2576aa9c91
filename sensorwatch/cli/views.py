"""Commands ``sensorwatch anomalies`` and ``ingest-status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.alerts.explanation_text import explanation_text
from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text

if TYPE_CHECKING:
    from sensorwatch.sensors.records import SensorKey

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (anomalies, ingest_status):
        app.command()(command)


def _show(title: str, rows: list[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(title, rows, empty=empty)


def anomalies(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of windows, newest first.")] = 50,
    suppressed: Annotated[
        bool,
        typer.Option("--suppressed", help="Show suppressed windows instead, with the reason why they raise no alert."),
    ] = False,
    why: Annotated[bool, typer.Option("--why", help="Include explanations.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the newest anomalous windows."""
    product = context.ensure_object(CommandContext).product
    found = product.store.anomalies(limit=limit, suppressed=suppressed)
    names = _names(context, {anomaly.sensor_id for anomaly in found})
    rows = [
        {
            "window_end": utc_text(anomaly.end),
            **names[anomaly.sensor_id]._asdict(),
            "value": anomaly.value,
            "expected_value": anomaly.expected_value,
            "expected_low": anomaly.expected_low,
            "expected_high": anomaly.expected_high,
            "score": anomaly.score,
            "severity": anomaly.severity,
            "model_version": anomaly.model_version,
            "training_start": None if anomaly.training_start is None else utc_text(anomaly.training_start),
            "training_end": None if anomaly.training_end is None else utc_text(anomaly.training_end),
            **({"suppressed": anomaly.suppressed} if suppressed else {}),
            **({"explanation": explanation_text(anomaly) or None} if why or as_json else {}),
        }
        for anomaly in found
    ]
    _show("Anomalies", rows, as_json=as_json, empty="No suppressed anomalies." if suppressed else "No anomalies.")


def ingest_status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the number of readings of each partition by outcome."""
    product = context.ensure_object(CommandContext).product
    rows = [
        {
            **status.partition._asdict(),
            "sequence_number": status.checkpoint.sequence_number,
            "enqueued_time": status.checkpoint.enqueued_time,
            **status.counts._asdict(),
        }
        for status in product.store.ingest_status()
    ]
    _show("Ingestion (readings)", rows, as_json=as_json, empty="Nothing was received yet.")


def _names(context: typer.Context, sensor_ids: set[int]) -> dict[int, SensorKey]:
    found = context.ensure_object(CommandContext).product.store.sensors_by_id(sensor_ids)
    return {sensor_id: status.key for sensor_id, status in found.items()}
