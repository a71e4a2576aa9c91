"""Smoothing and steps of scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.detectors.ensembles.recent_tail import HOLD_WINDOWS
from sensorwatch.detectors.ensembles.score_smoothing import ScoreSmoothing

USUAL = np.array([0.4])
rarities = st.lists(st.floats(0, 10), max_size=60)


def stepped(scores: list[float]) -> list[float]:
    smoothing = ScoreSmoothing.initial(USUAL)
    return [float(smoothing.stepped(np.array([score]), np.array([True]))[0]) for score in scores]


def smoothed(values: list[float]) -> list[float]:
    smoothing = ScoreSmoothing.initial(USUAL)
    return [float(smoothing.smoothed(np.array([value]), np.array([True]))[0]) for value in values]


@given(rarities)
def test_steps_only_lower_scores_and_change_no_decision(scores: list[float]) -> None:
    for before, after in zip(scores, stepped(scores), strict=True):
        assert after <= before
        assert (after > 3) == (before > 3)
        assert after == before or after >= 1


def test_a_rising_episode_rises_in_few_steps() -> None:
    rising = np.linspace(0.5, 9.0, 80).tolist()
    found = stepped(rising)
    assert found == sorted(found)
    assert len({score for score in found if score >= 1}) <= 9
    assert found[-1] > 0.7 * rising[-1]


def test_the_first_anomalous_window_is_a_step_of_its_own() -> None:
    assert stepped([2.9, 3.2, 3.5]) == [2.9, 3.2, 3.2]


def test_a_step_is_forgotten_when_nothing_has_reached_it_for_so_long() -> None:
    assert stepped([4.0, *[0.2] * (HOLD_WINDOWS - 1), 4.5])[-1] == 4.0
    assert stepped([4.0, *[0.2] * HOLD_WINDOWS, 4.5])[-1] == 4.5
    # One that reaches it prolongs it.
    assert stepped([4.0, *[0.2] * 60, 4.1, *[0.2] * 60, 4.5])[-1] == 4.0


@given(rarities)
def test_smoothed_rarities_lie_between_the_lowest_and_the_highest_so_far(values: list[float]) -> None:
    for i, found in enumerate(smoothed(values)):
        known = [*values[: i + 1], float(USUAL[0])]
        assert 0.5 * values[i] <= found <= max(known) + 1e-12


def test_a_lasting_deviation_counts_for_more_than_one_of_a_single_window_and_leaves_slowly() -> None:
    single, lasting = smoothed([0.4] * 20 + [4.0] + [0.4] * 40), smoothed([0.4] * 20 + [4.0] * 20 + [0.4] * 40)
    assert max(lasting) > 1.5 * max(single)
    after = lasting[40:]
    assert after == sorted(after, reverse=True)
    assert after[0] > 1.5 > after[-1] > 0.4


def test_windows_that_do_not_learn_count_for_themselves_and_change_nothing() -> None:
    smoothing = ScoreSmoothing.initial(USUAL)
    known = [each.copy() for each in smoothing]
    no = np.array([False])
    assert smoothing.smoothed(np.array([5.0]), no) == pytest.approx(5.0)
    assert np.isnan(smoothing.smoothed(np.array([np.nan]), no)).all()
    assert smoothing.stepped(np.array([5.0]), no) == pytest.approx(5.0)
    for before, after in zip(known, smoothing, strict=True):
        np.testing.assert_array_equal(before, after)
