"""Command ``sensorwatch backtest``: detection on a past time range."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table
from sensorwatch.cli.times import parse_moment
from sensorwatch.errors import InvalidInputError, SensorwatchError

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorwatch.app import Product
    from sensorwatch.backtest.backtest import SensorBacktest
    from sensorwatch.backtest.in_memory import InMemoryAlerts, InMemoryModels, InMemoryPredictions
    from sensorwatch.backtest.live_comparison import LiveComparison
    from sensorwatch.models.read_only_store import ReadOnlyStore
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["BoundSteps", "register"]


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(backtest)


class BoundSteps:
    """Training, scoring and publishing with the settings (:class:`sensorwatch.backtest.backtest.Steps`).

    Parameters
    ----------
    product
        Adapters and use cases.
    detector
        Detector of all sensors; None for the configured ones.
    training_seconds
        Length of the training data in seconds, which alone is then used; None for the settings'.
    """

    def __init__(self, product: Product, *, detector: str | None = None, training_seconds: int | None = None) -> None:
        self._product = product
        self._detector = detector
        self._training_seconds = training_seconds

    def train(self, task: TaskSpec, store: ReadOnlyStore, models: InMemoryModels) -> object:
        """Train the models of a shard.

        Parameters
        ----------
        task
            Task with the shard and the end of its training data.
        store
            Windows and sensors as of the past.
        models
            Registry in memory that receives the models.
        """
        return self._product.train(
            task,
            store=store,
            registry=models,
            detector=self._detector,
            training_seconds=self._training_seconds,
        )

    def score(
        self, task: TaskSpec, store: ReadOnlyStore, models: InMemoryModels, predictions: InMemoryPredictions
    ) -> object:
        """Score the windows of a shard.

        Parameters
        ----------
        task
            Task with the shard and the range of its windows.
        store
            Windows and sensors as of the past.
        models
            Registry in memory with the models.
        predictions
            Memory that receives the predictions.
        """
        return self._product.score(task, store=store, registry=models, predictions=predictions)

    def publish(self, name: str, predictions: pa.Table, alerts: InMemoryAlerts) -> object:
        """Publish predictions as anomalies and alerts.

        Parameters
        ----------
        name
            Name of the prediction file.
        predictions
            Rows of the file.
        alerts
            Memory that receives anomalies and alerts.
        """
        from sensorwatch.alerts.publish import publish

        return publish(name, predictions, store=alerts, policy=self._product.alert_policy)


def backtest(
    context: typer.Context,
    start: Annotated[
        datetime,
        typer.Option(
            "--from", parser=parse_moment, metavar="TIME", help="Score windows that end after this time, in UTC."
        ),
    ],
    end: Annotated[
        datetime,
        typer.Option(
            "--to", parser=parse_moment, metavar="TIME", help="Score windows that end at or before this time, in UTC."
        ),
    ],
    train_seconds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Length of the training data before the range, in seconds; default: as the settings say."
        ),
    ] = None,
    detector: Annotated[str | None, typer.Option(help="Detector of all sensors; default: as configured.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="NDJSON file with known anomalies, for precision and recall.", exists=True)
    ] = None,
    against_live: Annotated[
        bool,
        typer.Option(
            "--against-live",
            help="Score with the models that were used live, and compare; exit code 1 if results differ.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train on the windows before a past time range, score the windows in it, and report. Nothing is stored."""
    from sensorwatch.backtest.backtest import backtest as step
    from sensorwatch.backtest.live_comparison import compare_with_live
    from sensorwatch.simulation.ground_truth import read_ground_truth

    product = context.ensure_object(CommandContext).product
    if against_live:
        if train_seconds or detector or labels:
            raise InvalidInputError(
                "--against-live uses the models that were used live; remove --train-seconds, --detector and --labels"
            )
        _show_comparison(
            compare_with_live(
                start,
                end,
                store=product.store,
                runs=product.store,
                registry=product.models,
                predictions=product.prediction_files,
                steps=BoundSteps(product),
            ),
            as_json=as_json,
        )
        return
    report = step(
        start,
        end,
        store=product.store,
        steps=BoundSteps(product, detector=detector, training_seconds=train_seconds),
        window_seconds=product.settings.window_seconds,
        labels=read_ground_truth(labels) if labels else None,
    )
    if as_json:
        print_json({"sensors": [_row(sensor) for sensor in report.sensors], "total": _row(report.total)})
        return
    rows = [_row(sensor) for sensor in (*report.sensors, report.total)]
    if labels is None:
        rows = [
            {k: v for k, v in row.items() if k not in {"injected", "detected", "precision", "recall"}} for row in rows
        ]
    print_table(f"Backtest from {start:%Y-%m-%dT%H:%M:%S}Z to {end:%Y-%m-%dT%H:%M:%S}Z", rows, empty="No sensors.")


def _row(figures: SensorBacktest) -> dict[str, object]:
    return {
        **asdict(figures),
        "device": figures.device or "all",
        "anomalies_per_day": figures.anomalies_per_day,
        "alerts_per_day": figures.alerts_per_day,
        "recall": figures.recall,
    }


def _show_comparison(found: LiveComparison, *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(found), "equal": found.equal})
    else:
        typer.echo(
            f"{found.compared} windows compared: largest difference of scores {found.largest_difference:.3g}, "
            f"{found.labels_differ} different labels, {found.missing} windows could not be scored again"
        )
    if not found.equal:
        raise SensorwatchError("the scores differ from the live scores")
