from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.ingestion.decode import TICKS_PER_SECOND
from sensorwatch.ingestion.records import Window
from sensorwatch.ingestion.windows import aggregate, merge, summarise, window_end

lengths = st.sampled_from([1, 2, 5, 7, 60, 3600, 86_400])
values = st.lists(st.integers(-10_000, 10_000).map(lambda n: n / 8), min_size=1, max_size=10)


@pytest.mark.parametrize(
    ("ticks", "end"),
    [(0, 0), (1, 5), (49_999_999, 5), (50_000_000, 5), (50_000_001, 10), (-1, 0), (-50_000_000, -5), (-49_999_999, 0)],
)
def test_a_window_holds_its_end_but_not_its_start(ticks: int, end: int) -> None:
    assert window_end(ticks, 5) == end


@given(st.integers(-(10**18), 10**18), lengths)
def test_every_time_lies_in_exactly_one_window(ticks: int, window_seconds: int) -> None:
    end = window_end(ticks, window_seconds)
    assert end % window_seconds == 0
    assert (end - window_seconds) * TICKS_PER_SECOND < ticks <= end * TICKS_PER_SECOND


@given(st.permutations([0.1, 0.2, 0.3, 1e16, -1e16, 1e-9]))
def test_the_order_of_values_does_not_matter_to_the_last_bit(shuffled: list[float]) -> None:
    assert summarise(1, 5, shuffled) == summarise(1, 5, sorted(shuffled))


def test_readings_as_columns_become_a_window_for_each_sensor_and_end() -> None:
    windows = aggregate([2, 1, 1, 1], [5, 10, 5, 10], [1.0, 2.0, 3.0, 4.0])
    assert sorted(windows) == [summarise(1, 5, [3.0]), summarise(1, 10, [2.0, 4.0]), summarise(2, 5, [1.0])]
    assert Window(1, 10, 2, 6.0, 2.0, 4.0, 20.0) in windows


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(-1e150, 1e150).map(lambda x: x + 0.0))))
def test_readings_as_columns_give_what_each_windows_values_give(readings: list[tuple[int, int, float]]) -> None:
    grouped: dict[tuple[int, int], list[float]] = {}
    for sensor_id, end, value in readings:
        grouped.setdefault((sensor_id, end), []).append(value)
    expected = [summarise(*key, column) for key, column in grouped.items()]
    windows = aggregate(*([list(column) for column in zip(*readings, strict=True)] if readings else ([], [], [])))
    assert sorted(map(repr, windows)) == sorted(map(repr, expected))


@given(values, values, values)
def test_merging_is_associative_and_order_free(first: list[float], second: list[float], third: list[float]) -> None:
    one, two, three = (summarise(1, 5, part) for part in (first, second, third))
    whole = summarise(1, 5, first + second + third)
    for merged in (merge(merge(one, two), three), merge(one, merge(three, two))):
        assert (merged.readings, merged.minimum, merged.maximum) == (whole.readings, whole.minimum, whole.maximum)
        assert math.isclose(merged.total, whole.total, abs_tol=1e-9)
        assert math.isclose(merged.sum_of_squares, whole.sum_of_squares)


def test_windows_of_different_sensors_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="same sensor and end"):
        merge(summarise(1, 5, [1.0]), summarise(2, 5, [1.0]))
