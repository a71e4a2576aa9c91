"""Detectors on labelled series: trained on the first part of each, applied to the rest as time goes by."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.alerts.explanation_text import explanation_text
from sensorwatch.alerts.records import Anomaly
from sensorwatch.detectors.base import Expected, calibration_of, training_scores
from sensorwatch.detectors.explaining import explain
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from sensorwatch.detectors.base import Detector, Fitted
    from sensorwatch.evaluation.labelled import LabelledSeries

    Floats = npt.NDArray[np.float64]

__all__ = ["ScoredSeries", "Scoring", "score_series", "training_windows"]


@dataclass(frozen=True, slots=True)
class ScoredSeries:
    """What a detector says of the windows of a series behind its training part.

    Attributes
    ----------
    first
        Position of the first scored window; all before it were trained on.
    raw
        The detector's own scores of the scored windows, NaN where there is none, shape ``(n_windows - first,)``.
    scores
        The same as 0-100.
    anomalous
        The decisions, same shape.
    low, high
        The lowest and the highest value that the detector expects, same shape; NaN where it has no such thing.
    reason
        Why there is no model; None where there is one.
    why
        Why windows are anomalous, in words, by their positions among the scored ones: of the first one of each
        stretch, where explanations were asked for.
    """

    first: int
    raw: Floats
    scores: Floats
    anomalous: npt.NDArray[np.bool_]
    low: Floats
    high: Floats
    reason: str | None
    why: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a detector says of several series.

    Attributes
    ----------
    detector
        Its name.
    series
        In the order of the series.
    cpu_seconds
        What training, scoring and calibration took in all.
    """

    detector: str
    series: tuple[ScoredSeries, ...]
    cpu_seconds: float


def training_windows(n_windows: int, share: float, most: int | None = None) -> int:
    """Return how many windows of a series are trained on.

    Examples
    --------
    >>> training_windows(1000, 0.15), training_windows(10_000, 0.15, most=750)
    (150, 750)
    """
    windows = int(share * n_windows)
    return windows if most is None else min(windows, most)


def score_series(
    detector: Detector,
    series: Sequence[LabelledSeries],
    training_share: float,
    *,
    most: int | None = None,
    explained: bool = False,
) -> Scoring:
    """Train and apply a detector.

    A score depends on the training part and on the windows up to its own, never on later ones.

    Parameters
    ----------
    detector
        Which one.
    series
        One model is trained for each; labels are not looked at.
    training_share
        What part of each series, from its beginning, is trained on: above 0, below 1.
    most
        Windows of each series that are trained on at most; None: whatever the share comes to.
    explained
        Whether to say why windows are anomalous; it does not count in the time.

    Raises
    ------
    InvalidInputError
        The share leaves nothing to train on, or nothing to score.
    """
    if not 0 < training_share < 1:
        raise InvalidInputError(
            f"the training share must be above 0 and below 1, got {training_share}; 0.15 trains on the first 15 %"
        )
    start = time.process_time()
    firsts = [training_windows(len(each.times), training_share, most) for each in series]
    training = _joined([(each.times[:n], each.values[:n]) for each, n in zip(series, firsts, strict=True)])
    scored = _joined([(each.times[n:], each.values[n:]) for each, n in zip(series, firsts, strict=True)])
    fitted = detector.fit(training)
    calibration = calibration_of(detector, training_scores(detector, fitted, training), training.offsets)
    raw = detector.score(fitted.params, scored)
    sensor = np.repeat(np.arange(len(series)), scored.lengths)
    scores, anomalous = calibration.scores(sensor, raw), calibration.anomalous(sensor, raw)
    expected = detector.expected(fitted.params, scored, calibration.threshold)
    if expected is None:
        low, high = (each[sensor] for each in detector.expected_range(fitted.params))
        expected = Expected(np.full(len(low), np.nan), low, high)
    cpu_seconds = time.process_time() - start
    why = _why(detector, fitted, scored, scores, anomalous, expected) if explained else {}
    parts = []
    for i, first in enumerate(firsts):
        begin, end = int(scored.offsets[i]), int(scored.offsets[i + 1])
        part = slice(begin, end)
        parts.append(
            ScoredSeries(
                first,
                raw[part],
                scores[part],
                anomalous[part],
                expected.low[part],
                expected.high[part],
                fitted.reasons[i],
                {position - begin: text for position, text in why.items() if begin <= position < end},
            )
        )
    return Scoring(detector.name, tuple(parts), cpu_seconds)


def _why(
    detector: Detector,
    fitted: Fitted,
    scored: Series,
    scores: Floats,
    anomalous: npt.NDArray[np.bool_],
    expected: Expected,
) -> dict[int, str]:
    """Return why the first window of each anomalous stretch is anomalous, by its position."""
    before = np.concatenate(([False], anomalous[:-1]))
    before[scored.offsets[:-1][scored.lengths > 0]] = False
    windows = np.flatnonzero(anomalous & ~before)

    def known(value: np.float64) -> float | None:
        return float(value) if np.isfinite(value) else None

    return {
        position: explanation_text(
            Anomaly(
                0,
                int(scored.times[position]),
                float(scored.values[position]),
                float(scores[position]),
                "",
                known(expected.low[position]),
                known(expected.high[position]),
                "",
                expected_value=known(expected.value[position]),
                explanation=explanation,
            )
        )
        for position, explanation in zip(
            windows.tolist(), explain(detector, fitted.params, scored, scores, windows), strict=True
        )
    }


def _joined(parts: Sequence[tuple[npt.NDArray[np.int64], Floats]]) -> Series:
    lengths = [len(times) for times, _ in parts]
    return Series(
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.concatenate([times for times, _ in parts]),
        np.concatenate([values for _, values in parts]),
    )
