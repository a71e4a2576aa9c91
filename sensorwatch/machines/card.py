"""The model card: one HTML page with pictures, from what a version's manifest says (Mitchell et al. 2019).

matplotlib draws the pictures as SVG into the page; it is loaded with this module only.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from sensorwatch.machines.fleet import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes

__all__ = ["model_card"]

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Those of Okabe and Ito, which people with colour blindness tell apart."""

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .3rem .8rem; text-align: left; }
tr { border-bottom: 1px solid #e4e4e4; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; } figcaption { color: #555; }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.5rem 0; }
.tile { border: 1px solid #ddd; border-radius: .5rem; padding: .8rem 1.2rem; min-width: 8rem; }
.tile strong { display: block; font-size: 1.6rem; }
"""

_COUNTS = {"machines": "machines", "readings": "hourly readings", "failures": "failures"}
_UNCLEAN = {
    "missing_hours": "hours without a reading",
    "repeated_hours": "further readings of an hour, which has the mean of all",
    "repeated_events": "events that were there already",
    "unknown_machines": "rows of unknown machines left out",
}
_RECIPES = {
    "boosted": "gradient-boosted trees for each component, with class weights and a calibrated threshold each",
    "forest": "a random forest of 200 trees of depth 15; the likeliest class (the original system's recipe)",
    "tree": "a decision tree of depth 15; the likeliest class (the original system's recipe)",
}
_OUTCOMES = {
    "joined": "count as failures",
    "recorded": "are failures of the data",
    "repeated": "repeat another one",
    "no component": "name no component",
    "unknown machine": "are of no known machine",
}


def model_card(manifest: Mapping[str, Any]) -> str:
    """Return the card of a version.

    Parameters
    ----------
    manifest
        As :func:`sensorwatch.machines.train.train_machines` writes it.
    """
    metrics = manifest["metrics"]
    pooled = metrics["pooled"]
    lead = metrics["median_lead_days"]
    tiles = [
        ("precision", f"{pooled['precision']:.3f}"),
        ("recall", f"{pooled['recall']:.3f}"),
        ("F1", f"{pooled['f1']:.3f}"),
        ("accuracy", f"{pooled['accuracy']:.3f}"),
        ("failures warned of", f"{metrics['warned']} of {metrics['failures']}"),
        ("median lead", "none" if lead is None else f"{lead:.1f} days"),
        ("false alarms per machine-year", f"{metrics['false_alarms_per_machine_year']:.1f}"),
    ]
    version = escape(str(manifest["version"]))
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Model card {version}</title><style>{_STYLE}</style></head>
<body>
<h1>Which component is about to fail</h1>
<p>Model card of version {version}</p>
<div class="tiles">{"".join(f'<div class="tile"><strong>{value}</strong>{name}</div>' for name, value in tiles)}</div>
<h2>What it is for</h2>
<p>For every machine and half-day it says how likely each of four components fails within the next
{manifest["horizon_days"]:g} days, and whether that is worth a warning, so that a component can be replaced before it
fails. It knows nothing of components, signals and errors other than those it was trained with, and sees no failure that
comes without a sign. A person decides what is replaced.</p>
<h2>How it was made</h2>
{_table(_facts(manifest))}
<h2>How good it is</h2>
<p>Measured on {metrics["samples"]:,} samples after all that the measured model was trained on, with a guard gap
between. Pooled over the components as in the original system: a true positive names the component that fails first, a
false positive is any other sample for which one is named, a false negative is a sample before a failure that is called
healthy.</p>
{_figure(_curves(metrics), "Precision over recall of each component; guessing gives the dotted lines.")}
{_figure(_confusion(metrics["confusion"]), "Samples by true and predicted class; darker is more of the true class.")}
{_table(_components(manifest), head=("component", "PR-AUC", "share before a failure", "warns from a risk of"))}
{_figure(_leads(metrics), "How long before the failure the first warning came, of failures that were warned of.")}
<h2>What it looks at</h2>
{_figure(_importances(manifest["importances"]), "Average precision that is lost when a group of columns is shuffled.")}
</body>
</html>
"""


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = manifest["parts"]
    # Versions from before these were counted say nothing of them.
    confirmed = any(manifest.get("confirmed_alerts", {}).values())
    counts = [f"{manifest[name]:,} {what}" for name, what in _COUNTS.items()]
    unclean = [f"{manifest[name]:,} {what}" for name, what in _UNCLEAN.items() if manifest.get(name)]
    return [
        ("Classifier", _RECIPES[manifest["recipe"]]),
        ("Data", f"{', '.join(counts)}, up to {escape(str(manifest['window_end']))}"),
        *([("Gaps and repetitions", ", ".join(unclean))] if unclean else []),
        *([("Confirmed alerts of machines", _alerts(manifest["confirmed_alerts"]))] if confirmed else []),
        ("The model in use", f"fitted on all {manifest['rows']:,} samples with labels"),
        *((f"Measured: {name}", " to ".join(map(_day, parts[name]))) for name in parts),
    ]


def _alerts(counts: Mapping[str, int]) -> str:
    """Return what became of confirmed alerts, those that train first."""
    return ", ".join(f"{count:,} {_OUTCOMES[outcome]}" for outcome, count in counts.items() if count)


def _components(manifest: Mapping[str, Any]) -> list[tuple[str, ...]]:
    metrics, thresholds = manifest["metrics"], manifest["thresholds"]
    return [
        (
            name,
            f"{metrics['pr_auc'][name]:.3f}" if name in metrics["pr_auc"] else "no failure",
            f"{metrics['prevalence'][name]:.3f}",
            "the likeliest class decides" if thresholds is None else f"{thresholds[name]:.2f}",
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


def _figure(figure: Figure, caption: str) -> str:
    sink = io.StringIO()
    # Without a date and with a fixed salt, equal manifests give equal pages.
    with rc_context({"svg.hashsalt": caption}):
        figure.savefig(sink, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = sink.getvalue()
    picture = svg[svg.index("<svg") :]
    return f'<figure role="img" aria-label="{caption}">{picture}<figcaption>{caption}</figcaption></figure>'


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _curves(metrics: Mapping[str, Any]) -> Figure:
    figure, axes = _axes(7.5, 4.2)
    for color, name in zip(_COLORS, COMPONENTS, strict=True):
        if name in metrics["curves"]:
            recall, precision = metrics["curves"][name]
            axes.plot(recall, precision, color=color, label=f"{name} ({metrics['pr_auc'][name]:.2f})")
            axes.axhline(metrics["prevalence"][name], color=color, linestyle=":", linewidth=1)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(title="component (PR-AUC)", frameon=False)
    return figure


def _confusion(confusion: Sequence[Sequence[int]]) -> Figure:
    figure, axes = _axes(6, 4.2)
    shares = [[count / max(sum(row), 1) for count in row] for row in confusion]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    names = ("healthy", *COMPONENTS)
    axes.set(xlabel="predicted", ylabel="true", xticks=range(len(names)), yticks=range(len(names)))
    axes.set_xticklabels(names)
    axes.set_yticklabels(names)
    for i, row in enumerate(confusion):
        for j, count in enumerate(row):
            color = "white" if shares[i][j] > 0.55 else "black"
            axes.text(j, i, f"{count:,}", ha="center", va="center", color=color)
    return figure


def _leads(metrics: Mapping[str, Any]) -> Figure:
    figure, axes = _axes(7.5, 3)
    axes.hist(metrics["lead_days"], bins=[half / 2 for half in range(15)], color=_COLORS[0], edgecolor="white")
    axes.set(xlabel="days before the failure", ylabel="failures")
    return figure


def _importances(importances: Mapping[str, float]) -> Figure:
    figure, axes = _axes(7.5, 0.6 + 0.28 * max(len(importances), 1))
    names = list(importances)[::-1]
    axes.barh(names, [importances[name] for name in names], color=_COLORS[0])
    axes.set(xlabel="loss of average precision")
    return figure
