"""Scoring of labelled series: a detector is trained on the first part of each series and scores the rest."""

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
    from sensorwatch.evaluation.labelled_series import LabelledSeries

    Floats = npt.NDArray[np.float64]

__all__ = ["ScoredSeries", "Scoring", "score_series", "training_windows"]


@dataclass(frozen=True, slots=True)
class ScoredSeries:
    """Scores of the windows of a series after the training part.

    Attributes
    ----------
    first
        Position of the first scored window. The windows before it were trained on.
    raw
        Raw scores, shape ``(n_windows - first,)``, float64; NaN for a window without a score.
    scores
        Scores of 0-100, same shape and dtype.
    anomalous
        Decisions, same shape, bool.
    low, high
        Lowest and highest expected values, same shape, float64; NaN if the detector has no band.
    reason
        Reason why there is no model; None if there is one.
    why
        Explanations by position among the scored windows, for the first window of each run of anomalous windows. Empty
        if explanations were not requested.
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
    """Scores of several series by one detector.

    Attributes
    ----------
    detector
        Name of the detector.
    series
        Scores of each series, in the order of the series.
    cpu_seconds
        CPU time of training, scoring and calibration, in seconds.
    """

    detector: str
    series: tuple[ScoredSeries, ...]
    cpu_seconds: float


def training_windows(n_windows: int, share: float, most: int | None = None) -> int:
    """Return the number of training windows of a series.

    Parameters
    ----------
    n_windows
        Number of windows of the series.
    share
        Share of the series to train on.
    most
        Largest number of training windows; None: no limit.

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
    """Train a detector on the first part of each series and score the rest.

    The score of a window depends on the training part and on the windows up to its own, never on later windows.

    Parameters
    ----------
    detector
        The detector.
    series
        Series to train one model each on. Their labels are not used.
    training_share
        Share of each series, from its beginning, to train on: above 0 and below 1.
    most
        Largest number of training windows of a series; None: no limit.
    explained
        True to explain anomalous windows. ``cpu_seconds`` does not include the time for it.

    Raises
    ------
    InvalidInputError
        The share is out of range.
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
    """Return the explanation of the first window of each run of anomalous windows, by its position."""
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
