"""Learning of how sensors usually report."""

from __future__ import annotations

import doctest

import numpy as np

from sensorwatch.sensors import reporting_profile
from sensorwatch.sensors.records import ReportingProfile
from sensorwatch.sensors.reporting_profile import covered_seconds, reporting_profiles


def profile_of(*steps: int) -> ReportingProfile:
    ends = np.cumsum([1_795_169_700, *steps])
    (found,) = reporting_profiles(np.array([7]), np.array([0, len(ends)]), ends, np.zeros(len(ends)))
    return found


def test_the_examples_hold() -> None:
    result = doctest.testmod(reporting_profile)
    assert result.attempted
    assert result.failed == 0


def test_jitter_widens_the_usual_gap_and_one_outage_does_not() -> None:
    jitter = [300, 305, 310, 315] * 100
    assert profile_of(*jitter)[1:] == (308, None, 315)
    assert profile_of(*jitter, 40_000)[1:] == (310, None, 315)


def test_a_sensor_that_reports_on_change_has_a_long_usual_gap() -> None:
    gaps = np.random.default_rng(4).exponential(600, 2000).astype(int) + 5
    profile = profile_of(*gaps.tolist())
    assert 300 < profile.interval_seconds < 500
    assert 2500 < profile.usual_gap_seconds < 4500


def test_a_day_of_windows_covers_a_day_at_every_interval_and_an_outage_is_not_covered() -> None:
    for interval in (5, 60, 300, 900, 3600):
        ends = np.arange(interval, 86_401, interval)
        assert covered_seconds(ends, 5) == 86_400, interval
        outage = np.concatenate((ends, ends + 86_400 + 50_000))
        assert covered_seconds(outage, 5) == 2 * 86_400, interval
    assert covered_seconds(np.array([10]), 5) == 5
    assert covered_seconds(np.array([], np.int64), 5) == 0


def test_a_profile_of_an_earlier_version_has_its_interval_as_usual_gap() -> None:
    assert ReportingProfile(7, 60, None).usual_gap_seconds == 60
