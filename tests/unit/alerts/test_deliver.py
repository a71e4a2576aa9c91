"""Delivering to sinks that refuse, hang and come back, over a real store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.alerts import FakeSink, HangingSink
from fakes.clock import FakeClock

from sensorwatch.alerts.deliver import DeliveryRules, Outbox
from sensorwatch.alerts.message import AlertMessage
from sensorwatch.alerts.records import Alert, AlertChanges, Notification
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import SqlStore, open_store

START = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
RULES = DeliveryRules(timeout_seconds=1, run_seconds=5, retry_seconds=10, max_age_seconds=3600)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=10, clock=clock)
    opened.sensor_ids([SensorKey(f"press-{number}", "flow") for number in range(10)])
    yield opened
    opened.dispose()


def alert(store: SqlStore, sensor_id: int, *, cleared: bool = False) -> str:
    """Store an alert's opening or clearing with its notification; return the notification's key."""
    opened = 1_795_169_700 + 5 * sensor_id
    found = Alert(
        alert_id=f"{sensor_id}-{opened}",
        sensor_id=sensor_id,
        opened_end=opened,
        last_anomaly_end=opened,
        cleared_end=opened + 300 if cleared else None,
        anomalies=3,
        peak_score=91.0,
        severity="high",
    )
    event = "cleared" if cleared else "opened"
    notification = Notification(f"{found.alert_id}:{event}", "cleared" if cleared else "opened", found)
    store.publish([], [], [], lambda _: AlertChanges([], [found], [notification]))
    return notification.key


MakeOutbox = Callable[..., Outbox]


@pytest.fixture
def outbox(store: SqlStore, clock: FakeClock) -> MakeOutbox:
    def make(*sinks: FakeSink, rules: DeliveryRules = RULES) -> Outbox:
        return Outbox(store, sinks, clock, rules)

    return make


def test_every_sink_gets_every_notification_once(store: SqlStore, outbox: MakeOutbox) -> None:
    keys = [alert(store, number) for number in range(10)]
    sinks = [FakeSink("a", waits=True), FakeSink("b", waits=True)]
    assert outbox(*sinks).deliver() == 20
    assert outbox(*sinks).deliver() == 0
    assert [sink.sent for sink in sinks] == [keys, keys]
    assert store.pending_notifications() == []


def test_more_than_one_claim_holds_is_delivered_in_one_run(store: SqlStore, outbox: MakeOutbox) -> None:
    store.sensor_ids([SensorKey(f"pump-{number}", "flow") for number in range(60)])
    keys = [alert(store, number) for number in range(70)]
    sink = FakeSink(waits=True)
    assert outbox(sink).deliver() == 70
    assert sink.sent == keys


def test_a_dead_sink_holds_up_no_other_and_gets_all_when_it_is_back(
    store: SqlStore, outbox: MakeOutbox, clock: FakeClock
) -> None:
    dead, well = FakeSink("dead", waits=True), FakeSink("well", waits=True)
    dead.away = True
    box = outbox(dead, well)
    keys = [alert(store, number) for number in range(10)]
    assert box.deliver() == 10
    assert well.sent == keys
    assert len(store.pending_notifications()) == 10
    dead.away = False
    clock.turn(10)
    box.deliver()
    assert sorted(dead.sent) == sorted(keys)
    assert well.sent == keys
    assert store.pending_notifications() == []


def test_a_dead_sink_is_left_alone_for_longer_and_longer(store: SqlStore, outbox: MakeOutbox, clock: FakeClock) -> None:
    sink = FakeSink(waits=True)
    sink.away = True
    box = outbox(sink)
    for number in range(10):
        alert(store, number)
    box.deliver()
    tries = [sink.tries]
    for _ in range(30):
        clock.turn(5)
        box.deliver()
        tries.append(sink.tries)
    # Three at once, then one after 10, 20, 40 and 80 seconds.
    assert [5 * number for number in range(1, 31) if tries[number] > tries[number - 1]] == [10, 30, 70, 150]
    assert tries[-1] == 3 + 4


def test_a_dead_sink_is_reported_once_and_its_return_too(
    store: SqlStore, outbox: MakeOutbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sink = FakeSink("ops", waits=True)
    sink.away = True
    box = outbox(sink)
    for number in range(5):
        alert(store, number)
    with caplog.at_level(logging.WARNING, "sensorwatch.alerts.deliver"):
        for _ in range(20):
            box.deliver()
            clock.turn(30)
        (status,) = store.sink_status()
        assert (status.failing, status.failing_since, status.last_error) == (True, START, "the sink is away")
        assert status.waiting == 5
        sink.away = False
        clock.turn(600)
        box.deliver()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "sink ops is failing; its notifications wait: the sink is away"),
        ("WARNING", "sink ops accepts notifications again"),
    ]
    (status,) = store.sink_status()
    assert (status.failing, status.failing_since, status.waiting, status.last_delivery) == (False, None, 0, clock.now)


def test_a_cleared_alert_waits_for_its_opening(store: SqlStore, outbox: MakeOutbox, clock: FakeClock) -> None:
    sink = FakeSink(waits=True)
    opened, other = alert(store, 0), alert(store, 1)
    cleared = alert(store, 0, cleared=True)
    sink.refused = [opened]
    box = outbox(sink)
    box.deliver()
    assert sink.sent == [other]
    sink.refused = ()
    box.deliver()
    assert sink.sent == [other]
    clock.turn(10)
    box.deliver()
    assert sink.sent == [other, opened, cleared]


def test_a_sink_that_hangs_does_not_hold_the_run_and_what_it_does_later_counts(
    store: SqlStore, outbox: MakeOutbox, clock: FakeClock
) -> None:
    hanging, well = HangingSink("hanging"), FakeSink("well", waits=True)
    rules = DeliveryRules(timeout_seconds=1, run_seconds=1.5)
    box = outbox(hanging, well, rules=rules)
    key = alert(store, 0)
    assert box.deliver() == 1
    assert well.sent == [key]
    assert box.deliver() == 0
    before = [thread for thread in threading.enumerate() if thread.name == "sink-hanging"]
    assert len(before) == 1
    hanging.let_go.set()
    before[0].join(20)
    assert hanging.sent == [key]
    assert store.pending_notifications() == []
    clock.turn(600)
    assert box.deliver() == 0


def test_a_sink_that_hangs_takes_few_threads_however_often_it_is_tried(
    store: SqlStore, outbox: MakeOutbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = HangingSink("hanging")
    box = outbox(hanging, rules=DeliveryRules(timeout_seconds=1, run_seconds=0.4))
    keys = {alert(store, number) for number in range(5)}
    for _ in range(5):
        box.deliver()
        clock.turn(60)
    threads = [thread for thread in threading.enumerate() if thread.name == "sink-hanging"]
    assert len(threads) == 2
    assert "sink hanging is still busy with earlier deliveries" in caplog.text
    hanging.let_go.set()
    for thread in threads:
        thread.join(20)
    clock.turn(600)
    box.deliver()
    assert set(hanging.sent) == keys
    assert store.pending_notifications() == []


def test_an_unexpected_error_in_a_sink_is_a_failed_try(store: SqlStore, outbox: MakeOutbox, clock: FakeClock) -> None:
    class Mistaken(FakeSink):
        def send(self, message: AlertMessage) -> None:
            self.tries += 1
            if self.tries == 1:
                raise KeyError("mistake")
            super().send(message)

    sink = Mistaken()
    first, second = alert(store, 0), alert(store, 1)
    box = outbox(sink)
    assert box.deliver() == 1
    assert store.sink_status()[0].last_error == "KeyError: 'mistake'"
    clock.turn(10)
    assert box.deliver() == 1
    assert sink.sent == [second, first]


def test_a_sink_switched_on_later_gets_what_comes_then(store: SqlStore, outbox: MakeOutbox) -> None:
    first, later = FakeSink("first", waits=True), FakeSink("later", waits=True)
    first.away = True
    before = alert(store, 0)
    outbox(first).deliver()
    after = alert(store, 1)
    outbox(first, later).deliver()
    assert later.sent == [after]
    assert before in {notification.key for notification in store.pending_notifications()}


def test_a_notification_is_given_up_and_reported_when_it_is_too_old(
    store: SqlStore, outbox: MakeOutbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sink = FakeSink("ops", waits=True)
    opened = alert(store, 0)
    cleared = alert(store, 0, cleared=True)
    sink.refused = [opened]
    box = outbox(sink)
    box.deliver()
    clock.turn(3601)
    late = alert(store, 1)
    box.deliver()
    assert sink.sent == [late]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        f"sink ops did not accept notification {key} in time; it is dropped" for key in (opened, cleared)
    ]
    assert store.pending_notifications() == []


def test_two_processes_delivering_at_once_send_each_notification_once(store: SqlStore, outbox: MakeOutbox) -> None:
    keys = [alert(store, number) for number in range(10)]
    sink = FakeSink(waits=True)
    boxes = [outbox(sink) for _ in range(4)]
    threads = [threading.Thread(target=box.deliver) for box in boxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(sink.sent) == sorted(keys)


def test_a_sink_that_does_not_wait_is_called_where_the_host_listens(store: SqlStore, outbox: MakeOutbox) -> None:
    quick, slow = FakeSink("quick"), FakeSink("slow", waits=True)
    alert(store, 0)
    outbox(quick, slow).deliver()
    assert quick.threads == {threading.current_thread().name}
    assert slow.threads == {"sink-slow"}


def test_a_run_ends_when_its_time_is_over_and_gives_back_the_rest(store: SqlStore, clock: FakeClock) -> None:
    times = iter([0.0, 0.0, 0.0, 0.0, 9.0, *[9.0] * 50])
    sink = FakeSink()
    keys = [alert(store, number) for number in range(5)]
    assert Outbox(store, [sink], clock, RULES, monotonic=lambda: next(times)).deliver() == 2
    assert Outbox(store, [sink], clock, RULES).deliver() == 3
    assert sink.sent == keys
