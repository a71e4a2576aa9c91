from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.evaluation.ranking import auc_pr, vus_pr

# Made by the package `vus` 0.0.6 of the method's authors, on random labels and scores.
PUBLISHED = Path(__file__).parents[2] / "data/evaluation/vus-pr.json"


def vus_pr_by_definition(labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], largest_buffer: int) -> float:
    """VUS-PR window by window, as the method's description has it."""
    n = len(labels)
    runs: list[list[int]] = []
    for i in range(n):
        if labels[i] and i and labels[i - 1]:
            runs[-1][1] = i
        elif labels[i]:
            runs.append([i, i])
    ordered = sorted(scores, reverse=True)
    thresholds = [ordered[int(rank)] for rank in np.linspace(0, n - 1, 250)]
    areas = []
    for buffer in range(largest_buffer + 1):
        reach = buffer // 2
        weight = [float(label) for label in labels]
        merged: list[list[int]] = []
        for first, last in runs:
            for i in range(max(first - reach, 0), min(last + reach, n - 1) + 1):
                distance = max(first - i, i - last)
                if distance > 0:
                    weight[i] = min(1.0, weight[i] + math.sqrt(1 - distance / buffer))
            if merged and merged[-1][1] >= first - reach:
                merged[-1][1] = last + reach
            else:
                merged.append([max(first - reach, 0), last + reach])
        area, previous = 0.0, 0.0
        for threshold in thresholds:
            flagged = [i for i in range(n) if scores[i] >= threshold]
            true = sum(weight[i] for i in flagged)
            beside = sum(weight[i] for i in flagged if not labels[i])
            met = sum(any(first <= i <= last for i in flagged) for first, last in merged)
            recall = min(true / (labels.sum() + beside / 2), 1) * met / len(merged)
            area += (recall - previous) * true / len(flagged)
            previous = recall
        areas.append(area)
    return float(np.mean(areas))


@pytest.mark.parametrize("case", json.loads(PUBLISHED.read_text(encoding="utf-8")))
def test_vus_pr_is_that_of_the_published_package(case: dict[str, object]) -> None:
    labels = np.array([letter == "1" for letter in str(case["labels"])])
    scores = np.array(case["scores"], np.float64)
    buffer = int(str(case["largest_buffer"]))
    assert vus_pr(labels, scores, largest_buffer=buffer) == pytest.approx(case["vus_pr"], abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=1, max_size=40), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_vus_pr_is_what_its_definition_says(windows: list[tuple[bool, int]], buffer: int) -> None:
    labels = np.array([label for label, _ in windows])
    scores = np.array([score for _, score in windows], np.float64)
    if not labels.any():
        labels[0] = True
    assert vus_pr(labels, scores, largest_buffer=buffer) == pytest.approx(
        vus_pr_by_definition(labels, scores, buffer), abs=1e-12
    )


def some_labels() -> npt.NDArray[np.bool_]:
    labels = np.zeros(1000, np.bool_)
    labels[300:320] = labels[700:705] = True
    return labels


def test_a_perfect_ranking_has_an_area_of_one_and_a_random_one_that_of_the_labels() -> None:
    labels = some_labels()
    assert auc_pr(labels, labels.astype(np.float64)) == 1.0
    random = np.random.default_rng(1).random(1000)
    assert auc_pr(labels, random) < 0.1


def test_scores_a_little_beside_the_label_are_forgiven_by_vus_pr_only() -> None:
    labels = some_labels()
    late = np.roll(labels, 10).astype(np.float64)
    assert auc_pr(labels, late) < 0.4
    assert vus_pr(labels, late) > 0.5
    assert vus_pr(labels, late) > vus_pr(labels, np.roll(labels, 200).astype(np.float64))


def test_only_the_order_of_scores_matters_and_nan_ranks_last() -> None:
    labels = some_labels()
    scores = np.random.default_rng(2).normal(size=1000) + labels
    stretched = np.exp(3 * scores)
    holes = np.where(np.arange(1000) % 7 == 0, np.nan, scores)
    lowest = np.where(np.isnan(holes), -1e300, holes)
    for measure in (auc_pr, vus_pr):
        assert measure(labels, stretched) == measure(labels, scores)
        assert measure(labels, holes) == measure(labels, lowest)


def test_without_a_label_there_is_no_area() -> None:
    labels = np.zeros(10, np.bool_)
    assert math.isnan(auc_pr(labels, np.arange(10.0)))
    assert math.isnan(vus_pr(labels, np.arange(10.0)))
