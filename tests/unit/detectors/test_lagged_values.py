"""Laws of looking back: nothing from the future, from another sensor, or from the other part of the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.detectors.windowing.lagged_values import lagged, positions, split
from sensorwatch.detectors.windowing.series import Series

LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=6)
WIDTHS = st.integers(1, 6)


def series_of(lengths: list[int], seed: int = 0) -> Series:
    """Return sensors whose values are all different."""
    total = sum(lengths)
    values = np.random.default_rng(seed).permutation(total).astype(np.float64)
    times = np.concatenate([5 * np.arange(1, n + 1) for n in lengths]).astype(np.int64)
    return Series(np.concatenate(([0], np.cumsum(lengths))).astype(np.int64), times, values)


@given(LENGTHS, WIDTHS)
def test_a_row_is_the_last_values_of_its_own_sensor(lengths: list[int], width: int) -> None:
    series = series_of(lengths)
    rows = lagged(series, width)
    assert rows.shape == (len(series.values), width)
    for first, last in zip(series.offsets[:-1], series.offsets[1:], strict=True):
        own = series.values[first:last]
        for i in range(len(own)):
            known = own[max(0, i - width + 1) : i + 1]
            np.testing.assert_array_equal(rows[first + i], [own[0]] * (width - len(known)) + known.tolist())


@given(LENGTHS, WIDTHS, st.data())
def test_later_values_change_nothing(lengths: list[int], width: int, data: st.DataObject) -> None:
    series = series_of(lengths)
    cut = data.draw(st.integers(0, 12))
    early = positions(series) < cut
    changed = Series(series.offsets, series.times, np.where(early, series.values, -1.0))
    np.testing.assert_array_equal(lagged(changed, width)[early], lagged(series, width)[early])
    np.testing.assert_array_equal(lagged(series.kept(early), width), lagged(series, width)[early])


@given(LENGTHS, st.integers(2, 6), st.data())
def test_continuing_from_the_previous_values_equals_having_them(
    lengths: list[int], width: int, data: st.DataObject
) -> None:
    series = series_of(lengths)
    cut = data.draw(st.integers(1, 12))
    early = positions(series) < cut
    history = np.full((series.n_sensors, width - 1), np.nan)
    for i, (first, length) in enumerate(zip(series.offsets[:-1], lengths, strict=True)):
        before = series.values[first : first + min(cut, length)][-(width - 1) :]
        history[i, width - 1 - len(before) :] = before
    np.testing.assert_array_equal(lagged(series.kept(~early), width, history), lagged(series, width)[~early])


@settings(max_examples=200)
@given(st.sets(st.integers(0, 80), max_size=60), WIDTHS, st.floats(0, 1))
def test_the_two_parts_of_the_labelled_windows_share_no_value(places: set[int], width: int, share: float) -> None:
    labelled = np.array(sorted(places), np.int64)
    train, test = split(labelled, width, share)
    assert set(train) | set(test) <= places
    learned = {place - back for place in train.tolist() for back in range(width)}
    judged = {place - back for place in test.tolist() for back in range(width)}
    assert not len(train) or not len(test) or learned.isdisjoint(judged)
    assert not len(train) or not len(test) or max(train) < min(test)
    assert len(train) == len(labelled) - int(len(labelled) * share)


def test_one_value_a_row_needs_nothing_before() -> None:
    series = series_of([3, 0, 2])
    np.testing.assert_array_equal(lagged(series, 1)[:, 0], series.values)


@pytest.mark.parametrize("width", [1, 3])
def test_no_windows_give_no_rows(width: int) -> None:
    assert lagged(series_of([0, 0]), width).shape == (0, width)
