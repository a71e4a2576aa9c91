"""Metrics of detectors on labelled series, for each series and over all series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.evaluation.alarms import AlarmFigures, alarm_figures
from sensorwatch.evaluation.episodes import alarm_spans, onset_scores
from sensorwatch.evaluation.nab import NAB_HOLD, nab_score
from sensorwatch.evaluation.range_based import range_based
from sensorwatch.evaluation.ranking import LARGEST_BUFFER, auc_pr, vus_pr
from sensorwatch.evaluation.spans import spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.evaluation.labelled_series import LabelledSeries
    from sensorwatch.evaluation.scored_series import ScoredSeries, Scoring

__all__ = ["DetectorFigures", "SeriesFigures", "compare"]


@dataclass(frozen=True, slots=True)
class SeriesFigures:
    """Metrics of a detector on the windows of one series after the training part.

    Attributes
    ----------
    vus_pr, auc_pr
        Ranking metrics (:mod:`sensorwatch.evaluation.ranking`) of the raw scores, 0-1; NaN without labels.
    range_precision, range_recall
        Range-based metrics (:mod:`sensorwatch.evaluation.range_based`) of the alarms, 0-1; the precision is NaN without
        alarms, the recall without labels.
    alarms
        Alarm figures.
    """

    vus_pr: float
    auc_pr: float
    range_precision: float
    range_recall: float
    alarms: AlarmFigures


@dataclass(frozen=True, slots=True)
class DetectorFigures:
    """Metrics of a detector over several series.

    Attributes
    ----------
    detector
        Name of the detector.
    series
        Metrics of each series.
    vus_pr, auc_pr, range_precision, range_recall
        Means over the series whose metric is not NaN.
    alarms
        Alarm figures of all series together.
    nab_score
        NAB score (standard profile) of all series, from the scores of 0-100 (:mod:`sensorwatch.evaluation.nab`).
    nab_alarm_score
        NAB score from the scores at which alarms begin or get worse
        (:func:`sensorwatch.evaluation.episodes.onset_scores`).
    cpu_seconds
        CPU time of training and scoring, in seconds.
    """

    detector: str
    series: tuple[SeriesFigures, ...]
    vus_pr: float
    auc_pr: float
    range_precision: float
    range_recall: float
    alarms: AlarmFigures
    nab_score: float
    nab_alarm_score: float
    cpu_seconds: float


def compare(
    series: Sequence[LabelledSeries], scoring: Scoring, *, hold: int, largest_buffer: int = LARGEST_BUFFER
) -> DetectorFigures:
    """Return the metrics of a detector.

    Parameters
    ----------
    series
        Labelled series, at least one.
    scoring
        The detector's scores of these series.
    hold
        Largest number of normal windows between two anomalous windows of one alarm.
    largest_buffer
        Largest buffer of VUS-PR, in windows.
    """
    figures = tuple(
        _figures(each, scored, hold, largest_buffer) for each, scored in zip(series, scoring.series, strict=True)
    )
    whole = [
        (each.labels, np.concatenate((np.full(scored.first, np.nan), scored.scores)))
        for each, scored in zip(series, scoring.series, strict=True)
    ]
    return DetectorFigures(
        detector=scoring.detector,
        series=figures,
        vus_pr=_mean([each.vus_pr for each in figures]),
        auc_pr=_mean([each.auc_pr for each in figures]),
        range_precision=_mean([each.range_precision for each in figures]),
        range_recall=_mean([each.range_recall for each in figures]),
        alarms=sum((each.alarms for each in figures), AlarmFigures(0, 0, 0, 0, 0.0, ())),
        nab_score=nab_score(whole).score,
        nab_alarm_score=nab_score([(labels, onset_scores(scores, NAB_HOLD)) for labels, scores in whole]).score,
        cpu_seconds=scoring.cpu_seconds,
    )


def _figures(series: LabelledSeries, scored: ScoredSeries, hold: int, largest_buffer: int) -> SeriesFigures:
    labels, times = series.labels[scored.first :], series.times[scored.first :]
    anomalies, alarms = spans(labels), alarm_spans(scored.anomalous, hold)
    return SeriesFigures(
        vus_pr(labels, scored.raw, largest_buffer=largest_buffer),
        auc_pr(labels, scored.raw),
        *range_based(anomalies, alarms),
        alarm_figures(times, anomalies, alarms),
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
