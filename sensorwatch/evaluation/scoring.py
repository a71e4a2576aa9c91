"""Detectors on labelled series: trained on the first part of each, applied to the rest as time goes by."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors import Expecting, Series, calibration_of, training_scores
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from sensorwatch.detectors import Detector
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
    """

    first: int
    raw: Floats
    scores: Floats
    anomalous: npt.NDArray[np.bool_]
    low: Floats
    high: Floats
    reason: str | None


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


def training_windows(n_windows: int, share: float) -> int:
    """Return how many windows of a series are trained on."""
    return int(share * n_windows)


def score_series(detector: Detector, series: Sequence[LabelledSeries], training_share: float) -> Scoring:
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
    firsts = [training_windows(len(each.times), training_share) for each in series]
    training = _joined([(each.times[:n], each.values[:n]) for each, n in zip(series, firsts, strict=True)])
    scored = _joined([(each.times[n:], each.values[n:]) for each, n in zip(series, firsts, strict=True)])
    fitted = detector.fit(training)
    calibration = calibration_of(detector, training_scores(detector, fitted, training), training.offsets)
    raw = detector.score(fitted.params, scored)
    sensor = np.repeat(np.arange(len(series)), scored.lengths)
    scores, anomalous = calibration.scores(sensor, raw), calibration.anomalous(sensor, raw)
    if isinstance(detector, Expecting):
        expected = detector.expected(fitted.params, scored, calibration.threshold)
        low, high = expected.low, expected.high
    else:
        low, high = (each[sensor] for each in detector.expected_range(fitted.params))
    parts = []
    for i, first in enumerate(firsts):
        part = slice(int(scored.offsets[i]), int(scored.offsets[i + 1]))
        parts.append(
            ScoredSeries(first, raw[part], scores[part], anomalous[part], low[part], high[part], fitted.reasons[i])
        )
    return Scoring(detector.name, tuple(parts), time.process_time() - start)


def _joined(parts: Sequence[tuple[npt.NDArray[np.int64], Floats]]) -> Series:
    lengths = [len(times) for times, _ in parts]
    return Series(
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.concatenate([times for times, _ in parts]),
        np.concatenate([values for _, values in parts]),
    )
