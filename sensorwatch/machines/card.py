"""Model card of predictive maintenance: one HTML page with charts, from a version's manifest (Mitchell et al. 2019)."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from sensorwatch.machines.card_charts import (
    confusion_chart,
    importance_chart,
    lead_chart,
    precision_recall_chart,
)
from sensorwatch.machines.fleet import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["model_card"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .3rem .8rem; text-align: left; }
tr { border-bottom: 1px solid #e4e4e4; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; } figure svg { width: 45rem; max-width: 100%; height: auto; }
figure text { font-size: 12px; } figcaption { color: #555; }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.5rem 0; }
.tile { border: 1px solid #ddd; border-radius: .5rem; padding: .8rem 1.2rem; min-width: 8rem; }
.tile strong { display: block; font-size: 1.6rem; }
"""

_COUNTS = {"machines": "machines", "readings": "hourly readings", "failures": "failures"}
_DATA_PROBLEMS = {
    "missing_hours": "hours without a reading",
    "repeated_hours": "further readings in an hour that had one (their mean is used)",
    "repeated_events": "duplicate events ignored",
    "unknown_machines": "rows of unknown machines ignored",
}
_RECIPES = {
    "boosted": "gradient-boosted trees for each component, with class weights and a calibrated threshold each",
    "forest": "random forest of 200 trees of depth 15; the most likely class wins (the original system's recipe)",
    "tree": "decision tree of depth 15; the most likely class wins (the original system's recipe)",
}
_OUTCOMES = {
    "joined": "added as failures",
    "recorded": "already in the data as failures",
    "repeated": "duplicates of another alert",
    "no component": "without a component",
    "unknown machine": "of unknown machines",
}


def model_card(manifest: Mapping[str, Any]) -> str:
    """Return the model card of a version as an HTML page.

    Parameters
    ----------
    manifest
        The version's manifest, as :func:`sensorwatch.machines.train.train_machines` writes it.
    """
    metrics = manifest["metrics"]
    pooled = metrics["pooled"]
    lead = metrics["median_lead_days"]
    tiles = [
        ("precision", f"{pooled['precision']:.3f}"),
        ("recall", f"{pooled['recall']:.3f}"),
        ("F1", f"{pooled['f1']:.3f}"),
        ("accuracy", f"{pooled['accuracy']:.3f}"),
        ("failures with a warning", f"{metrics['warned']} of {metrics['failures']}"),
        ("median lead time", "none" if lead is None else f"{lead:.1f} days"),
        ("false alarms per machine-year", f"{metrics['false_alarms_per_machine_year']:.1f}"),
    ]
    version = escape(str(manifest["version"]))
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Model card {version}</title><style>{_STYLE}</style></head>
<body>
<h1>Predictive maintenance: which component fails next</h1>
<p>Model card of version {version}</p>
<div class="tiles">{"".join(f'<div class="tile"><strong>{value}</strong>{name}</div>' for name, value in tiles)}</div>
<h2>Purpose and limits</h2>
<p>For every machine and half-day, the model gives the probability that each of four components fails within the next
{manifest["horizon_days"]:g} days, and decides whether to warn, so that a component can be replaced before it fails. It
knows only the components, signals and errors that it was trained on, and cannot predict a failure without early signs.
A person decides what is replaced.</p>
<h2>Training</h2>
{_table(_facts(manifest))}
<h2>Accuracy</h2>
<p>Measured on {metrics["samples"]:,} samples that are later than all training data of the measured model, with a guard
gap between. Pooled over the components as in the original system: a true positive names the component that fails first,
a false positive is any other sample for which a component is named, a false negative is a sample before a failure for
which none is named.</p>
{_figure(precision_recall_chart(metrics), "Precision over recall of each component; dotted: by guessing.")}
{_figure(confusion_chart(metrics["confusion"]), "Samples by true and predicted class; darker: a larger share.")}
{_table(_components(manifest), head=("component", "PR-AUC", "share before a failure", "warning threshold"))}
{_figure(lead_chart(metrics["lead_days"]), "Time from the first warning to the failure, for failures with a warning.")}
<h2>Importance of the input columns</h2>
{_figure(importance_chart(manifest["importances"]), "Average precision lost when a group of columns is shuffled.")}
</body>
</html>
"""


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = manifest["parts"]
    # Manifests of older versions lack these counts.
    confirmed = any(manifest.get("confirmed_alerts", {}).values())
    counts = [f"{manifest[name]:,} {what}" for name, what in _COUNTS.items()]
    problems = [f"{manifest[name]:,} {what}" for name, what in _DATA_PROBLEMS.items() if manifest.get(name)]
    return [
        ("Classifier", _RECIPES[manifest["recipe"]]),
        ("Data", f"{', '.join(counts)}, up to {escape(str(manifest['window_end']))}"),
        *([("Gaps and duplicates", ", ".join(problems))] if problems else []),
        *([("Confirmed alerts of machines", _alerts(manifest["confirmed_alerts"]))] if confirmed else []),
        ("Model in use", f"fitted on all {manifest['rows']:,} labelled samples"),
        *((f"Measured: {name}", " to ".join(map(_day, parts[name]))) for name in parts),
    ]


def _alerts(counts: Mapping[str, int]) -> str:
    """Return how many confirmed alerts had which outcome in training."""
    return ", ".join(f"{count:,} {_OUTCOMES[outcome]}" for outcome, count in counts.items() if count)


def _components(manifest: Mapping[str, Any]) -> list[tuple[str, ...]]:
    metrics, thresholds = manifest["metrics"], manifest["thresholds"]
    return [
        (
            name,
            f"{metrics['pr_auc'][name]:.3f}" if name in metrics["pr_auc"] else "no failure in the test part",
            f"{metrics['prevalence'][name]:.3f}",
            "none: the most likely class wins" if thresholds is None else f"{thresholds[name]:.2f}",
        )
        for name in COMPONENTS
    ]


def _day(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")


def _table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    top = f"<tr>{''.join(f'<th scope=col>{name}</th>' for name in head)}</tr>" if head else ""
    body = "".join(
        f"<tr><th scope=row>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>" for row in rows
    )
    return f"<table>{top}{body}</table>"


def _figure(chart: str, caption: str) -> str:
    return f"<figure>{chart}<figcaption>{caption}</figcaption></figure>"
