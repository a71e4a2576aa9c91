from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.models.training.ranges import training_ranges

BEGIN = datetime(2018, 1, 1, tzinfo=UTC)
newest_windows = st.dictionaries(
    st.integers(1, 50), st.integers(0, 100_000).map(lambda seconds: BEGIN + timedelta(seconds=seconds)), max_size=20
)


@given(newest_windows, st.integers(1, 20_000))
def test_every_sensors_range_lies_in_the_one_range_that_names_it(
    newest: dict[int, datetime], training_seconds: int
) -> None:
    ranges = training_ranges(newest, training_seconds)
    assert sorted(sensor_id for found in ranges for sensor_id in found.sensor_ids) == sorted(newest)
    length = timedelta(seconds=training_seconds)
    for found in ranges:
        for sensor_id in found.sensor_ids:
            assert found.start <= newest[sensor_id] - length
            assert newest[sensor_id] <= found.end


@given(newest_windows, st.integers(1, 20_000))
def test_no_range_is_longer_than_one_and_a_half_trainings(newest: dict[int, datetime], training_seconds: int) -> None:
    for found in training_ranges(newest, training_seconds):
        assert found.end - found.start <= 1.5 * timedelta(seconds=training_seconds)


def test_sensors_that_end_together_are_read_together() -> None:
    newest = {sensor_id: BEGIN + timedelta(seconds=5 * sensor_id) for sensor_id in range(1, 1001)}
    assert len(training_ranges(newest, 86_400)) == 1
