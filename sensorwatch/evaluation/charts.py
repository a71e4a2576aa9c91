"""Charts of scored series as SVG: values with their band, labels, scores and alarms.

Of a long series, only the lowest and the highest value of each of about 1,000 columns are drawn, so that no spike is
lost.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.evaluation.episodes import alarm_scores, alarm_spans
from sensorwatch.evaluation.spans import spans
from sensorwatch.evaluation.svg import Scale, drawing, element, path_data

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.evaluation.labelled_series import LabelledSeries
    from sensorwatch.evaluation.scored_series import ScoredSeries

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["Band", "score_chart", "values_chart"]

_WIDTH = 1000
_LEFT, _RIGHT = 70, 10
_COLUMNS = _WIDTH - _LEFT - _RIGHT
_VALUES_HEIGHT, _SCORES_HEIGHT = 170, 64
_MARGIN = 4
_AXIS_HEIGHT = 20
_TEXT_HEIGHT = 8
_TIME_TICKS = 8
_DATES_FROM_SECONDS = 20 * 86_400
_THRESHOLD = 50.0


class Band(NamedTuple):
    """Lowest and highest values that a detector expects, shape ``(n_scored_windows,)``, float64; NaN for no band."""

    detector: str
    low: Floats
    high: Floats


def values_chart(series: LabelledSeries, first: int, band: Band | None) -> str:
    """Return the chart of a series' values as SVG.

    Parameters
    ----------
    series
        The series.
    first
        Position of its first scored window. The windows before it are shaded as training data.
    band
        Expected range from ``first`` on; None if no detector has a band.
    """
    known = series.values[np.isfinite(series.values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    x, y = _time_scale(series.times), _value_scale(low, high, _VALUES_HEIGHT)
    parts = _shades(x, series, first, _VALUES_HEIGHT)
    if band:
        outline = _outline(x(series.times[first:]), y, band)
        parts.append(element("path", f"expected by {band.detector}", class_="band", d=outline))
    parts.append(element("path", class_="values", d=_line(x, y, series.times, series.values)))
    parts += [_value_tick(y, value, f"{value:.4g}") for value in (low, (low + high) / 2, high)]
    parts += _time_axis(x, series.times)
    return drawing(parts, _WIDTH, _VALUES_HEIGHT + _AXIS_HEIGHT, f"values of {series.name}")


def score_chart(series: LabelledSeries, scored: ScoredSeries, hold: int) -> str:
    """Return the chart of a detector's scores and alarms as SVG.

    Parameters
    ----------
    series
        The series.
    scored
        Its scores (0-100) and decisions.
    hold
        Number of normal windows after which an alarm ends.
    """
    times = series.times[scored.first :]
    x, y = _time_scale(series.times), _value_scale(0.0, 100.0, _SCORES_HEIGHT)
    parts = _shades(x, series, scored.first, _SCORES_HEIGHT)
    middle = float(y(_THRESHOLD))
    parts.append(element("line", class_="threshold", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=middle, y2=middle))
    alarm = alarm_scores(np.nan_to_num(scored.scores), scored.anomalous, hold)
    parts.append(element("path", class_="alarm", d=_line(x, y, times, alarm)))
    parts.append(element("path", class_="scores", d=_line(x, y, times, scored.scores)))
    labels = series.labels[scored.first :]
    for a, b in zip(*alarm_spans(scored.anomalous, hold), strict=True):
        kind = "true-alarm" if labels[a : b + 1].any() else "false-alarm"
        why = f": {scored.why[int(a)]}" if int(a) in scored.why else ""
        parts.append(_span(x, times[a], times[b], height=5, kind=kind, title="alarm", why=why))
    parts += [_value_tick(y, value, f"{value:.0f}") for value in (0.0, _THRESHOLD, 100.0)]
    return drawing(parts, _WIDTH, _SCORES_HEIGHT, f"scores of {series.name}")


def _time_scale(times: Integers) -> Scale:
    return Scale(float(times[0]), float(times[-1]), _LEFT, _LEFT + _COLUMNS)


def _value_scale(low: float, high: float, height: float) -> Scale:
    return Scale(low, high, height - _MARGIN, _MARGIN)


def _shades(x: Scale, series: LabelledSeries, first: int, height: float) -> list[str]:
    """Return the shaded spans: training data before the window ``first``, and labels."""
    times = series.times
    parts = [_span(x, times[0], times[first - 1], height, "training", "training data")] if first else []
    parts += [
        _span(x, times[a], times[b], height, "anomaly", "labelled as anomalous")
        for a, b in zip(*spans(series.labels), strict=True)
    ]
    return parts


def _span(x: Scale, start: np.int64, end: np.int64, height: float, kind: str, title: str, why: str = "") -> str:
    left = float(x(start))
    return element(
        "rect",
        f"{title}, {_time_text(start)} to {_time_text(end)}{why}",
        class_=kind,
        x=left,
        y=0,
        width=max(float(x(end)) - left, 2.0),
        height=height,
    )


def _line(x_scale: Scale, y_scale: Scale, times: Integers, values: Floats) -> str:
    """Return the path through the values, interrupted at gaps of more than ten usual intervals."""
    known = np.isfinite(values)
    times, values = times[known], values[known]
    if not len(times):
        return ""
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    gap = np.concatenate(([True], np.diff(times) > 10 * usual))
    x, y = x_scale(times), y_scale(values)
    if len(x) > 2 * _COLUMNS:
        keep = _extremes(x.astype(np.int64), y)
        # A gap stays a gap if the points next to it are dropped.
        stretch = np.cumsum(gap)[keep]
        x, y, gap = x[keep], y[keep], np.concatenate(([True], np.diff(stretch) > 0))
    return path_data(x, y, gap)


def _extremes(columns: Integers, y: Floats) -> Integers:
    """Return the positions of the lowest and the highest value of each column, in order."""
    order = np.lexsort((y, columns))
    edge = np.flatnonzero(np.diff(columns[order], prepend=-1, append=columns.max() + 1))
    return np.unique(np.concatenate((order[edge[:-1]], order[edge[1:] - 1])))


def _outline(x: Floats, y: Scale, band: Band) -> str:
    """Return the outline of the band by columns, one closed path for each run of windows with a band."""
    paths = []
    for first, last in zip(*spans(np.isfinite(band.low) & np.isfinite(band.high)), strict=True):
        stretch = x[first : last + 1]
        starts = np.flatnonzero(np.diff(stretch.astype(np.int64), prepend=-1))
        low = np.minimum.reduceat(band.low[first : last + 1], starts)
        high = np.maximum.reduceat(band.high[first : last + 1], starts)
        edge = np.append(stretch[starts], stretch[-1])
        there, back = y(np.append(high, high[-1])), y(np.append(low, low[-1]))[::-1]
        paths.append(path_data(np.append(edge, edge[::-1]), np.append(there, back)) + "Z")
    return "".join(paths)


def _value_tick(y: Scale, value: float, text: str) -> str:
    height = max(float(y(value)), _TEXT_HEIGHT)
    return element("text", None, text, x=_LEFT - 6, y=height, text_anchor="end", dominant_baseline="middle")


def _time_axis(x: Scale, times: Integers) -> list[str]:
    ticks = np.linspace(times[0], times[-1], _TIME_TICKS).astype(np.int64)
    form = "%Y-%m-%d" if times[-1] - times[0] > _DATES_FROM_SECONDS else "%m-%d %H:%M"
    anchors = ("start", *["middle"] * (_TIME_TICKS - 2), "end")
    return [
        element("text", None, _time(tick).strftime(form), x=float(x(tick)), y=_VALUES_HEIGHT + 14, text_anchor=anchor)
        for tick, anchor in zip(ticks, anchors, strict=True)
    ]


def _time(seconds: np.int64) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _time_text(seconds: np.int64) -> str:
    return f"{_time(seconds):%Y-%m-%d %H:%M:%S}Z"
