"""Command ``sensorwatch evaluate``: quality of detectors on series with known anomalies."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.cli.context import JsonOption, print_json, print_table
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from sensorwatch.evaluation.comparison import DetectorFigures, SeriesFigures

__all__ = ["register"]

_TAKES_PARAMETERS = "sklearn"
"""Left out by default: without parameters it gives the same model as ``ocsvm_sklearn``."""


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(evaluate)


def evaluate(
    place: Annotated[
        Path,
        typer.Argument(metavar="FILE|DIR", help="CSV with columns TS, Value, Label, or timestamp, value as in NAB."),
    ],
    detector: Annotated[
        list[str] | None, typer.Option(help="Detector to evaluate; may be repeated. Default: all detectors.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="JSON file with NAB label windows; default: searched beside the data.")
    ] = None,
    train: Annotated[float, typer.Option(help="Fraction of each series used for training, 0 to 1.")] = 0.15,
    train_at_most: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of training windows of each series; NAB uses 750.")
    ] = None,
    hold: Annotated[int, typer.Option(min=0, help="Number of normal windows after which an alarm ends.")] = 10,
    buffer: Annotated[int, typer.Option(min=0, help="Largest buffer of VUS-PR, in windows.")] = 100,
    report: Annotated[Path | None, typer.Option(help="HTML report with charts to write.")] = None,
    nab_results: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write results for the NAB runner to.")
    ] = None,
    by_series: Annotated[bool, typer.Option("--by-series", help="Also show the figures of each series.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train detectors on the first part of labelled series, score the rest window by window, and compare them."""
    from sensorwatch.detectors.factory import detectors
    from sensorwatch.evaluation.comparison import compare
    from sensorwatch.evaluation.labelled_files import read_labelled
    from sensorwatch.evaluation.nab_results import nab_name, write_nab_results
    from sensorwatch.evaluation.report import html_report
    from sensorwatch.evaluation.scored_series import score_series

    known = detectors()
    names = list(dict.fromkeys(detector or [name for name in known if name != _TAKES_PARAMETERS]))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInputError(f"unknown detector `{unknown[0]}`; expected one of {', '.join(sorted(known))}")
    series = read_labelled(place, labels)
    scorings = [score_series(known[name], series, train, most=train_at_most, explained=True) for name in names]
    figures = [compare(series, scoring, hold=hold, largest_buffer=buffer) for scoring in scorings]
    refused = [
        {"detector": scoring.detector, "series": each.name, "reason": scored.reason}
        for scoring in scorings
        for each, scored in zip(series, scoring.series, strict=True)
        if scored.reason
    ]
    if report:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(html_report(f"Detectors on {place.name}", series, scorings, figures, hold=hold), "utf-8")
    if nab_results:
        for scoring in scorings:
            write_nab_results(nab_results, place, series, scoring)
    if as_json:
        totals = [
            {**_totals(each), "by_series": [_row(s.name, f) for s, f in zip(series, each.series, strict=True)]}
            for each in figures
        ]
        print_json({"series": len(series), "trained_on": train, "detectors": totals, "without_model": refused})
        return
    n_windows = sum(len(each.times) for each in series)
    print_table(
        f"{len(series)} series, {n_windows} windows; trained on the first {train:.0%} of each",
        [_totals(each) for each in figures],
        empty="No detectors.",
    )
    if by_series:
        for i, each in enumerate(series):
            print_table(each.name, [_row(of.detector, of.series[i]) for of in figures], empty="No detectors.")
    for row in refused:
        typer.echo("{detector} has no model of {series}: {reason}".format_map(row))
    if report:
        typer.echo(f"Wrote the report to {report}.")
    if nab_results:
        typer.echo(
            f"Wrote results for the NAB runner to {nab_results}, as {', '.join(map(nab_name, names))}; "
            "for the next steps see docs/how-to/evaluate-detectors.md."
        )


def _totals(figures: DetectorFigures) -> dict[str, object]:
    return {
        "detector": figures.detector,
        **_figures(figures),
        "nab_score": _known(figures.nab_score),
        "nab_alarm_score": _known(figures.nab_alarm_score),
        "cpu_seconds": round(figures.cpu_seconds, 3),
    }


def _row(name: str, figures: SeriesFigures) -> dict[str, object]:
    return {"name": name, **_figures(figures)}


def _figures(figures: DetectorFigures | SeriesFigures) -> dict[str, object]:
    alarms = figures.alarms
    return {
        "vus_pr": _known(figures.vus_pr),
        "auc_pr": _known(figures.auc_pr),
        "range_precision": _known(figures.range_precision),
        "range_recall": _known(figures.range_recall),
        "false_alarms_per_day": _known(alarms.false_alarms_per_day),
        "anomalies": alarms.anomalies,
        "detected": alarms.detected,
        "delay_seconds": _known(alarms.delay_seconds),
    }


def _known(value: float) -> float | None:
    return None if isnan(value) else round(value, 4)
