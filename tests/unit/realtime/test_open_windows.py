"""State of a partition's sensors, compared with windows that are computed one reading at a time."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.realtime.open_windows import NO_WINDOW, Arrivals, OpenWindows, Touched
from sensorwatch.sensors.windows import WindowColumns

HISTORY = 3
NOTHING = WindowColumns(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))

Reading = tuple[int, int, float]
"""Sensor, number of its window, value."""

batches = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(-50, 50).map(float)), min_size=1, max_size=12),
    min_size=1,
    max_size=8,
)


def arrivals(readings: list[Reading], first_number: int = 0) -> Arrivals:
    return Arrivals(
        np.arange(first_number, first_number + len(readings)),
        np.array([sensor for sensor, _, _ in readings]),
        np.array([5 * window for _, window, _ in readings]),
        np.array([value for _, _, value in readings]),
    )


def add(
    windows: OpenWindows, given_: Arrivals, stored: WindowColumns = NOTHING, number: int = -1, commit: bool = True
) -> Touched:
    unknown = windows.unknown(given_.sensor_id)
    if len(unknown):
        first = {int(each): int(given_.end[given_.sensor_id == each].min()) for each in unknown}
        windows.load(first, stored, number, {}, set())
    touched = windows.touch(given_)
    if commit:
        windows.commit(touched, np.ones(len(touched.sensor_id), np.bool_), {}, {})
    return touched


def means(touched: Touched) -> dict[tuple[int, int], tuple[float, int]]:
    return {
        (int(touched.sensor_id[sensor]), int(end)): (float(value), int(readings))
        for each in touched.rounds
        for sensor, end, value, readings in zip(each.sensor, each.end, each.value, each.readings, strict=True)
    }


@given(batches)
def test_every_window_is_the_mean_of_its_readings_so_far(stream: list[list[Reading]]) -> None:
    windows = OpenWindows(HISTORY, limit=100)
    values: dict[tuple[int, int], list[float]] = defaultdict(list)
    newest: dict[int, int] = {}
    for batch in stream:
        touched = add(windows, arrivals(batch))
        expected: set[tuple[int, int]] = set()
        late = 0
        for sensor, window, value in batch:
            if window * 5 < newest.get(sensor, NO_WINDOW):
                late += 1
                continue
            values[sensor, 5 * window].append(value)
            expected.add((sensor, 5 * window))
        for sensor, window in expected:
            newest[sensor] = max(newest.get(sensor, NO_WINDOW), window)
        found = means(touched)
        assert found.keys() == expected
        assert touched.late == late
        for key, (mean, readings) in found.items():
            assert readings == len(values[key])
            assert mean == pytest.approx(sum(values[key]) / len(values[key]), abs=1e-9)


@given(batches)
def test_the_windows_before_one_are_the_last_that_were_closed(stream: list[list[Reading]]) -> None:
    windows = OpenWindows(HISTORY, limit=100)
    values: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for batch in stream:
        touched = add(windows, arrivals(batch))
        newest = {sensor: max(seen, default=NO_WINDOW) for sensor, seen in values.items()}
        for sensor, window, value in batch:
            if 5 * window >= newest.get(sensor, NO_WINDOW):
                values[sensor][5 * window].append(value)
        for each in touched.rounds:
            for at, place in enumerate(each.sensor):
                sensor, end = int(touched.sensor_id[place]), int(each.end[at])
                before = sorted(seen for seen in values[sensor] if seen < end)[-HISTORY:]
                kept = each.past_end[at] != NO_WINDOW
                assert each.past_end[at][kept].tolist() == before
                assert each.past_value[at][kept] == pytest.approx(
                    [np.mean(values[sensor][seen]) for seen in before], abs=1e-9
                )


def test_a_batch_that_is_not_committed_changes_nothing() -> None:
    windows = OpenWindows(HISTORY, limit=100)
    add(windows, arrivals([(0, 1, 4.0)]))
    once = add(windows, arrivals([(0, 1, 8.0), (0, 2, 1.0)]), commit=False)
    again = add(windows, arrivals([(0, 1, 8.0), (0, 2, 1.0)]))
    assert means(once) == means(again) == {(0, 5): (6.0, 2), (0, 10): (1.0, 1)}


def test_readings_in_the_stored_window_are_not_added_again() -> None:
    stored = WindowColumns(np.array([7, 7]), np.array([5, 10]), np.array([1.0, 3.0]), np.array([2, 2]))
    windows = OpenWindows(HISTORY, limit=100)
    given_ = Arrivals(np.array([41, 42, 43]), np.array([7, 7, 7]), np.array([10, 10, 10]), np.array([2.0, 4.0, 9.0]))
    touched = add(windows, given_, stored, number=42)
    assert means(touched) == {(7, 10): (5.0, 3)}
    assert touched.rounds[0].past_end[0].tolist() == [NO_WINDOW, NO_WINDOW, 5]
    assert touched.rounds[0].arrived.tolist() == [3]


def test_the_least_recently_used_sensors_are_evicted_first() -> None:
    windows = OpenWindows(HISTORY, limit=8)
    add(windows, arrivals([(sensor, 1, 1.0) for sensor in range(8)]))
    add(windows, arrivals([(sensor, 1, 1.0) for sensor in range(1, 8)]))
    add(windows, arrivals([(8, 1, 1.0)]))
    assert len(windows) == 8
    assert windows.unknown(np.arange(9)).tolist() == [0]
    assert means(add(windows, arrivals([(5, 1, 4.0)]))) == {(5, 5): (2.0, 3)}


@given(st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=10), min_size=1, max_size=20))
def test_no_more_sensors_are_kept_than_asked_for(stream: list[list[int]]) -> None:
    windows = OpenWindows(HISTORY, limit=10)
    for batch in stream:
        add(windows, arrivals([(sensor, 1, 1.0) for sensor in batch]))
        assert len(windows) <= 10
