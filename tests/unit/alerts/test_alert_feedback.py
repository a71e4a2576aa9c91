"""Tolerance that a verdict creates, and anomalies that alert in spite of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sensorwatch.alerts.feedback import suppress, tolerance_for
from sensorwatch.alerts.handling import Tolerance
from sensorwatch.alerts.records import Alert, Anomaly

ALERT = Alert(
    *("3-10", 3, 10, 40, None, 4, 90.0, "high"),
    peak_value=15.0,
    expected_low=0.0,
    expected_high=10.0,
    model_version="v1",
)
LIKE = Anomaly(3, 50, 15.0, 90.0, "high", 0.0, 10.0, "v1")


def tolerance(alert: Alert = ALERT, *anomalies: Anomaly) -> Tolerance:
    found = tolerance_for(alert, "false-alarm", anomalies, "v1", 40)
    assert found is not None
    return found


def suppressed(anomaly: Anomaly, by: Tolerance | None = None) -> bool:
    (judged,) = suppress([anomaly], {3: [by or tolerance()]})
    assert replace(judged, suppressed="") == anomaly
    return judged.suppressed != ""


@pytest.mark.parametrize(
    ("anomaly", "expected"),
    [
        (LIKE, True),
        (replace(LIKE, value=15.5), True),
        (replace(LIKE, value=15.51), False),
        (replace(LIKE, value=-1.0), False),
        (replace(LIKE, value=11.0, score=99.0), True),
        (replace(LIKE, end=40), False),
        (replace(LIKE, model_version="v2"), False),
        (replace(LIKE, sensor_id=4), False),
    ],
)
def test_only_windows_like_those_of_the_alert_are_tolerated(anomaly: Anomaly, expected: bool) -> None:
    assert suppressed(anomaly) is expected


def test_the_farthest_window_of_the_episode_counts_below_the_range_too() -> None:
    below = replace(ALERT, peak_value=-5.0)
    found = tolerance(below, replace(LIKE, value=-10.0), replace(LIKE, value=99.0))
    assert (found.direction, found.value_limit) == ("below", -11.0)
    assert suppressed(replace(LIKE, value=-10.9), found)
    assert not suppressed(replace(LIKE, value=-11.1), found)


def test_without_a_range_the_score_is_the_limit() -> None:
    found = tolerance(replace(ALERT, expected_low=None, expected_high=None))
    plain = replace(LIKE, expected_low=None, expected_high=None)
    assert suppressed(plain, found)
    assert not suppressed(replace(plain, score=90.1), found)


def test_a_verdict_that_was_replaced_holds_for_the_windows_of_its_time() -> None:
    ended = replace(tolerance(), until_end=60)
    assert suppressed(replace(LIKE, end=60), ended)
    assert not suppressed(replace(LIKE, end=61), ended)


def test_a_suppressed_anomaly_keeps_its_reason() -> None:
    (judged,) = suppress([replace(LIKE, suppressed="maintenance")], {3: [tolerance()]})
    assert judged.suppressed == "maintenance"
    (judged,) = suppress([LIKE], {3: [tolerance()]})
    assert judged.suppressed == "feedback false-alarm on 3-10"


def test_a_confirmed_alert_and_one_without_a_model_make_nothing_tolerated() -> None:
    assert tolerance_for(ALERT, "confirmed", [], "v1", 40) is None
    assert tolerance_for(ALERT, "expected", [], "", 40) is None
    assert tolerance_for(replace(ALERT, kind="no-data"), "expected", [], "v1", 40) is None
