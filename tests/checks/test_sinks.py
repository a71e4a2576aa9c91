"""Checks of every alert sink, whatever receives its messages."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.alerts import FakeSink
from local_stack import pick_port, wait_until
from sink_receivers import EventHubReceiver, MailServer, WebhookServer, captured_log, running_broker

from sensorwatch.alerts.message import AlertMessage, alert_message, trial_message
from sensorwatch.alerts.ports import AlertSink
from sensorwatch.alerts.records import Alert, Incident, Notification
from sensorwatch.alerts.sinks import FACTORIES, sinks
from sensorwatch.errors import SensorwatchError
from sensorwatch.sensors.records import SensorKey, SensorStatus
from sensorwatch.settings import load_settings

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
END = 1_795_169_700
ALERT = Alert(
    alert_id="7-1795169700",
    sensor_id=7,
    opened_end=END,
    last_anomaly_end=END + 30,
    cleared_end=None,
    anomalies=4,
    peak_score=93.5,
    severity="high",
    peak_value=12.25,
    expected_low=1.5,
    expected_high=3.0,
    model_version="20261120T090000Z-0011223344556677",
    training_start=END - 86_400,
    training_end=END - 3600,
)
SENSOR = SensorStatus(7, SensorKey("press-1", "flow"), 0, NOW, NOW, "ready", "", NOW, "v1")
INCIDENT = Incident("incident-7-1795169700", "press-1", END, END + 60, None, 3, 93.5, "high", (ALERT,))
HOSTILE = SensorKey("</td><b>[x](http://evil.example)\r\nBcc: eve@evil.example\x00", "<!channel> *é* " + "x" * 40)

MESSAGES = {
    "opened": alert_message(Notification("7:opened", "opened", ALERT), SENSOR, "https://dash.example"),
    "cleared": alert_message(
        Notification("7:cleared", "cleared", replace(ALERT, cleared_end=END + 300)), SENSOR, "https://dash.example"
    ),
    "no data": alert_message(
        Notification(
            "8:opened",
            "opened",
            replace(ALERT, kind="no-data", peak_value=None, expected_low=None, expected_high=None, model_version=""),
        ),
        SENSOR,
    ),
    "incident": alert_message(Notification("incident-7:opened", "opened", ALERT, INCIDENT), SENSOR),
    "unknown sensor": alert_message(Notification("9:opened", "opened", ALERT), None),
    "hostile names": alert_message(Notification("10:opened", "opened", ALERT), replace(SENSOR, key=HOSTILE)),
    "test": trial_message("some", NOW),
}


@dataclass(frozen=True)
class Case:
    """A sink with its receiver: the settings that switch it on, what arrived, the same sink without a receiver.

    The double has no settings; ``doubles`` has it with and without a receiver.
    """

    settings: dict[str, str]
    keys: Callable[[], list[str]]
    unreachable: dict[str, str]
    doubles: tuple[FakeSink, FakeSink] | None = None

    def sink(self) -> AlertSink:
        return self.doubles[0] if self.doubles else sink_for(self.settings)

    def sink_without_receiver(self) -> AlertSink:
        if self.doubles:
            return self.doubles[1]
        if not self.unreachable:
            pytest.skip("nobody is on the other side")
        return sink_for(self.unreachable)


@contextmanager
def fake_case(_: object) -> Iterator[Case]:
    sink, away = FakeSink(), FakeSink()
    away.away = True
    yield Case({}, lambda: sink.sent, {}, (sink, away))


@contextmanager
def log_case(_: object) -> Iterator[Case]:
    with captured_log("sensorwatch.alerts") as texts:
        yield Case({}, lambda: [re.findall(r" \[(\S+)\]: ", text)[0] for text in texts], {})


def webhook_case(shape: str) -> Callable[[object], AbstractContextManager[Case]]:
    @contextmanager
    def case(_: object) -> Iterator[Case]:
        with WebhookServer() as server:
            secret = {"WEBHOOK_SECRET": "hunter2"}
            yield Case(
                {"WEBHOOKS": f"ops={shape}{server.url}?sig=hunter2"} | secret,
                lambda: server.keys,
                {"WEBHOOKS": f"ops={shape}http://127.0.0.1:{pick_port()}/?sig=hunter2"} | secret,
            )

    return case


@contextmanager
def event_hub_case(receiver: EventHubReceiver) -> Iterator[Case]:
    before, connection = len(receiver.events), receiver.connection
    away = connection.replace(connection.split("127.0.0.1:")[1].split(";")[0], str(pick_port()))
    hub = {"ALERT_EVENT_HUB_NAME": "alerts"}
    yield Case({"EventHub": connection} | hub, lambda: receiver.keys[before:], {"EventHub": away} | hub)


@contextmanager
def email_case(_: object) -> Iterator[Case]:
    common = {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_SECURITY": "none",
        "EMAIL_FROM": "sensorwatch@example.org",
        "EMAIL_TO": "ops@example.org, night@example.org",
    }
    with MailServer() as server:
        yield Case(
            common | {"SMTP_PORT": str(server.port)}, lambda: server.keys, common | {"SMTP_PORT": str(pick_port())}
        )


CASES: dict[str, Callable[[Any], AbstractContextManager[Case]]] = {
    "fake": fake_case,
    "log": log_case,
    "webhook": webhook_case(""),
    "webhook for Teams": webhook_case("teams+"),
    "webhook for Slack": webhook_case("slack+"),
    "event hub": event_hub_case,
    "email": email_case,
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventHubReceiver]:
    folder = tmp_path_factory.mktemp("hub")
    with running_broker(folder, "alerts:2") as connection, EventHubReceiver(connection, "alerts") as receiver:
        yield receiver


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    with CASES[request.param](request.getfixturevalue("hub") if request.param == "event hub" else None) as made:
        yield made


def sink_for(values: dict[str, str]) -> AlertSink:
    """The one sink that the settings switch on beside the log, or the log."""
    environment = {"DATABASE_URL": "sqlite:///:memory:", "NOTIFICATION_TIMEOUT_SECONDS": "2"} | values
    return sinks(load_settings(environment), lambda: NOW)[-1]


@pytest.fixture
def sink(case: Case) -> Iterator[AlertSink]:
    made = case.sink()
    yield made
    made.close()


def test_every_kind_of_sink_is_checked_here(hub: EventHubReceiver) -> None:
    checked = set()
    for make in CASES.values():
        with make(hub) as case:
            settings = load_settings({"DATABASE_URL": "sqlite:///:memory:"} | case.settings)
            checked |= {factory for factory in FACTORIES if tuple(factory(settings, lambda: NOW))}
    assert checked == set(FACTORIES)


def test_messages_of_every_kind_arrive_with_their_keys(case: Case, sink: AlertSink) -> None:
    for message in MESSAGES.values():
        sink.send(message)
    wait_until(lambda: len(case.keys()) >= len(MESSAGES), "all messages to arrive", 20)
    assert sorted(case.keys()) == sorted(message.key for message in MESSAGES.values())


def test_a_message_sent_twice_has_the_same_key(case: Case, sink: AlertSink) -> None:
    for _ in range(2):
        sink.send(MESSAGES["opened"])
    wait_until(lambda: len(case.keys()) == 2, "both messages to arrive", 20)
    assert set(case.keys()) == {"7:opened"}


def test_threads_may_share_a_sink(case: Case, sink: AlertSink) -> None:
    messages = [replace(MESSAGES["opened"], key=f"{number}:opened", subject=str(number)) for number in range(8)]
    messages = [replace(m, payload=dict(m.payload) | {"key": m.key}) for m in messages]
    threads = [threading.Thread(target=sink.send, args=(message,)) for message in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    wait_until(lambda: len(case.keys()) == 8, "all messages to arrive", 20)
    assert sorted(case.keys()) == [message.key for message in messages]


def test_a_sink_that_was_closed_sends_again(case: Case, sink: AlertSink) -> None:
    sink.close()
    sink.send(MESSAGES["opened"])
    sink.close()
    sink.send(MESSAGES["cleared"])
    wait_until(lambda: len(case.keys()) == 2, "both messages to arrive", 20)


def test_a_receiver_that_is_away_is_an_error_that_shows_no_secret(case: Case) -> None:
    sink = case.sink_without_receiver()
    try:
        with pytest.raises(SensorwatchError) as error:
            sink.send(MESSAGES["opened"])
    finally:
        sink.close()
    assert str(error.value)
    assert "hunter2" not in str(error.value)


def test_names_tell_sinks_apart(case: Case) -> None:
    environment = {"DATABASE_URL": "sqlite:///:memory:"} | case.settings
    made = sinks(load_settings(environment), lambda: NOW)
    names = [sink.name for sink in made]
    assert len(set(names)) == len(names)
    assert all(0 < len(name) <= 64 and name.isascii() for name in names)
    assert [sink.name for sink in made if not sink.waits] == ["log"]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_all_messages_have_the_same_members(message: AlertMessage) -> None:
    def members(value: Any) -> Any:
        return (
            {key: members(part) for key, part in value.items() if key != "incident"} if isinstance(value, dict) else 0
        )

    assert members(json.loads(json.dumps(message.payload))) == members(dict(MESSAGES["opened"].payload))
