"""Grouping of alerts into incidents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.alerts.incidents import TOP_ALERTS, Grouping, group_alerts, group_of, summarize
from sensorwatch.alerts.records import Alert, Incident, IncidentRules

RULES = IncidentRules(sensors=3, seconds=60)


def alert(sensor_id: int, opened: int, score: float = 90.0) -> Alert:
    return Alert(f"{sensor_id}-{opened}", sensor_id, opened, opened, None, 3, score, "high")


def group(*alerts: Alert, loose: tuple[Alert, ...] = (), incidents: tuple[Incident, ...] = ()) -> Grouping:
    return group_alerts({"press": alerts}, {"press": loose}, {"press": incidents}, RULES)


def test_fewer_sensors_than_it_takes_stay_alone() -> None:
    assert group(alert(1, 10), alert(2, 10)) == Grouping([], {}, frozenset())
    assert group(alert(1, 10), alert(1, 20), alert(1, 30)).joined == {}


def test_alerts_sent_before_join_the_incident_that_they_make_with_new_ones() -> None:
    found = group(alert(3, 70, 95.0), loose=(alert(1, 10), alert(2, 40), alert(4, 9)))
    assert found.joined == {"1-10": "incident-1-10", "2-40": "incident-1-10", "3-70": "incident-1-10"}
    (incident,) = found.incidents
    assert (incident.first_end, incident.last_end, incident.alerts, incident.peak_score) == (10, 70, 3, 95.0)
    assert found.opened == {"incident-1-10"}


@pytest.mark.parametrize(("opened", "joins"), [(40, True), (39, False), (160, True), (161, False)])
def test_an_open_incident_takes_in_what_opens_near_it(opened: int, joins: bool) -> None:
    incident = Incident("incident-1-100", "press", 100, 100, None, 3, 90.0, "high")
    found = group(alert(9, opened, 99.0), incidents=(incident,))
    assert bool(found.joined) is joins
    assert found.opened == frozenset()
    if joins:
        (changed,) = found.incidents
        assert (changed.alerts, changed.peak_score) == (4, 99.0)
        assert opened in {changed.first_end, changed.last_end}


def test_groups_keep_apart() -> None:
    alerts = [alert(1, 10), alert(2, 10), alert(3, 10)]
    assert group_alerts({"a": alerts[:2], "b": alerts[2:]}, {}, {}, RULES).joined == {}


@pytest.mark.parametrize(
    ("device", "pattern", "expected"),
    [
        ("berlin-7", "", "berlin-7"),
        ("berlin-7", "^([a-z]+)-", "berlin"),
        ("berlin-7", "^[a-z]+", "berlin"),
        ("7", "^[a-z]+", "7"),
        ("berlin", "berlin(-.*)?", ""),
    ],
)
def test_the_pattern_takes_the_site_from_the_devices_name(device: str, pattern: str, expected: str) -> None:
    assert group_of(device, IncidentRules(site_pattern=pattern)) == expected


def test_an_incident_shows_its_highest_alerts() -> None:
    incident = Incident("i", "press", 10, 10, None, 30, 0.0, "low")
    shown = summarize(incident, [alert(i, 10, float(i)) for i in range(30)])
    assert [each.sensor_id for each in shown.top] == list(range(29, 29 - TOP_ALERTS, -1))
    assert (shown.peak_score, shown.severity) == (29.0, "high")
    assert summarize(incident, []) == incident


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 300)), max_size=30, unique=True))
def test_every_alert_is_in_one_incident_at_most_and_counted_once(opened: list[tuple[int, int]]) -> None:
    alerts = [alert(sensor_id, end) for sensor_id, end in opened]
    found = group(*alerts)
    members = {each.incident_id: each.alerts for each in found.incidents}
    assert sum(members.values()) == len(found.joined)
    assert set(found.joined.values()) == set(members) == found.opened
    assert group(*reversed(alerts)) == found
