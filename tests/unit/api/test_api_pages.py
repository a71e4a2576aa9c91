"""The API: alerts and what people do with them, anomalies, incidents, runs and windows, over stored data."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from api_client import NOW, T0, Api, as_problem

from sensorwatch.alerts.records import Anomaly
from sensorwatch.alerts.state_machine import AlertRules, ScoredWindow, advance
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import TrainingOutcome
from sensorwatch.tasks.records import Run, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["api_fixtures"]

RULES = AlertRules(anomalous_windows=2, recent_windows=3, quiet_seconds=60)


def raise_alerts(api: Api, *sensor_ids: int) -> None:
    """Publish three anomalous windows of each sensor, which open an alert."""
    scored = {each: [ScoredWindow(T0 + 5 * i, 90.0, "high", True) for i in range(3)] for each in sensor_ids}
    found = [
        Anomaly(sensor_id, window.end, 20.0, window.score, window.severity, 1.0, 9.0, "v1")
        for sensor_id, windows in scored.items()
        for window in windows
    ]
    api.product.store.publish(found, [], list(sensor_ids), lambda states: advance(states, scored, RULES))


def raise_incident(api: Api, alerts: int) -> None:
    """Publish anomalous windows of so many sensors of one device at once, of higher scores the higher their number."""
    scored = {
        each: [ScoredWindow(T0 + 5 * i, 70.0 + each + i, "high", True) for i in range(3)] for each in range(alerts)
    }
    found = [
        Anomaly(sensor_id, window.end, 20.0, window.score, window.severity, 1.0, 9.0, "v1")
        for sensor_id, windows in scored.items()
        for window in windows
    ]
    api.product.store.publish(found, [], list(scored), lambda states: advance(states, scored, RULES))


def store_windows(api: Api, count: int, value: Callable[[int], float]) -> None:
    """Store the first sensor's windows, the last of which ends at ``T0``."""
    windows = []
    for i in range(count):
        end, mean = T0 - 5 * (count - 1 - i), value(i)
        windows.append(Window(0, end, 1, mean, mean, mean, mean * mean))
    counts = IngestCounts(count, count, 0, 0, 0)
    mark = OffsetCheckpoint(count, NOW - timedelta(seconds=90))
    api.product.store.commit_ingest(Partition("readings", "$Default", "0"), None, mark, windows, counts)


def test_anomalies_come_newest_first_page_by_page(api: Api) -> None:
    api.add_sensors(("a", "t"), ("b", "t"))
    raise_alerts(api, 0, 1)
    pages = api.pages("/api/anomalies", limit=4)
    rows = [(each["ts"], each["device"]) for page in pages for each in page]
    assert [len(page) for page in pages] == [4, 2]
    assert rows == sorted(set(rows), reverse=True)
    of_one = api.get("/api/anomalies", device="b", **{"from": NOW.isoformat()})["items"]
    assert [(each["device"], each["ts"]) for each in of_one] == [
        ("b", "2026-11-20T10:15:10Z"),
        ("b", "2026-11-20T10:15:05Z"),
    ]


def test_a_name_of_many_sensors_finds_what_one_of_few_does(api: Api) -> None:
    api.add_sensors(*((f"d{i}", "many") for i in range(250)), ("d0", "few"))
    raise_alerts(api, 0, 249, 250)
    for path in ("/api/alerts", "/api/anomalies"):
        assert {each["sensor_id"] for each in api.get(path, tag="many")["items"]} == {0, 249}
        assert {each["sensor_id"] for each in api.get(path, tag="few")["items"]} == {250}
        assert {each["sensor_id"] for each in api.get(path, tag="many", device="d249")["items"]} == {249}


def test_an_alert_goes_through_all_that_people_do_with_it(api: Api) -> None:
    api.add_sensors(("a", "t"))
    raise_alerts(api, 0)
    (alert,) = api.get("/api/alerts", state="open")["items"]
    path = f"/api/alerts/{alert['alert_id']}"
    steps = [
        ("acknowledge", {"comment": "on my way"}, "acknowledged"),
        ("unacknowledge", {}, "open"),
        ("silence", {"seconds": 60, "reason": "planned"}, "silenced"),
        ("unsilence", {}, "open"),
        ("comments", {"comment": "looked at it"}, "open"),
        ("feedback", {"verdict": "confirmed"}, "open"),
        ("resolve", {}, "resolved"),
    ]
    for action, body, state in steps:
        done = api.post(f"{path}/{action}", body)
        assert (done.status_code, done.json()["state"]) == (200, state), action
    final = api.get(path)
    assert (final["verdict"], final["verdict_by"], final["resolved_by"]) == ("confirmed", "local", "local")
    comments = [entry["comment"] for entry in final["history"] if entry["by"] == "local"]
    assert "on my way" in comments
    assert "looked at it" in comments
    assert api.get("/api/alerts", state="open")["items"] == []
    assert len(api.get("/api/alerts", state="resolved")["items"]) == 1
    as_problem(api.post(f"{path}/silence", {}), 400)
    as_problem(api.post("/api/alerts/none/resolve", {}), 404)


def test_incidents_come_with_their_ten_highest_alerts(api: Api) -> None:
    api.add_sensors(*(("press", f"t{i}") for i in range(12)))
    raise_incident(api, 12)
    (incident,) = api.get("/api/incidents", state="open")["items"]
    assert [alert["sensor_id"] for alert in incident["top"]] == list(range(11, 1, -1))
    assert (incident["top"][0]["device"], incident["top"][0]["tag"]) == ("press", "t11")
    assert (incident["group"], incident["alerts"], incident["score"]) == ("press", 12, incident["top"][0]["score"])
    detail = api.get(f"/api/incidents/{incident['incident_id']}")
    assert {each["sensor_id"] for each in detail.pop("items")} == set(range(12))
    assert detail == incident
    assert api.get("/api/incidents", state="closed")["items"] == []
    assert api.problem("/api/incidents/none", 404)["detail"] == "no incident `none`; /api/incidents lists them"


def test_a_silence_ends_by_itself(api: Api) -> None:
    api.add_sensors(("a", "t"))
    raise_alerts(api, 0)
    (alert,) = api.get("/api/alerts")["items"]
    silenced = api.post(f"/api/alerts/{alert['alert_id']}/silence", {"seconds": 60}).json()
    assert silenced["silenced_until"] == "2026-11-20T10:16:00Z"
    api.clock.turn(61)
    assert api.get(f"/api/alerts/{alert['alert_id']}")["state"] == "open"


def test_runs_with_their_tasks_and_logs(api: Api) -> None:
    for minute in (0, 5):
        end = NOW + timedelta(minutes=minute)
        name = f"score-{end:%Y%m%dT%H%M%SZ}"
        tasks = tuple(TaskSpec(name, f"score-{shard:06d}", "score", shard, None, end) for shard in range(3))
        api.product.store.begin_run(Run(name, "score", end, tasks), end)
    runs = [run for page in api.pages("/api/jobs", limit=1) for run in page]
    assert [run["run_id"] for run in runs] == ["score-20261120T102000Z", "score-20261120T101500Z"]
    assert sum(runs[0]["tasks"].values()) == 3
    assert api.get("/api/jobs", kind="train")["items"] == []
    path = f"/api/jobs/{runs[0]['run_id']}/tasks"
    assert [[task["shard"] for task in page] for page in api.pages(path, limit=2)] == [[0, 1], [2]]
    api.problem(f"{path}/score-000000/logs", 404)
    api.logs.texts[runs[0]["run_id"], "score-000000", "stderr"] = "naïve \n".encode()
    assert api.client.get(f"{path}/score-000000/logs").text == "naïve \n"
    api.problem("/api/jobs/none/tasks", 404)


@pytest.mark.parametrize("method", ["minmax", "lttb"])
def test_windows_are_thinned_out_and_keep_the_peak(api: Api, method: str) -> None:
    api.add_sensors(("a", "t"))
    store_windows(api, 1000, lambda i: 500.0 if i == 321 else i % 7.0)
    thin = api.get("/api/sensors/0/windows", points=50, method=method)
    assert thin["windows_in_range"] == 1000
    assert len(thin["ts"]) == len(thin["value"]) == len(thin["expected_low"]) <= 50
    assert (thin["ts"][0], thin["ts"][-1], max(thin["value"])) == (T0 - 5 * 999, T0, 500.0)
    some = api.get("/api/sensors/0/windows", **{"from": (NOW - timedelta(seconds=15)).isoformat()})
    assert some["ts"] == [T0 - 10, T0 - 5, T0]


def test_windows_of_one_of_many_sensors_are_looked_up_in_every_stretch(api: Api) -> None:
    # The shard has more sensors than are read together; between the stretches there is a month.
    api.add_sensors(*((f"d{i}", "t") for i in range(14)))
    ends = [T0 - 30 * 86_400 + 5 * i for i in range(120)] + [T0 - 5 * i for i in range(120)]
    windows = [Window(each, end, 1, 1.0, 1.0, 1.0, 1.0) for end in ends for each in (0, 1)]
    counts = IngestCounts(len(windows), len(windows), 0, 0, 0)
    mark = OffsetCheckpoint(1, NOW)
    api.product.store.commit_ingest(Partition("readings", "$Default", "0"), None, mark, windows, counts)
    assert api.get("/api/sensors/0/windows")["ts"] == sorted(ends)


def test_a_sensor_that_came_later_begins_with_its_own_first_window(api: Api) -> None:
    api.add_sensors(("a", "t"), ("b", "t"))
    ends = [(0, T0 - 600), (0, T0), (1, T0 - 60), (1, T0)]
    windows = [Window(each, end, 1, 1.0, 1.0, 1.0, 1.0) for each, end in sorted(ends, key=lambda one: one[::-1])]
    mark, counts = OffsetCheckpoint(1, NOW), IngestCounts(4, 4, 0, 0, 0)
    api.product.store.commit_ingest(Partition("readings", "$Default", "0"), None, mark, windows, counts)
    assert api.get("/api/sensors/1/windows")["first_ts"] == "2026-11-20T10:14:00Z"
    assert api.get("/api/sensors/0/windows")["first_ts"] == "2026-11-20T10:05:00Z"
    newest = api.get("/api/sensors/1/windows", **{"from": (NOW - timedelta(seconds=30)).isoformat()})
    assert (newest["ts"], newest["first_ts"]) == ([T0], "2026-11-20T10:05:00Z")


def test_a_history_beyond_all_looking_is_shown_from_its_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sensorwatch.api.windows", "sensorwatch.store.pages.sensor_history"):
        monkeypatch.setattr(f"{module}.MOST_WINDOWS", 100)
    api.add_sensors(*((f"d{i}", "t") for i in range(14)))
    store_windows(api, 300, float)
    found = api.get("/api/sensors/0/windows")
    assert found["ts"] == [T0 - 5 * i for i in reversed(range(100))]
    assert found["first_ts"] == (NOW - timedelta(seconds=5 * 299)).isoformat().replace("+00:00", "Z")
    before = (NOW - timedelta(seconds=500)).isoformat()
    assert api.get("/api/sensors/0/windows", to=before)["ts"][-1] == T0 - 500
    start = (NOW - timedelta(seconds=1200)).isoformat()
    detail = api.problem("/api/sensors/0/windows", 400, **{"from": start})["detail"]
    assert detail == "expected a range of at most 100 windows of 5 s, got a longer one; choose a shorter range"


def test_health_reports_lag_failed_sensors_and_ages(api: Api) -> None:
    api.add_sensors(("a", "t"))
    store_windows(api, 3, float)
    health = api.get("/api/health")
    assert health["watermark_lag_seconds"]["largest"] == 90.0
    assert health["failed_sensors"] == 0
    assert health["model_age_seconds"] == {"p50": None, "p90": None, "p99": None, "largest": None}


def test_health_ranks_models_by_age_and_counts_failures(api: Api) -> None:
    api.add_sensors(*((f"d{i}", "t") for i in range(10)))
    ages = [60, 10, 20, 20, 50, 30, 30, 90]
    outcomes = [TrainingOutcome(i, "ready", "", NOW - timedelta(seconds=age), "v1") for i, age in enumerate(ages)]
    api.product.store.record_training([*outcomes, TrainingOutcome(9, "failed", "constant", None, "")])
    seconds = (api.clock() - NOW).total_seconds()
    health = api.get("/api/health")
    expected = {"p50": 30.0, "p90": 90.0, "p99": 90.0, "largest": 90.0}
    assert health["model_age_seconds"] == {name: age + seconds for name, age in expected.items()}
    assert health["failed_sensors"] == 1


def test_health_reads_ages_and_failures_off_indexes(api: Api) -> None:
    statements: list[tuple[str, Any]] = []
    engine = api.product.store._database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *given: statements.append((given[2], given[3])))
    api.add_sensors(("a", "t"))
    store_windows(api, 3, float)
    api.product.store.record_training([TrainingOutcome(0, "ready", "", NOW, "v1")])
    statements.clear()
    api.get("/api/health")
    asked = [(text, given) for text, given in statements if "count(*)" in text or text.endswith("OFFSET ?")]
    asked = [(text, given) for text, given in asked if "GROUP BY" not in text and '"Sensors"' in text]
    assert len(asked) == 6
    with engine.connect() as connection:
        for text, values in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()
            assert any("USING COVERING INDEX IX_Sensors_" in row[3] for row in plan), (text, plan)


LISTS = [
    "/api/anomalies",
    "/api/anomalies?severity=high",
    "/api/anomalies?sensor_id=3",
    "/api/anomalies?suppressed=true",
    "/api/anomalies?from=2026-11-20T10:00:00Z&to=2026-11-20T11:00:00Z",
    "/api/alerts",
    "/api/alerts?state=open",
    "/api/alerts?severity=high",
    "/api/alerts?kind=no-data",
    "/api/alerts?sensor_id=3",
    "/api/incidents",
    "/api/jobs",
    "/api/jobs?kind=score",
    "/api/sensors?tag=t",
]


@pytest.mark.parametrize("path", LISTS)
def test_a_page_is_read_off_an_index_without_sorting(api: Api, path: str) -> None:
    api.add_sensors(("a", "t"))
    engine = api.product.store._database.engine
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, text: str, values: Any, *_: object) -> None:
        if " LIMIT " in text:
            asked.append((text, values))

    sa.event.listen(engine, "before_cursor_execute", note)
    api.client.get(path).raise_for_status()
    sa.event.remove(engine, "before_cursor_execute", note)
    assert asked
    with engine.connect() as connection:
        for text, values in asked:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            # One for the right part of the order only sorts what has the same time.
            assert "USE TEMP B-TREE FOR ORDER BY" not in plan, (text, plan)
            reads = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
            assert reads, (text, plan)
            assert all("INDEX" in step or "PRIMARY KEY" in step for step in reads), (text, plan)
