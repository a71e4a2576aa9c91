"""Sensors without data, flatlines and suppressed anomalies in the SQL store, and their commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from sensorwatch.alerts.no_data import NoDataOutcome, watch_no_data
from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.preview import preview_rules
from sensorwatch.alerts.publish import publish
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.cli.app import app
from sensorwatch.config.file import parse_configuration
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import ReportingProfile, SensorKey
from sensorwatch.store import SqlStore, open_store
from sensorwatch.tasks.prediction_schema import ANOMALOUS, NORMAL, prediction_schema

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
T0 = int(NOW.timestamp())
HUB = Partition("readings", "$Default", "0")
RULES = AlertRules(2, 5, 60)
POLICY = AlertPolicy(AlertDefaults(RULES))
KEYS = [SensorKey("press-1", "vibration"), SensorKey("press-2", "vibration"), SensorKey("pump-1", "pressure")]


def policy(text: str = "") -> AlertPolicy:
    configuration = parse_configuration(text, "f")
    defaults = AlertDefaults(RULES, no_data_floor_seconds=60, flatline_seconds=60)
    return AlertPolicy(defaults, configuration.alerts, configuration.downtimes)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=10, clock=lambda: NOW)
    opened.sensor_ids(KEYS)
    yield opened
    opened.dispose()


@pytest.fixture
def hear(store: SqlStore) -> Callable[..., None]:
    """Lets windows arrive."""
    marks: list[OffsetCheckpoint] = []

    def one(end: int, *sensor_ids: int) -> None:
        before = marks[-1] if marks else None
        marks.append(OffsetCheckpoint(len(marks), NOW + timedelta(seconds=len(marks))))
        windows = [Window(sensor_id, T0 + end, 1, 1.0, 1.0, 1.0, 1.0) for sensor_id in sensor_ids]
        store.commit_ingest(HUB, before, marks[-1], windows, IngestCounts(len(windows), len(windows), 0, 0, 0))

    return one


def predictions(rows: list[tuple[int, int, float, int]], *, rescored: bool = False) -> pa.Table:
    """Rows of (sensor id, end after NOW, value, prediction)."""
    return pa.Table.from_pylist(
        [
            {
                "sensor_id": sensor_id,
                "device": KEYS[sensor_id].device,
                "tag": KEYS[sensor_id].tag,
                "ts": T0 + end,
                "value": value,
                "prediction": prediction,
                "score": 90.0 if prediction == ANOMALOUS else 5.0,
                "severity": "high" if prediction == ANOMALOUS else "normal",
                "expected_low": 0.0,
                "expected_high": 10.0,
                "model_version": "v1",
                "rescored": rescored,
            }
            for sensor_id, end, value, prediction in rows
        ],
        prediction_schema(),
    )


def watch(store: SqlStore, seconds: int, text: str = "") -> NoDataOutcome:
    return watch_no_data(store=store, policy=policy(text), now=NOW + timedelta(seconds=seconds))


# ---- no data ---------------------------------------------------------------------------------------------------------


def test_an_alert_of_a_sensor_without_data_opens_once_and_clears_with_the_next_window(
    store: SqlStore, hear: Callable[..., None]
) -> None:
    store.record_reporting_profiles([ReportingProfile(0, 5, 0), ReportingProfile(1, 20, 0), ReportingProfile(2, 5, 0)])
    hear(0, 0, 1)
    assert watch(store, 60) == (0, 0)
    assert [watch(store, 61), watch(store, 61), watch(store, 90)] == [(1, 0), (0, 0), (0, 0)]
    assert [alert.alert_id for alert in store.alerts()] == [f"0-no-data-{T0}"]
    assert watch(store, 201) == (1, 0)
    hear(205, 0)
    assert [watch(store, 210), watch(store, 211)] == [(0, 1), (0, 0)]
    assert [alert.sensor_id for alert in store.alerts(open_only=True)] == [1]
    assert [alert.kind for alert in store.alerts()] == ["no-data", "no-data"]


def test_a_sensor_without_windows_or_training_is_not_watched(store: SqlStore, hear: Callable[..., None]) -> None:
    store.record_reporting_profiles([ReportingProfile(0, 5, 0)])
    hear(0, 1)
    assert watch(store, 3600) == (0, 0)


def test_a_replay_of_an_old_recording_raises_no_storm(store: SqlStore, hear: Callable[..., None]) -> None:
    store.record_reporting_profiles([ReportingProfile(i, 5, 0) for i in range(3)])
    hear(-8 * 86_400, 0, 1, 2)
    assert watch(store, 0) == (0, 0)


def test_an_alert_of_a_sensor_that_is_retired_clears(store: SqlStore, hear: Callable[..., None]) -> None:
    store.record_reporting_profiles([ReportingProfile(0, 5, 0)])
    hear(0, 0)
    assert [watch(store, 100), watch(store, 7 * 86_400), watch(store, 7 * 86_400 + 1)] == [(1, 0), (0, 0), (0, 1)]
    assert watch(store, 7 * 86_400 + 2) == (0, 0)


def test_two_processes_that_look_at_once_open_one_alert(
    store: SqlStore, hear: Callable[..., None], tmp_path: Path
) -> None:
    store.record_reporting_profiles([ReportingProfile(0, 5, 0)])
    hear(0, 0)
    other = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=10, clock=lambda: NOW)
    opened = [watch(each, 100).opened for each in (store, other)]
    other.dispose()
    assert opened == [1, 0]
    assert len(store.alerts()) == 1


# ---- publishing by the rules -----------------------------------------------------------------------------------------

EPISODE = predictions(
    [
        *((0, 5 * i, 12.0, ANOMALOUS) for i in range(1, 4)),
        *((1, 5 * i, -2.0, ANOMALOUS) for i in range(1, 4)),
        *((2, 5 * i, 20.0, ANOMALOUS) for i in range(1, 4)),
    ]
)
ABOVE = "alerts: {rules: [{name: presses, device: 'press-*', direction: above}]}"


def test_suppressed_anomalies_are_stored_with_the_reason_and_open_nothing(store: SqlStore) -> None:
    outcome = publish("a", EPISODE, store=store, policy=policy(ABOVE))
    assert (outcome.anomalies_added, outcome.alerts_opened) == (9, 2)
    assert {anomaly.sensor_id for anomaly in store.anomalies(suppressed=False)} == {0, 2}
    held_back = store.anomalies(suppressed=True)
    assert [(anomaly.sensor_id, anomaly.suppressed) for anomaly in held_back] == [
        (1, "presses: not above the expected range")
    ] * 3
    assert len(store.anomalies()) == 9


def test_sensors_alert_by_their_own_counts(store: SqlStore) -> None:
    patient = "alerts: {rules: [{device: pump-1, anomalous_windows: 4}]}"
    assert publish("a", EPISODE, store=store, policy=policy(patient)).alerts_opened == 2
    assert publish("a", EPISODE, store=store, policy=policy(patient)).alerts_opened == 0


def test_a_flat_sensor_alerts_and_clears_however_often_its_files_come(store: SqlStore) -> None:
    store.record_reporting_profiles([ReportingProfile(0, 5, 0), ReportingProfile(1, 5, None)])
    flat = predictions([(i, 5 * n, 3.0, NORMAL) for i in (0, 1, 2) for n in range(1, 20)])
    moving = predictions([(0, 5 * n, 3.0 + n % 2, NORMAL) for n in range(20, 25)])
    outcomes = [
        publish(name, file, store=store, policy=policy())
        for name, file in [("a", flat), ("a", flat), ("b", moving), ("a", flat), ("b", moving)]
    ]
    assert [(each.alerts_opened, each.alerts_cleared) for each in outcomes] == [(1, 0), (0, 0), (0, 1), (0, 0), (0, 0)]
    (alert,) = store.alerts()
    assert (alert.kind, alert.sensor_id, alert.peak_value, alert.cleared_end) == ("flatline", 0, 3.0, T0 + 105)


def test_windows_that_are_scored_again_are_no_sign_of_life(store: SqlStore) -> None:
    store.record_reporting_profiles([ReportingProfile(0, 5, 0)])
    flat = predictions([(0, 5 * n, 3.0, NORMAL) for n in range(1, 20)])
    publish("a", flat, store=store, policy=policy())
    again = predictions([(0, 50, 4.0, NORMAL)], rescored=True)
    assert publish("b", again, store=store, policy=policy()).alerts_cleared == 0


# ---- preview ---------------------------------------------------------------------------------------------------------


def test_a_preview_counts_what_publishing_under_the_other_rules_would_have_done(store: SqlStore) -> None:
    publish("a", EPISODE, store=store, policy=policy(ABOVE))
    rows = preview_rules(
        store=store, in_force=policy(ABOVE), proposed=policy(""), start=NOW, end=NOW + timedelta(days=1)
    )
    assert [(row.rule, row.suppressed, row.would_be_suppressed, row.alerts, row.would_be_alerts) for row in rows] == [
        ("settings", 0, 0, 1, 1),
        ("settings", 3, 0, 0, 1),
        ("settings", 0, 0, 1, 1),
    ]
    assert len(store.alerts()) == 2


def test_a_preview_separates_episodes_by_the_quiet_between_them(store: SqlStore) -> None:
    times = [5, 10, 60, 65, 200, 205, 400]
    publish("a", predictions([(0, end, 12.0, ANOMALOUS) for end in times]), store=store, policy=POLICY)
    store.record_reporting_profiles([ReportingProfile(0, 5, 0)])
    rules = "alerts: {rules: [{quiet_seconds: 30}]}"
    (row,) = preview_rules(
        store=store, in_force=policy(), proposed=policy(rules), start=NOW, end=NOW + timedelta(days=1)
    )
    assert (row.anomalies, row.alerts, row.would_be_alerts) == (7, 2, 3)


def test_a_preview_keeps_to_its_days(store: SqlStore) -> None:
    publish("a", EPISODE, store=store, policy=POLICY)
    assert (
        preview_rules(store=store, in_force=policy(), proposed=policy(), start=NOW - timedelta(days=1), end=NOW) == []
    )


# ---- command line ----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(store: SqlStore, tmp_path: Path) -> Callable[..., str]:
    """Runs a command over the store; the configuration is what was written to ``sensorwatch.yaml``."""

    def run(*words: str, code: int = 0) -> str:
        environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/store.db", "SHARD_SIZE": "10"}
        if (tmp_path / "sensorwatch.yaml").exists():
            environment["CONFIGURATION_FILE"] = str(tmp_path / "sensorwatch.yaml")
        settings = tmp_path / "settings.json"
        settings.write_text(json.dumps({"Values": environment}), encoding="utf-8")
        result = CliRunner().invoke(app, ["--settings", str(settings), *words])
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_rules_check_counts_the_sensors_of_each_rule(command: Callable[..., str], tmp_path: Path) -> None:
    rules = "alerts: {rules: [{device: 'press-*'}, {device: press-1}, {device: none}]}\n"
    (tmp_path / "sensorwatch.yaml").write_text(rules, encoding="utf-8")
    found = json.loads(command("rules", "check", "--json"))
    assert [(row["rule"], row["sensors"], row["matching"]) for row in found["rules"]] == [
        ("rule 1", 2, 2),
        ("rule 2", 0, 1),
        ("rule 3", 0, 0),
    ]
    assert found["without_rule"] == 1
    shown = command("rules", "check")
    assert "rule 2: never applies" in shown
    assert "rule 3: matches no known sensor" in shown


def test_rules_check_lists_everything_that_matches_no_sensor(command: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "sensorwatch.yaml").write_text(
        "detectors: [{device: nobody, detector: range}, {detector: range}]\n"
        "maintenance: [{tag: 'x[3]', from: 2026-12-01, to: 2026-12-02}]\n"
        "serving: {models: {other: {device: none, detector: range}}, rules: [{tag: nothing}]}\n"
        "machines: {components: [{tag: '?', component: comp1}]}\n",
        encoding="utf-8",
    )
    expected = [
        *("detectors.0: device `nobody`, tag `*`", "serving.rules.0: device `*`, tag `nothing`"),
        *("maintenance.0: device `*`, tag `x[3]`", "machines.components.0: device `*`, tag `?`"),
        "serving.models.other: device `none`, tag `*`",
    ]
    assert json.loads(command("rules", "check", "--json"))["unmatched"] == expected
    shown = command("rules", "check")
    assert all(f"{text}: matches no known sensor." in shown for text in expected)


def test_rules_preview_compares_a_file_with_what_is_in_force(
    command: Callable[..., str], store: SqlStore, tmp_path: Path
) -> None:
    now = int(datetime.now(UTC).timestamp())
    shifted = EPISODE.set_column(3, EPISODE.schema.field("ts"), pa.array([now - 60 + 5 * i for i in range(9)]))
    publish("a", shifted, store=store, policy=POLICY)
    (tmp_path / "other.yaml").write_text(ABOVE, encoding="utf-8")
    found = json.loads(command("rules", "preview", str(tmp_path / "other.yaml"), "--json"))
    assert {row["rule"]: (row["alerts"], row["would_be_alerts"]) for row in found["rules"]} == {
        "presses": (2, 1),
        "settings": (1, 1),
    }
    assert found["sensors"][0]["device"] == "press-2"
    assert "presses" in command("rules", "preview", str(tmp_path / "other.yaml"))


def test_suppressed_anomalies_are_listed_apart(command: Callable[..., str], store: SqlStore) -> None:
    publish("a", EPISODE, store=store, policy=policy(ABOVE))
    assert len(json.loads(command("anomalies", "--json"))) == 6
    found = json.loads(command("anomalies", "--suppressed", "--json"))
    assert {row["suppressed"] for row in found} == {"presses: not above the expected range"}


def test_the_calendar_lists_maintenance_of_files_beside_the_configuration(
    command: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "sensorwatch.yaml").write_text("maintenance: [{calendar: plan.ics, device: 'press-*'}]")
    event = ["UID:1", "DTSTART:20200101T060000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY", "SUMMARY:cleaning"]
    lines = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", *event, "END:VEVENT", "END:VCALENDAR"]
    (tmp_path / "plan.ics").write_text("\r\n".join(lines))
    found = json.loads(command("calendar", "--days", "3", "--json"))
    assert [(row["device"], row["why"], row["from"][10:]) for row in found][:3] == [
        ("press-*", "cleaning", "T06:00:00Z")
    ] * 3
