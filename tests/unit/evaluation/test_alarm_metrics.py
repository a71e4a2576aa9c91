from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.evaluation.alarms import AlarmFigures, alarm_figures
from sensorwatch.evaluation.episodes import alarm_spans
from sensorwatch.evaluation.nab import nab_score, probation
from sensorwatch.evaluation.range_based import range_based
from sensorwatch.evaluation.spans import spans

Spans = list[tuple[int, int]]
flags = st.lists(st.booleans(), max_size=40).map(lambda given: np.array(given, np.bool_))


def pairs(found: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> Spans:
    return list(zip(found[0].tolist(), found[1].tolist(), strict=True))


def arrays(given: Spans) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return np.array([a for a, _ in given], np.int64), np.array([b for _, b in given], np.int64)


# ---- spans -----------------------------------------------------------------------------------------------------------


@given(flags)
def test_spans_hold_the_flagged_windows_and_no_others(given: npt.NDArray[np.bool_]) -> None:
    found = pairs(spans(given))
    assert [i for first, last in found for i in range(first, last + 1)] == np.flatnonzero(given).tolist()
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(found))


@given(flags, st.integers(0, 5))
def test_an_alarm_ends_when_the_hold_is_over(given: npt.NDArray[np.bool_], hold: int) -> None:
    found = pairs(alarm_spans(given, hold))
    assert all(first - last - 1 > hold for (_, last), (first, _) in pairwise(found))
    inside = {i for first, last in found for i in range(first, last + 1)}
    assert set(np.flatnonzero(given)) <= inside
    assert all(given[first] and given[last] for first, last in found)


# ---- range-based precision and recall --------------------------------------------------------------------------------


def range_based_by_definition(of: Spans, by: Spans, alpha: float) -> float:
    rewards = []
    for first, last in of:
        pieces = [(max(a, first), min(b, last)) for a, b in by if a <= last and b >= first]
        share = sum(b - a + 1 for a, b in pieces) / (last - first + 1)
        rewards.append(alpha * bool(pieces) + (1 - alpha) * share / max(len(pieces), 1))
    return float(np.mean(rewards)) if rewards else float("nan")


@given(flags, flags, st.sampled_from((0.0, 0.2, 1.0)))
@settings(deadline=None)
def test_range_based_figures_are_what_their_definition_says(
    real: npt.NDArray[np.bool_], detected: npt.NDArray[np.bool_], alpha: float
) -> None:
    anomalies, alarms = spans(real), spans(detected)
    found = range_based(anomalies, alarms, existence_weight=alpha)
    assert found.recall == pytest.approx(range_based_by_definition(pairs(anomalies), pairs(alarms), alpha), nan_ok=True)
    assert found.precision == pytest.approx(range_based_by_definition(pairs(alarms), pairs(anomalies), 0), nan_ok=True)


def test_an_anomaly_found_in_pieces_is_worth_less_than_one_found_whole() -> None:
    anomaly = arrays([(10, 29)])
    whole = range_based(anomaly, arrays([(10, 19)]))
    pieces = range_based(anomaly, arrays([(10, 14), (20, 24)]))
    assert pieces.recall < whole.recall
    assert pieces.precision == whole.precision == 1.0


# ---- false alarms and delay ------------------------------------------------------------------------------------------


def test_alarms_are_false_where_they_meet_no_anomaly_and_late_by_their_first_window() -> None:
    times = np.arange(0, 86_401, 60)
    anomalies, alarms = arrays([(100, 199), (400, 409), (700, 709)]), arrays([(50, 60), (130, 140), (390, 402)])
    figures = alarm_figures(times, anomalies, alarms)
    assert (figures.anomalies, figures.detected, figures.alarms, figures.false_alarms) == (3, 2, 3, 1)
    assert figures.delays_seconds == (30 * 60, 0)
    assert figures.days == 1.0
    assert figures.false_alarms_per_day == 1.0
    assert figures.delay_seconds == 15 * 60


def test_figures_of_series_add_up() -> None:
    one = AlarmFigures(1, 1, 3, 2, 0.5, (60,))
    both = one + AlarmFigures(2, 0, 1, 1, 1.5, ())
    assert both == AlarmFigures(3, 1, 4, 3, 2.0, (60,))
    assert both.false_alarms_per_day == 1.5


def test_where_nothing_was_scored_or_detected_there_is_no_figure() -> None:
    none = alarm_figures(np.empty(0, np.int64), arrays([]), arrays([]))
    assert math.isnan(none.false_alarms_per_day)
    assert math.isnan(none.delay_seconds)


# ---- NAB -------------------------------------------------------------------------------------------------------------


def nab_by_definition(series: list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]]) -> float:
    """The best of all thresholds, each scored on its own."""

    def sigmoid(position: float) -> float:
        return 2 / (1 + math.exp(min(5 * position, 500))) - 1

    def total(threshold: float) -> tuple[float, int]:
        value, n_windows = 0.0, 0
        for labels, scores in series:
            start = probation(len(labels))
            windows = pairs(spans(labels))
            for first, last in windows:
                if last < start:
                    continue
                n_windows += 1
                hits = [i for i in range(max(first, start), last + 1) if scores[i] >= threshold]
                position = -(last - hits[0] + 1) / (last - first + 1) if hits else 0.0
                value += sigmoid(position) / sigmoid(-1) if hits else -1.0
            for i in range(start, len(labels)):
                if scores[i] >= threshold and not labels[i]:
                    before = [(a, b) for a, b in windows if b < i]
                    position = (i - before[-1][1]) / max(before[-1][1] - before[-1][0], 1) if before else 3.0
                    value += 0.11 * (sigmoid(position) if position < 3 else -1.0)
        return value, n_windows

    thresholds = {math.inf, *(float(x) for _, scores in series for x in scores)}
    n_windows = total(math.inf)[1]
    if not n_windows:
        return math.nan
    return 100 * (max(total(threshold)[0] for threshold in thresholds) + n_windows) / (2 * n_windows)


@given(st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=40), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_nabs_score_is_that_of_the_best_of_all_thresholds(given: list[list[tuple[bool, int]]]) -> None:
    series = [
        (np.array([label for label, _ in each], np.bool_), np.array([score for _, score in each], np.float64))
        for each in given
    ]
    assert nab_score(series).score == pytest.approx(nab_by_definition(series), nan_ok=True)


def test_nabs_score_is_100_for_detections_at_the_very_beginning_and_0_for_none() -> None:
    labels = np.zeros(1000, np.bool_)
    labels[400:500] = True
    at_once, never, late = np.zeros(1000), np.full(1000, np.nan), np.zeros(1000)
    at_once[400] = late[480] = 99.0
    assert nab_score([(labels, at_once)]).score == pytest.approx(100.0)
    assert nab_score([(labels, at_once)]).threshold == 99.0
    assert nab_score([(labels, never)]).score == 0.0
    assert 50.0 < nab_score([(labels, late)]).score < 90.0


def test_nabs_score_looks_at_nothing_in_probation() -> None:
    labels = np.zeros(1000, np.bool_)
    labels[[100, 500]] = True
    scores = np.zeros(1000)
    scores[[50, 120, 149]] = 5.0
    scores[500] = 5.0
    assert nab_score([(labels, scores)]) == nab_score([(labels, np.where(np.arange(1000) < 150, 0.0, scores))])
    assert math.isnan(nab_score([(labels[:150], scores[:150])] * 0).score)
