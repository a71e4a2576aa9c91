"""Laws of alerts over a real store: random windows, replays, restarts, clock jumps and people's actions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from fakes.clock import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.alerts.handling import AlertAction, AlertFilter, Handling
from sensorwatch.alerts.records import AlertChanges, Anomaly
from sensorwatch.alerts.state_machine import AlertRules, ScoredWindow, advance
from sensorwatch.errors import SensorwatchError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sensorwatch.alerts.records import AlertState
    from sensorwatch.store import SqlStore

RULES = AlertRules(anomalous_windows=2, recent_windows=3, quiet_seconds=30)
START = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
DELIVERY = START + timedelta(days=1)
SINK = "laws"
ACTIONS = ["acknowledge", "unacknowledge", "silence", "unsilence", "resolve", "comment", "feedback"]

windows = st.tuples(st.just("windows"), st.text(alphabet="x. ", min_size=1, max_size=12), st.integers(0, 1))
replays = st.tuples(st.just("replay"), st.integers(0, 30))
jumps = st.tuples(st.just("jump"), st.integers(-7200, 7200))
acts = st.tuples(st.just("act"), st.sampled_from(ACTIONS), st.sampled_from(["anna", "bert"]), st.integers(0, 5))
deliveries = st.tuples(st.just("deliver"))
restarts = st.tuples(st.just("restart"))
steps = st.lists(windows | windows | acts | acts | replays | jumps | deliveries | restarts, max_size=30)


@dataclass
class World:
    """Two sensors of a store, with what must never be lost."""

    store: SqlStore
    sensors: list[int]
    next_end: int = 1000
    published: list[dict[int, list[ScoredWindow]]] = field(default_factory=list)
    delivered: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)
    handled: dict[str, Handling] = field(default_factory=dict)
    entries: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def windows(self, pattern: str, sensor: int) -> None:
        found = [
            ScoredWindow(self.next_end + 5 * i, 80.0 + i, "high", c == "x") for i, c in enumerate(pattern) if c != " "
        ]
        self.next_end += 5 * len(pattern)
        self.published.append({self.sensors[sensor]: found})
        self.publish(self.published[-1])

    def publish(self, scored: Mapping[int, list[ScoredWindow]]) -> None:
        anomalies = [
            Anomaly(sensor_id, each.end, 9.0, each.score, "high", 0.0, 1.0, "v1")
            for sensor_id, found in scored.items()
            for each in found
            if each.anomalous
        ]

        def decide(states: Mapping[int, AlertState]) -> AlertChanges:
            return advance(states, scored, RULES)

        self.store.publish(anomalies, [], list(scored), decide)

    def replay(self, which: int) -> None:
        if not self.published:
            return
        before = self.snapshot()
        self.publish(self.published[which % len(self.published)])
        assert self.snapshot() == before

    def act(self, name: str, actor: str, which: int, now: datetime) -> None:
        alerts = self.alerts()
        if not alerts:
            return
        alert_id = sorted(alerts)[which % len(alerts)]
        action = AlertAction(
            name,  # type: ignore[arg-type]
            actor,
            "a word" if name == "comment" else "",
            until=now + timedelta(hours=1) if name == "silence" else None,
            verdict="expected" if name == "feedback" else None,
        )
        try:
            result = self.store.act(alert_id, action)
        except SensorwatchError:
            assert self.store.alert(alert_id).handling == self.handled[alert_id]
            return
        before = self.snapshot()
        if name != "unacknowledge":
            self.store.act(alert_id, action)
            assert self.snapshot() == before
        self.handled[alert_id] = result.handling
        self.entries[alert_id] = self.history(alert_id)

    def deliver(self) -> None:
        self.store.release_held()
        self.store.hand_out([SINK], DELIVERY)
        claimed = self.store.claim(SINK, DELIVERY, limit=10_000, lease_seconds=60)
        for one in claimed:
            self.store.settle(SINK, one, DELIVERY)
        keys = [one.notification.key for one in claimed]
        own = [key for key in keys if int(key.partition("-")[0]) in self.sensors]
        self.delivered.update(own)
        self.order.extend(own)

    # ---- what is there -----------------------------------------------------------------------------------------------

    def alerts(self) -> dict[str, Any]:
        return {
            handled.alert.alert_id: handled
            for sensor_id in self.sensors
            for handled in self.store.handled_alerts(AlertFilter(sensor_id=sensor_id), 1000)
        }

    def history(self, alert_id: str) -> list[tuple[str, str]]:
        return [(entry.actor, entry.action) for entry in self.store.alert_history(alert_id)]

    def snapshot(self) -> object:
        alerts = self.alerts()
        keys = [notification.key for notification in self.store.pending_notifications(10_000)]
        return alerts, {alert_id: self.history(alert_id) for alert_id in alerts}, keys

    def check(self) -> None:
        alerts = self.alerts()
        for alert_id, handled in alerts.items():
            self.handled.setdefault(alert_id, handled.handling)
            history = self.history(alert_id)
            actions = Counter(action for _, action in history)
            assert handled.handling == self.handled[alert_id], "what a person did is as it was"
            known = self.entries.get(alert_id, [])
            assert history[: len(known)] == known, "history only grows"
            assert actions["open"] == 1
            assert actions["resolve"] == (handled.alert.cleared_end is not None)
        for sensor_id in self.sensors:
            own = [each.alert for each in alerts.values() if each.alert.sensor_id == sensor_id]
            assert sum(alert.cleared_end is None for alert in own) <= 1, "one alert is open at most"
            episodes = sorted((alert.opened_end, alert.cleared_end or self.next_end) for alert in own)
            assert all(end <= begin for (_, end), (begin, _) in pairwise(episodes))
        assert set(self.delivered.values()) <= {1}, "nothing is told twice"
        for position, key in enumerate(self.order):
            alert_id, _, event = key.rpartition(":")
            if event == "cleared":
                assert f"{alert_id}:opened" in self.order[:position], "an end is told after its beginning"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, FakeClock, list[SqlStore]]]:
    clock, opened = FakeClock(START), list[Any]()
    yield f"sqlite:///{tmp_path_factory.mktemp('laws')}/store.db", clock, opened
    for store in opened:
        store.dispose()


NUMBERS = count()


def test_one_opening_and_one_end_an_episode_whatever_happens(place: tuple[str, FakeClock, list[SqlStore]]) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=100)
    @given(steps)
    def law(plan: list[tuple[Any, ...]]) -> None:
        world = world_after(place, plan)
        for alert_id, handled in world.alerts().items():
            silent = handled.handling.silence_id is not None
            seen.update(silent=silent, cleared=handled.alert.cleared_end is not None, delivered=len(world.delivered))
            if not silent and handled.alert.cleared_end is None:
                seen["open"] += 1
                assert world.delivered[f"{alert_id}:opened"] == 1, "an open alert that nobody silenced is told"

    law()
    assert min(seen[each] for each in ("open", "cleared", "silent", "delivered")) > 10, "plans must do something"


def world_after(place: tuple[str, FakeClock, list[SqlStore]], plan: list[tuple[Any, ...]]) -> World:
    """Return the world after these steps and after all that waits was delivered."""
    url, clock, opened = place
    clock.now = START

    def restart() -> SqlStore:
        while opened:
            opened.pop().dispose()
        opened.append(open_store(url, shard_size=1000, clock=clock))
        return opened[0]

    store = opened[0] if opened else restart()
    ids = store.sensor_ids([SensorKey(f"device-{next(NUMBERS)}", "t") for _ in range(2)])
    world = World(store, sorted(ids.values()))
    for name, *arguments in plan:
        if name == "jump":
            clock.turn(arguments[0])
        elif name == "restart":
            world.store = restart()
        elif name == "act":
            action, actor, which = arguments
            world.act(action, actor, which, clock.now)
        else:
            getattr(world, name)(*arguments)
        world.check()
    clock.now += timedelta(days=2)
    world.deliver()
    world.deliver()
    world.check()
    return world
