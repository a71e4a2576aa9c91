from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.config.detectors import canonical_json
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.lags import LONGEST_GAP, patterns
from sensorwatch.detectors.windowing.local_clock import local_seconds
from sensorwatch.detectors.windowing.seasons import find_season
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import InvalidInputError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

STEP = 300
DAY = 86_400
MONDAY = 1_767_571_200
"""2026-01-05T00:00:00Z."""


def clock(days: float, start: int = MONDAY) -> Integers:
    return start + STEP * np.arange(1, int(days * DAY / STEP) + 1, dtype=np.int64)


def office(local: Integers) -> Floats:
    """Return 1 in office hours on the wall's clock, else 0."""
    hour = local % DAY / 3600
    return ((hour > 8) & (hour <= 17)).astype(np.float64)


def noise(n: int, seed: int = 3) -> Floats:
    return np.random.default_rng(seed).normal(size=n) * 0.1


def test_a_day_is_found_and_explains_the_values() -> None:
    times = clock(4)
    values = 20 + 5 * np.sin(2 * np.pi * times / DAY) + noise(len(times))
    season = find_season(times, values, STEP, "UTC")
    assert season.seconds == DAY
    assert np.abs(values - season.at(times, "UTC")).mean() < 0.1


def test_a_week_is_found_where_the_days_differ() -> None:
    times = clock(28)
    weekend = times % (7 * DAY) // DAY >= 5
    values = np.where(weekend, 0.0, office(times)) + noise(len(times))
    season = find_season(times, values, STEP, "UTC")
    assert season.seconds == 7 * DAY
    assert find_season(times[: 9 * DAY // STEP], values[: 9 * DAY // STEP], STEP, "UTC").seconds in (0, DAY)


@pytest.mark.parametrize(
    "values",
    [
        noise(1440),
        np.cumsum(noise(1440)),
        np.full(1440, 3.0),
        np.sin(np.arange(1440) * 2 * np.pi / 100),
        np.arange(1440.0),
    ],
    ids=["noise", "walk", "constant", "another period", "trend"],
)
def test_where_there_is_no_season_none_is_found(values: Floats) -> None:
    season = find_season(clock(5), values, STEP, "UTC")
    assert season.seconds == 0
    assert not season.at(clock(5), "UTC").any()


def test_three_days_are_enough_and_fewer_are_not() -> None:
    for days, seconds in ((1.4, 0), (2.5, 0), (3.0, DAY)):
        times = clock(days)
        assert find_season(times, office(times), STEP, "UTC").seconds == seconds


@pytest.mark.parametrize("kept", ["three in ten", "without a stretch", "irregular"])
def test_missing_and_irregular_windows_leave_the_season(kept: str) -> None:
    random = np.random.default_rng(4)
    times = clock(8)
    if kept == "three in ten":
        times = times[random.random(len(times)) < 0.3]
    elif kept == "without a stretch":
        times = np.concatenate((times[:900], times[1300:]))
    else:
        times = times + random.integers(0, STEP // 5, len(times)) * 5
    values = 20 + 5 * np.sin(2 * np.pi * times / DAY) + noise(len(times))
    season = find_season(times, values, int(np.median(np.diff(times))), "UTC")
    assert season.seconds == DAY
    # What is missing is no zero: the profile stays among the values.
    assert season.profile.min() > 14


def test_a_season_follows_the_clock_through_daylight_saving() -> None:
    march = int(datetime(2026, 3, 22, tzinfo=UTC).timestamp())
    times = clock(14, march)
    local = local_seconds(times, "Europe/Zurich")
    values = office(local) + noise(len(times)) / 10
    before = times < march + 6 * DAY
    for zone, least, most in (("Europe/Zurich", 0.0, 0.05), ("UTC", 0.05, 0.2)):
        season = find_season(times[before], values[before], STEP, zone)
        assert season.seconds == DAY
        error = np.abs(values[~before] - season.at(times[~before], zone)).mean()
        assert least <= error < most


@given(
    st.integers(0, 4_000_000_000),
    st.sampled_from(
        ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
    ),
)
def test_local_clocks_are_those_of_the_time_zone(second: int, zone: str) -> None:
    moments = second + np.arange(0, 400 * DAY, 7 * 3600 + 900, dtype=np.int64)
    found = local_seconds(moments, zone) - moments
    for i in np.random.default_rng(second).integers(0, len(moments), 20).tolist():
        offset = datetime.fromtimestamp(int(moments[i]), UTC).astimezone(ZoneInfo(zone)).utcoffset()
        assert offset is not None
        assert found[i] == offset.total_seconds()


def test_a_model_keeps_the_time_zone_that_it_was_made_with() -> None:
    times = clock(10, int(datetime(2026, 3, 22, tzinfo=UTC).timestamp()))
    values = office(local_seconds(times, "Europe/Zurich")) + noise(len(times)) / 10
    trained = 6 * DAY // STEP
    series = Series(np.array([0, trained]), times[:trained], values[:trained])
    rest = Series(np.array([0, len(times) - trained]), times[trained:], values[trained:])
    for name in ("ar_season", "shift"):
        specification = canonical_json({"time_zone": "Europe/Zurich"})
        there = detector(name, specification).fit(series).params
        assert there.field("specification").to_pylist() == [specification]
        at_home = detector(name).fit(series).params
        local, utc = (detector(name).score(params, rest) for params in (there, at_home))
        # Behind the change of the clocks the day begins an hour earlier by UTC.
        assert np.sort(local)[-20:].mean() < np.sort(utc)[-20:].mean(), name


@pytest.mark.parametrize("parameters", [{"time_zone": "Mars/Olympus"}, {"time_zone": 3}, {"zone": "UTC"}])
def test_a_time_zone_that_does_not_exist_is_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match=r"`ar_season`.*parameters: .*zone"):
        detector("ar_season", canonical_json(parameters))


@given(st.lists(st.integers(1, 12), min_size=30, max_size=80), st.integers(2, 12))
def test_patterns_hold_the_last_value_over_short_gaps_and_none_over_long_ones(steps: list[int], size: int) -> None:
    times = 1000 + 10 * np.cumsum(np.array([0, *steps], dtype=np.int64))
    values = np.arange(len(times), dtype=np.float64)
    found = patterns(times, values, 10, size)
    expected = {}
    grid: list[float] = []
    for i, value in enumerate(values.tolist()):
        gap = 0 if i == 0 else steps[i - 1]
        grid = [] if gap > LONGEST_GAP else grid + [value - 1] * (gap - 1)
        grid = [*grid, value]
        if len(grid) >= size:
            expected[i] = grid[-size:]
    assert found.window.tolist() == list(expected)
    assert found.values.tolist() == list(expected.values())
