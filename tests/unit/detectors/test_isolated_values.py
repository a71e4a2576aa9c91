"""Isolated values: what counts once only, in the window that they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.lags import without_isolated
from sensorwatch.detectors.windowing.series import Series

values_of_any_kind = arrays(np.float64, st.integers(0, 30), elements=st.floats(-1e6, 1e6))


@given(values_of_any_kind, st.floats(0, 1e6))
def test_only_values_beyond_both_neighbours_are_replaced_and_by_one_of_them(values: np.ndarray, least: float) -> None:
    found = without_isolated(values, least)
    assert found.shape == values.shape
    for i, (before, after) in enumerate(zip(values, found, strict=True)):
        left, right = values[max(i - 1, 0)], values[min(i + 1, len(values) - 1)]
        highest, lowest = before - max(left, right), min(left, right) - before
        assert after == before or (max(highest, lowest) > least and after in (left, right))


@given(values_of_any_kind, st.floats(0, 1e6), st.integers(0, 30))
def test_later_values_change_nothing_but_the_last(values: np.ndarray, least: float, known: int) -> None:
    part = without_isolated(values[:known], least)
    np.testing.assert_array_equal(part[:-1], without_isolated(values, least)[: max(len(part) - 1, 0)])


def test_an_infinite_limit_leaves_all_as_they_are() -> None:
    values = np.array([0.0, 1e6, 0.0])
    assert without_isolated(values, np.inf) is values


@pytest.mark.parametrize("name", ["pca_maha", "shift", "ar_season"])
def test_the_windows_behind_a_single_wild_one_score_as_if_it_had_not_been(name: str) -> None:
    random = np.random.default_rng(4)
    healthy = random.normal(20, 1, 1200)
    wild = healthy.copy()
    wild[1000] += 30
    chosen, times = detector(name), 1_700_000_100 + 300 * np.arange(1200, dtype=np.int64)

    def series(values: np.ndarray, part: slice) -> Series:
        return Series(np.array([0, len(values[part])]), times[part], values[part])

    params = chosen.fit(series(healthy, slice(0, 720))).params
    one, other = (chosen.score(params, series(each, slice(720, None)))[280:330] for each in (healthy, wild))
    highest = chosen.score(params, series(healthy, slice(720, None))).max()
    assert other[0] > 2 * highest
    assert other[1:].max() <= 1.2 * highest
    assert np.median(np.abs(other[1:] - one[1:])) < 0.1 * highest
