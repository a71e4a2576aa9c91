"""Evaluation report: one HTML file with a table of figures and charts of every series, without scripts."""

from __future__ import annotations

from html import escape
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.evaluation.charts import Band, score_chart, values_chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.evaluation.comparison import DetectorFigures, SeriesFigures
    from sensorwatch.evaluation.labelled_series import LabelledSeries
    from sensorwatch.evaluation.scored_series import Scoring

__all__ = ["html_report"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --faint: #6b7685; --rule: #d8dde4; --line: #2563a8;
  --band: #2563a8; --anomaly: #e0a100; --false: #c62f3b; --true: #16803c; --training: #8b95a3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14181d; --faint: #98a2b0; --rule: #333b45;
  --line: #7db3ee; --band: #7db3ee; --anomaly: #d9a514; --false: #ff6b74; --true: #55c07c; --training: #8b95a3; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1060px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .3rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .87rem; }
.wide { overflow-x: auto; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; color: var(--faint); } .best { font-weight: 700; }
p, .reason { color: var(--faint); } .name { margin: .5rem 0 0; font-size: .87rem; }
svg { display: block; width: 100%; height: auto; border-bottom: 1px solid var(--rule); }
svg text { fill: var(--faint); font-size: 11px; } path { fill: none; stroke-width: 1.2; stroke-linejoin: round; }
.values { stroke: var(--line); } .scores { stroke: var(--ink); stroke-width: 1; }
path.band { fill: var(--band); fill-opacity: .16; stroke: none; }
.alarm { stroke: var(--anomaly); stroke-width: 2.4; }
.threshold { stroke: var(--faint); stroke-dasharray: 4 4; }
.training { fill: var(--training); fill-opacity: .13; } .anomaly { fill: var(--anomaly); fill-opacity: .38; }
.true-alarm { fill: var(--true); } .false-alarm { fill: var(--false); }
.key i { display: inline-block; width: 1em; height: .8em; margin: 0 .3em 0 1em; } .key i:first-child { margin-left: 0; }
"""

_KEY = (
    ("training", "var(--training)", "training data"),
    ("anomaly", "var(--anomaly)", "labelled as anomalous"),
    ("band", "var(--band)", "expected"),
    ("true-alarm", "var(--true)", "alarm in a label"),
    ("false-alarm", "var(--false)", "false alarm"),
)

_EXPLANATION = (
    "For each series: its values with the expected range (of the first detector that has one), then the scores of each "
    "detector (0 to 100) with the threshold of 50 as a dashed line, the alarm score (the highest score since the alarm "
    "began) as a thick line, and the alarms as bars at the top. Point at a shape to see its times."
)

_COLUMNS = (
    "detector",
    "VUS-PR",
    "AUC-PR",
    "range precision",
    "range recall",
    "false alarms / day",
    "found",
    "delay",
)


def html_report(
    title: str,
    series: Sequence[LabelledSeries],
    scorings: Sequence[Scoring],
    figures: Sequence[DetectorFigures],
    *,
    hold: int,
) -> str:
    """Return the report as one HTML document.

    Parameters
    ----------
    title
        Heading of the report.
    series
        Labelled series, in the order in which they are shown.
    scorings
        Scores of the series, one item for each detector, in the order in which they are shown.
    figures
        Metrics of the detectors, in the same order.
    hold
        Number of normal windows after which an alarm ends.
    """
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>',
        f"<h1>{escape(title)}</h1>",
        _totals(figures),
        f'<p class="key">{_key()}</p>',
        f"<p>{_EXPLANATION}</p>",
    ]
    for i, each in enumerate(series):
        first = scorings[0].series[i].first
        expecting = next((s for s in scorings if np.isfinite(s.series[i].low).any()), None)
        band = Band(expecting.detector, expecting.series[i].low, expecting.series[i].high) if expecting else None
        parts.append(f"<section><h2>{escape(each.name)}</h2>{values_chart(each, first, band)}")
        for scoring in scorings:
            reason = scoring.series[i].reason
            parts.append(f'<div class="name">{escape(scoring.detector)}</div>')
            parts.append(
                f'<div class="reason">no model: {escape(reason)}</div>'
                if reason
                else score_chart(each, scoring.series[i], hold)
            )
        parts.append(_table([(each.detector, each.series[i]) for each in figures]))
        parts.append("</section>")
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _key() -> str:
    return "".join(
        f'<i style="background:{colour};opacity:{0.5 if name in ("training", "band", "anomaly") else 1}"></i>{text}'
        for name, colour, text in _KEY
    )


def _totals(figures: Sequence[DetectorFigures]) -> str:
    best = max((each.vus_pr for each in figures if not isnan(each.vus_pr)), default=None)
    head = "".join(f"<th>{column}</th>" for column in (*_COLUMNS, "NAB", "NAB, alarms", "CPU s"))
    rows = "".join(
        f"<tr{' class=best' if each.vus_pr == best else ''}>{_cells(each.detector, each)}"
        f"<td>{_number(each.nab_score, 1)}</td><td>{_number(each.nab_alarm_score, 1)}</td>"
        f"<td>{each.cpu_seconds:.2f}</td></tr>"
        for each in figures
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _table(rows: Sequence[tuple[str, SeriesFigures]]) -> str:
    head = "".join(f"<th>{column}</th>" for column in _COLUMNS)
    body = "".join(f"<tr>{_cells(name, figures)}</tr>" for name, figures in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(name: str, figures: SeriesFigures | DetectorFigures) -> str:
    alarms = figures.alarms
    cells = (
        escape(name),
        _number(figures.vus_pr, 3),
        _number(figures.auc_pr, 3),
        _number(figures.range_precision, 3),
        _number(figures.range_recall, 3),
        _number(alarms.false_alarms_per_day, 2),
        f"{alarms.detected} of {alarms.anomalies}",
        _duration(alarms.delay_seconds),
    )
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _number(value: float, decimals: int) -> str:
    return "–" if isnan(value) else f"{value:.{decimals}f}"  # noqa: RUF001


def _duration(seconds: float) -> str:
    if isnan(seconds):
        return "–"  # noqa: RUF001
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
