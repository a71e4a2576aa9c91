"""Charts of the model card as SVG, from the metrics in a version's manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sensorwatch.evaluation.svg import Scale, drawing, element, path_data
from sensorwatch.machines.fleet import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    Ends = Sequence[float] | npt.NDArray[np.float64]
    Floats = npt.NDArray[np.float64]

__all__ = ["confusion_chart", "importance_chart", "lead_chart", "precision_recall_chart"]

_WIDTH = 720
_LEFT, _RIGHT, _TOP, _BELOW = 90, 20, 12, 46
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Of Okabe and Ito's palette, which people with colour blindness tell apart."""

_SHADE = "#08519c"
_WHITE_TEXT_FROM = 0.55
_DAYS = np.arange(0, 7.5, 0.5)
_DOTTED = "2 3"


def precision_recall_chart(metrics: Mapping[str, Any]) -> str:
    """Return precision over recall of each component, with the precision of guessing as a dotted line."""
    bottom = _TOP + 260
    x, y = Scale(0, 1, _LEFT, _WIDTH - _RIGHT), Scale(0, 1, bottom, _TOP)
    parts = _x_axis(x, bottom, _ticks(0, 1), "recall") + _y_axis(y, _ticks(0, 1), "precision")
    for position, (color, name) in enumerate(zip(_COLORS, COMPONENTS, strict=True)):
        if name in metrics["curves"]:
            recall, precision = metrics["curves"][name]
            share, area = metrics["prevalence"][name], f"{name} (PR-AUC {metrics['pr_auc'][name]:.2f})"
            curve = path_data(x(recall), y(precision))
            parts.append(element("path", area, d=curve, fill="none", stroke=color, stroke_width=1.6))
            parts.append(_line(x([0, 1]), y([share, share]), color, stroke_dasharray=_DOTTED))
            height = _TOP + 12 + 20 * position
            parts.append(_line((_WIDTH - 200, _WIDTH - 175), (height, height), color, stroke_width=2))
            parts.append(_text(_WIDTH - 168, height, area, "start"))
    return drawing(parts, _WIDTH, bottom + _BELOW, "Precision over recall of each component")


def confusion_chart(confusion: Sequence[Sequence[int]]) -> str:
    """Return the confusion matrix: one row for each true class, shaded by the share of that class."""
    names = ("healthy", *COMPONENTS)
    n, wide, high = len(names), 90, 46
    parts = [_text(_LEFT + n * wide / 2, _TOP + n * high + 36, "predicted", "middle")]
    parts.append(_upright(_TOP + n * high / 2, "true"))
    for i, (name, row) in enumerate(zip(names, confusion, strict=True)):
        parts.append(_text(_LEFT - 8, _TOP + (i + 0.5) * high, name, "end"))
        parts.append(_text(_LEFT + (i + 0.5) * wide, _TOP + n * high + 14, name, "middle"))
        for j, count in enumerate(row):
            share, left, top = count / max(sum(row), 1), _LEFT + j * wide, _TOP + i * high
            title = f"{count:,} of {sum(row):,} samples of {name} predicted as {names[j]}"
            shade = f"{share:.3f}"
            parts.append(
                element("rect", title, x=left, y=top, width=wide, height=high, fill=_SHADE, fill_opacity=shade)
            )
            color = "white" if share > _WHITE_TEXT_FROM else "black"
            parts.append(_text(left + wide / 2, top + high / 2, f"{count:,}", "middle", fill=color))
    return drawing(parts, _WIDTH, _TOP + n * high + _BELOW, "Samples by true and predicted class")


def lead_chart(lead_days: Sequence[float]) -> str:
    """Return the histogram of days between first warning and failure, in bins of half a day up to a week."""
    counts, edges = np.histogram(lead_days, bins=_DAYS)
    bottom, most = _TOP + 170, max(int(counts.max()), 5)
    x, y = Scale(0, edges[-1], _LEFT, _WIDTH - _RIGHT), Scale(0, most, bottom, _TOP)
    parts = _x_axis(x, bottom, range(8), "days before the failure") + _y_axis(y, _ticks(0, most), "failures")
    parts += [
        _bar(x([a, b]) - (0, 1), (float(y(count)), bottom), f"{count} failures: {a:g} to {b:g} days before")
        for count, a, b in zip(counts, edges[:-1], edges[1:], strict=True)
        if count
    ]
    return drawing(parts, _WIDTH, bottom + _BELOW, "Failures by days between first warning and failure")


def importance_chart(importances: Mapping[str, float]) -> str:
    """Return one bar for each group of columns: the average precision lost when its values are shuffled."""
    high = 22
    bottom = _TOP + high * max(len(importances), 1)
    low, most = min([0.0, *importances.values()]), max([0.0, *importances.values()])
    x = Scale(low, most, _LEFT, _WIDTH - _RIGHT)
    parts = _x_axis(x, bottom, _ticks(low, most), "loss of average precision")
    parts.append(_line(x([0, 0]), (bottom, _TOP), "black"))
    for position, (name, loss) in enumerate(importances.items()):
        top = _TOP + position * high
        parts.append(_bar(np.sort(x([0, loss])), (top + 2, top + high - 2), f"{name}: {loss:.4f}"))
        parts.append(_text(_LEFT - 8, top + high / 2, name, "end"))
    return drawing(parts, _WIDTH, bottom + _BELOW, "Importance of each group of columns")


def _x_axis(x: Scale, height: float, ticks: Iterable[float], name: str) -> list[str]:
    parts = [
        _line((x.start, x.end), (height, height), "black"),
        _text((x.start + x.end) / 2, height + 36, name, "middle"),
    ]
    return parts + [_text(float(x(tick)), height + 14, f"{tick:.4g}", "middle") for tick in ticks]


def _y_axis(y: Scale, ticks: Iterable[float], name: str) -> list[str]:
    parts = [_line((_LEFT, _LEFT), (y.start, y.end), "black"), _upright((y.start + y.end) / 2, name)]
    return parts + [_text(_LEFT - 8, float(y(tick)), f"{tick:.4g}", "end") for tick in ticks]


def _ticks(low: float, high: float) -> Floats:
    """Return up to six round numbers from ``low`` to ``high``."""
    magnitude = 10.0 ** np.floor(np.log10(max(high - low, 1e-9)))
    step = next(magnitude * part for part in (0.2, 0.5, 1, 2) if high - low <= 5.5 * magnitude * part)
    return np.asarray(np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0)


def _line(x: Ends, y: Ends, color: str, **more: str | float) -> str:
    return element("line", None, x1=x[0], x2=x[1], y1=y[0], y2=y[1], stroke=color, **more)


def _bar(x: Ends, y: Ends, title: str) -> str:
    return element("rect", title, x=x[0], y=y[0], width=x[1] - x[0], height=y[1] - y[0], fill=_COLORS[0])


def _text(x: float, y: float, text: str, anchor: str, **more: str | float) -> str:
    return element("text", None, text, x=x, y=y, text_anchor=anchor, dominant_baseline="middle", **more)


def _upright(y: float, text: str) -> str:
    return _text(18, y, text, "middle", transform=f"rotate(-90 18 {y:g})")
