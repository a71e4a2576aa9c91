"""Outbox of the store, over SQLite, and over SQL Server where one is named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from store_cases import NOW, T0, at, keys

from sensorwatch.alerts.records import Alert, AlertChanges, Notification

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.alerts.records import ClaimedNotification
    from sensorwatch.store import SqlStore

pytest_plugins = ["store_databases"]


def tell(store: SqlStore, sensor_id: int, *, cleared: bool = False) -> str:
    """Store an alert with its notification; return the notification's key."""
    end = T0 + 5 * sensor_id
    alert = Alert(f"{sensor_id}-{end}", sensor_id, end, end, end + 300 if cleared else None, 3, 90.0, "high")
    key = f"{alert.alert_id}:{'cleared' if cleared else 'opened'}"
    told = Notification(key, "cleared" if cleared else "opened", alert)
    store.publish([], [], [], lambda _: AlertChanges([], [alert], [told]))
    return key


def claim(store: SqlStore, seconds: int = 0, *, sink: str = "ops", limit: int = 100) -> list[ClaimedNotification]:
    return store.claim(sink, at(seconds), limit=limit, lease_seconds=60)


def keys_of(claimed: list[ClaimedNotification]) -> list[str]:
    return [one.notification.key for one in claimed]


def five_seconds(failures: int) -> timedelta:
    return timedelta(seconds=5 * failures)


def test_each_notification_is_handed_out_once(store: SqlStore) -> None:
    store.sensor_ids(keys(2))
    assert store.hand_out(["ops"], NOW) == 0
    first = tell(store, 0)
    assert store.hand_out(["ops", "log"], NOW) == 1
    assert store.hand_out(["ops", "log", "later"], NOW) == 0
    second = tell(store, 1)
    assert store.hand_out(["ops", "later"], NOW) == 1
    assert keys_of(claim(store)) == [first, second]
    assert keys_of(claim(store, sink="later")) == [second]
    assert keys_of(claim(store, sink="log")) == [first]
    assert claim(store, sink="unknown") == []


def test_many_are_handed_out_at_once_in_order(store: SqlStore) -> None:
    store.sensor_ids(keys(520))
    wanted = [tell(store, number) for number in range(520)]
    assert store.hand_out(["ops"], NOW) == 520
    assert keys_of(claim(store, limit=1000)) == wanted


def test_a_claimed_notification_is_locked_until_the_lease_is_over(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    key = tell(store, 0)
    store.hand_out(["ops"], NOW)
    (first,) = claim(store)
    assert store.sinks_with_work(["ops"], at(59)) == []
    assert claim(store, 59) == []
    assert store.sinks_with_work(["log", "ops"], at(60)) == ["ops"]
    (second,) = claim(store, 60)
    assert second.notification.key == key
    # The first claim is over: it can neither give back nor put off what is the second's.
    store.release("ops", [first])
    store.postpone("ops", first, "too late", at(61), five_seconds)
    assert claim(store, 61) == []
    store.release("ops", [second])
    assert keys_of(claim(store, 61)) == [key]


def test_a_delivery_counts_even_after_its_lease(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    tell(store, 0)
    store.hand_out(["ops"], NOW)
    (first,) = claim(store)
    (second,) = claim(store, 60)
    store.settle("ops", first, at(61))
    store.settle("ops", second, at(62))
    assert store.pending_notifications() == []
    assert claim(store, 200) == []
    assert store.sink_status()[0].last_delivery == at(62)


def test_hosts_that_claim_at_once_get_different_ones(open_one: Callable[[], SqlStore]) -> None:
    stores = [open_one() for _ in range(4)]
    stores[0].sensor_ids(keys(20))
    wanted = {tell(stores[0], number) for number in range(20)}
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda one: one.hand_out(["ops"], NOW), stores)) == 20
        claims = list(pool.map(lambda one: keys_of(claim(one, limit=5)), stores))
    assert [len(found) for found in claims] == [5] * 4
    assert {key for found in claims for key in found} == wanted


def test_a_failed_try_waits_and_three_in_a_row_leave_the_sink_alone(store: SqlStore) -> None:
    store.sensor_ids(keys(4))
    wanted = [tell(store, number) for number in range(4)]
    store.hand_out(["ops", "log"], NOW)
    claimed = claim(store)
    assert [store.postpone("ops", one, "away", at(1), five_seconds) for one in claimed[:2]] == [1, 2]
    (ops,) = [status for status in store.sink_status() if status.name == "ops"]
    assert (ops.failing, ops.failures, ops.failing_since, ops.retry_at) == (False, 2, at(1), None)
    assert store.postpone("ops", claimed[2], "away", at(2), five_seconds) == 3
    store.release("ops", claimed[3:])
    (ops,) = [status for status in store.sink_status() if status.name == "ops"]
    assert (ops.failing, ops.failing_since, ops.retry_at, ops.last_error) == (True, at(1), at(7), "away")
    assert ops.waiting == 4
    assert claim(store, 6) == []
    assert store.sinks_with_work(["ops", "log"], at(6)) == ["log"]
    # Back again, it is asked with one, and a success sets all free.
    (probe,) = claim(store, 7)
    assert (probe.notification.key, probe.attempts) == (wanted[0], 1)
    assert store.settle("ops", probe, at(8)) == 3
    assert keys_of(claim(store, 8)) == wanted[1:]
    assert [status.failing for status in store.sink_status()] == [False, False]


def test_of_one_alert_the_later_waits_for_the_earlier(store: SqlStore) -> None:
    store.sensor_ids(keys(2))
    opened, other, cleared = tell(store, 0), tell(store, 1), tell(store, 0, cleared=True)
    store.hand_out(["ops"], NOW)
    first, second = claim(store)
    assert [first.notification.key, second.notification.key] == [opened, other]
    assert claim(store) == []
    store.settle("ops", first, at(1))
    assert keys_of(claim(store, 1)) == [cleared]


def test_notifications_that_are_too_old_are_given_up(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    old, leased = tell(store, 0), tell(store, 1)
    store.hand_out(["ops"], NOW)
    _, held = claim(store)
    store.release("ops", [held])
    new = tell(store, 2)
    store.hand_out(["ops"], at(100))
    assert store.give_up(at(50), at(30)) == [("ops", leased)]
    assert store.give_up(at(50), at(90)) == [("ops", old)]
    assert store.give_up(at(50), at(90)) == []
    assert [notification.key for notification in store.pending_notifications()] == [new]
