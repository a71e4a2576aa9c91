"""Pictures of scored series as SVG, without scripts: values with their band, labels, scores and alarms.

Long series are drawn by the least and the greatest value of each of some 1,000 columns, so that no spike is lost.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.alarms import alarm_scores, alarm_spans
from sensorwatch.evaluation.spans import spans

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.evaluation.labelled import LabelledSeries
    from sensorwatch.evaluation.scoring import ScoredSeries

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["Band", "score_chart", "values_chart"]

_WIDTH = 1000
_LEFT, _RIGHT = 70, 10
_COLUMNS = _WIDTH - _LEFT - _RIGHT
_VALUES_HEIGHT, _SCORES_HEIGHT = 170, 64
_AXIS_HEIGHT = 20
_TEXT_HEIGHT = 8
_TIME_TICKS = 8
_DATES_FROM_SECONDS = 20 * 86_400
_ANOMALOUS = 50


class Band(NamedTuple):
    """The lowest and the highest value that a detector expects, both of shape ``(n_scored_windows,)``; NaN for none."""

    detector: str
    low: Floats
    high: Floats


class _Scale:
    """Where times and values lie in a picture."""

    def __init__(self, times: Integers, low: float, high: float, height: float) -> None:
        self._start, self._seconds = int(times[0]), max(int(times[-1] - times[0]), 1)
        self._low, self._range, self._height = low, (high - low) or 1.0, height

    def x(self, times: npt.NDArray[np.int64] | int) -> Floats:
        return np.asarray(_LEFT + (np.asarray(times) - self._start) / self._seconds * _COLUMNS, np.float64)

    def y(self, values: Floats | float) -> Floats:
        share = np.clip((np.asarray(values, np.float64) - self._low) / self._range, -0.05, 1.05)
        return np.asarray(self._height - 4 - share * (self._height - 8))


def values_chart(series: LabelledSeries, first: int, band: Band | None) -> str:
    """Return the picture of a series' values.

    Parameters
    ----------
    series
        The series.
    first
        Its first scored window; what lies before is shaded as the training part.
    band
        What a detector expects from ``first`` on; None: nothing.
    """
    known = series.values[np.isfinite(series.values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    scale = _Scale(series.times, low, high, _VALUES_HEIGHT)
    parts = [_shaded(scale, series.times, 0, first - 1, _VALUES_HEIGHT, "training", "trained on")]
    parts += _labels(scale, series, _VALUES_HEIGHT)
    if band:
        title = f"<title>expected by {escape(band.detector)}</title>"
        parts.append(f'<path class="band" d="{_area(scale, series.times[first:], band)}">{title}</path>')
    parts.append(f'<path class="values" d="{_line(scale, series.times, series.values)}"/>')
    parts += [_tick(scale, value, f"{value:.4g}") for value in (low, (low + high) / 2, high)]
    parts += _time_axis(scale, series.times)
    return _svg(parts, _VALUES_HEIGHT + _AXIS_HEIGHT, f"values of {series.name}")


def score_chart(series: LabelledSeries, scored: ScoredSeries, hold: int) -> str:
    """Return the picture of a detector's scores of a series, 0-100, and of its alarms: held, and as bars at the top."""
    scale = _Scale(series.times, 0.0, 100.0, _SCORES_HEIGHT)
    times = series.times[scored.first :]
    parts = [_shaded(scale, series.times, 0, scored.first - 1, _SCORES_HEIGHT, "training", "trained on")]
    parts += _labels(scale, series, _SCORES_HEIGHT)
    middle = float(scale.y(float(_ANOMALOUS)))
    parts.append(f'<line class="threshold" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{middle:.1f}" y2="{middle:.1f}"/>')
    alarm = alarm_scores(np.nan_to_num(scored.scores), scored.anomalous, hold)
    parts.append(f'<path class="alarm" d="{_line(scale, times, alarm)}"/>')
    parts.append(f'<path class="scores" d="{_line(scale, times, scored.scores)}"/>')
    labels = series.labels[scored.first :]
    for a, b in zip(*alarm_spans(scored.anomalous, hold), strict=True):
        kind = "true-alarm" if labels[a : b + 1].any() else "false-alarm"
        left, right = float(scale.x(int(times[a]))), float(scale.x(int(times[b])))
        why = f": {scored.why[int(a)]}" if int(a) in scored.why else ""
        parts.append(
            f'<rect class="{kind}" x="{left:.1f}" y="0" width="{max(right - left, 2):.1f}" height="5">'
            f"<title>alarm, {_text(int(times[a]))} to {_text(int(times[b]))}{escape(why)}</title></rect>"
        )
    parts += [_tick(scale, value, f"{value:.0f}") for value in (0.0, float(_ANOMALOUS), 100.0)]
    return _svg(parts, _SCORES_HEIGHT, f"scores of {series.name}")


def _svg(parts: list[str], height: float, label: str) -> str:
    content = "".join(parts)
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">{content}</svg>'


def _labels(scale: _Scale, series: LabelledSeries, height: float) -> list[str]:
    return [
        _shaded(scale, series.times, int(a), int(b), height, "anomaly", "labelled as anomalous")
        for a, b in zip(*spans(series.labels), strict=True)
    ]


def _shaded(scale: _Scale, times: Integers, first: int, last: int, height: float, kind: str, title: str) -> str:
    if last < first:
        return ""
    left, right = float(scale.x(int(times[first]))), float(scale.x(int(times[last])))
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="0" width="{max(right - left, 1.5):.1f}" height="{height}">'
        f"<title>{title}, {_text(int(times[first]))} to {_text(int(times[last]))}</title></rect>"
    )


def _line(scale: _Scale, times: Integers, values: Floats) -> str:
    """Return the path through the values; it is broken where values are missing for long."""
    known = np.isfinite(values)
    times, values = times[known], values[known]
    if not len(times):
        return ""
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    gap = np.concatenate(([True], np.diff(times) > 10 * usual))
    x, y = scale.x(times), scale.y(values)
    if len(x) > 2 * _COLUMNS:
        keep = _extremes(x.astype(np.int64), y)
        # A gap between two kept points stays one, whichever points around it are kept.
        stretch = np.cumsum(gap)[keep]
        x, y, gap = x[keep], y[keep], np.concatenate(([True], np.diff(stretch) > 0))
    return "".join(f"{'M' if new else 'L'}{a:.1f} {b:.1f}" for new, a, b in zip(gap, x, y, strict=True))


def _extremes(columns: Integers, y: Floats) -> Integers:
    """Return the positions of the least and the greatest value of each column, in order."""
    order = np.lexsort((y, columns))
    edge = np.flatnonzero(np.diff(columns[order], prepend=-1, append=columns.max() + 1))
    return np.unique(np.concatenate((order[edge[:-1]], order[edge[1:] - 1])))


def _area(scale: _Scale, times: Integers, band: Band) -> str:
    """Return the path around the band, one stretch for each run of windows that have one, in columns' outer edges."""
    known = np.isfinite(band.low) & np.isfinite(band.high)
    paths = []
    for first, last in zip(*spans(known), strict=True):
        x = scale.x(times[first : last + 1])
        starts = np.flatnonzero(np.diff(x.astype(np.int64), prepend=-1))
        low = np.minimum.reduceat(band.low[first : last + 1], starts)
        high = np.maximum.reduceat(band.high[first : last + 1], starts)
        edge = np.append(x[starts], x[-1])
        outline = [*zip(edge, scale.y(np.append(high, high[-1])), strict=True)]
        outline += reversed([*zip(edge, scale.y(np.append(low, low[-1])), strict=True)])
        paths.append("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in outline) + "Z")
    return "".join(paths)


def _tick(scale: _Scale, value: float, text: str) -> str:
    y = max(float(scale.y(value)), _TEXT_HEIGHT)
    return f'<text x="{_LEFT - 6}" y="{y:.1f}" text-anchor="end" dominant-baseline="middle">{text}</text>'


def _time_axis(scale: _Scale, times: Integers) -> list[str]:
    ticks = np.linspace(times[0], times[-1], _TIME_TICKS).astype(np.int64)
    days = times[-1] - times[0] > _DATES_FROM_SECONDS
    parts = []
    for i, tick in enumerate(ticks):
        anchor = "start" if i == 0 else "end" if i == _TIME_TICKS - 1 else "middle"
        text = datetime.fromtimestamp(int(tick), UTC).strftime("%Y-%m-%d" if days else "%m-%d %H:%M")
        parts.append(
            f'<text x="{float(scale.x(int(tick))):.1f}" y="{_VALUES_HEIGHT + 14}" text-anchor="{anchor}">{text}</text>'
        )
    return parts


def _text(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"
