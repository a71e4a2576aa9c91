"""Runs, anomalies and alerts of the store, over SQLite, and over SQL Server where one is named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from store_cases import HUB, NOTHING, NOW, T0, as_rows, at, checkpoint, columns, counts, keys, run_of, spec, window

from sensorwatch.alerts.records import Alert, AlertChanges, AlertState, Anomaly, Notification, PublishOutcome
from sensorwatch.sensors.records import TrainingOutcome
from sensorwatch.tasks.records import TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sensorwatch.store import SqlStore
    from sensorwatch.tasks.records import Kind

pytest_plugins = ["store_databases"]


# ---- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_begins_once(store: SqlStore) -> None:
    run = run_of(spec("score-1", 0, 60), spec("score-1", 3, 60, start=5))
    assert store.begin_run(run, NOW) is True
    assert store.begin_run(run, at(9)) is False
    assert store.open_runs() == [run]
    (summary,) = store.runs()
    assert (summary.run_id, summary.kind, summary.window_end, summary.created_at) == ("score-1", "score", at(60), NOW)
    assert (summary.submitted, summary.ended_at) == (False, None)
    assert summary.tasks == {"planned": 2, "running": 0, "succeeded": 0, "failed": 0}
    assert [(task.spec, task.state, task.seconds, task.detail) for task in store.tasks("score-1")] == [
        (task, "planned", None, "") for task in run.tasks
    ]
    assert store.tasks("unknown") == []


def test_planners_racing_for_a_run_begin_it_once(open_one: Callable[[], SqlStore]) -> None:
    stores = [open_one() for _ in range(4)]
    run = run_of(*(spec("score-1", shard, 60) for shard in range(5)))
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda one: one.begin_run(run, NOW), stores)) == [False, False, False, True]
    assert stores[0].open_runs() == [run]


def test_a_run_goes_from_planned_to_ended(store: SqlStore) -> None:
    run = run_of(spec("train-1", 0, 60, "train"), spec("train-1", 1, 60, "train"), spec("train-1", 2, 60, "train"))
    store.begin_run(run, NOW)
    results = [
        TaskResult("shard-000000", True, 0, 0, 1.5, ""),
        TaskResult("shard-000001", False, 1, 2, 0.1, "Traceback: é"),
        TaskResult("unknown", True, 0, 0, 1.0, ""),
    ]
    for _ in range(2):
        store.mark_submitted("train-1")
        store.record_results("train-1", results)
    assert store.runs()[0].submitted is True
    assert store.open_runs() == [run]
    store.end_run("train-1", at(30))
    store.end_run("train-1", at(99))
    assert [(t.state, t.exit_code, t.retries, t.seconds, t.detail) for t in store.tasks("train-1")] == [
        ("succeeded", 0, 0, 1.5, ""),
        ("failed", 1, 2, 0.1, "Traceback: é"),
        ("failed", None, 0, None, ""),
    ]
    assert store.open_runs() == []
    assert store.runs()[0].ended_at == at(30)
    assert store.runs()[0].tasks == {"planned": 0, "running": 0, "succeeded": 1, "failed": 2}
    store.record_results("train-1", [])


def test_runs_are_listed_newest_first(store: SqlStore) -> None:
    for i in range(4):
        kind: Kind = "train" if i % 2 else "score"
        store.begin_run(run_of(spec(f"run-{i}", 0, 60, kind)), at(i))
    assert [run.run_id for run in store.runs()] == ["run-3", "run-2", "run-1", "run-0"]
    assert [run.run_id for run in store.runs("train")] == ["run-3", "run-1"]
    assert [run.run_id for run in store.runs(limit=1)] == ["run-3"]
    assert [run.run_id for run in store.open_runs()] == ["run-0", "run-1", "run-2", "run-3"]


# ---- planning and scoring --------------------------------------------------------------------------------------------


def test_shard_activity_says_what_is_due(store: SqlStore) -> None:
    assert store.shard_activity() == []
    store.sensor_ids(keys(23))
    store.commit_ingest(
        HUB, None, checkpoint(1), [window(s, e, 1.0) for s in (0, 1, 2, 12) for e in (5, 10)], counts(8)
    )
    store.record_training(
        [
            TrainingOutcome(0, "ready", "", at(10), "v1"),
            TrainingOutcome(1, "ready", "", at(5), "v1"),
            TrainingOutcome(2, "warming", "", None, ""),
        ]
    )
    score = run_of(spec("score-1", 0, 10))
    store.begin_run(score, NOW)
    store.begin_run(run_of(spec("train-1", 0, 10, "train"), spec("train-1", 1, 10, "train")), NOW)
    store.record_results("train-1", [TaskResult("shard-000001", True, 0, 0, 1.0, "")])
    store.commit_ingest(
        HUB, checkpoint(1), checkpoint(2), [window(0, 10, 1.0), window(1, 5, 1.0), window(1, 15, 1.0)], counts(3)
    )
    zero, one, two = store.shard_activity()
    assert (zero.shard, zero.sensors, zero.last_window, zero.untrained_sensors, zero.trained_sensors) == (
        0,
        10,
        at(15),
        2,
        2,
    )
    assert (zero.scored_until, zero.rescore_windows, zero.active_kinds) == (None, 2, frozenset({"score", "train"}))
    assert (one.shard, one.sensors, one.last_window, one.untrained_sensors, one.active_kinds) == (
        1,
        10,
        at(10),
        1,
        frozenset(),
    )
    assert (two.shard, two.sensors, two.last_window, two.untrained_sensors) == (2, 3, None, 0)
    store.complete_scoring(score.tasks[0], columns((0, 10, 2)))
    store.end_run("score-1", NOW)
    zero = store.shard_activity()[0]
    assert (zero.scored_until, zero.rescore_windows, zero.active_kinds) == (at(10), 1, frozenset({"train"}))


def test_windows_that_change_after_planning_are_scored_again(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    store.commit_ingest(HUB, None, checkpoint(1), [window(0, e, 1.0) for e in (5, 10, 15)], counts(3))
    task = spec("score-1", 0, 10)
    store.begin_run(run_of(task), NOW)
    assert as_rows(store.read_rescore_windows(0, at(100))) == []
    store.commit_ingest(HUB, checkpoint(1), checkpoint(2), [window(0, e, 3.0) for e in (1, 5, 15)], counts(3))
    assert as_rows(store.read_rescore_windows(0, at(100))) == [(0, 1, 3.0, 1), (0, 5, 2.0, 2)]
    assert as_rows(store.read_rescore_windows(0, at(4))) == [(0, 1, 3.0, 1)]


def test_a_window_that_changes_while_it_is_scored_keeps_its_mark(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    store.record_training([TrainingOutcome(0, "ready", "", at(0), "v1")])
    task = spec("score-1", 0, 10)
    store.begin_run(run_of(task), NOW)
    store.commit_ingest(HUB, None, checkpoint(1), [window(0, 5, 1.0), window(0, 10, 1.0)], counts(2))
    read = store.read_rescore_windows(0, at(10))
    store.commit_ingest(HUB, checkpoint(1), checkpoint(2), [window(0, 10, 4.0)], counts(1))
    for _ in range(2):
        store.complete_scoring(task, read)
        assert as_rows(store.read_rescore_windows(0, at(10))) == [(0, 10, 2.5, 2)]
    store.complete_scoring(task, store.read_windows(0, None, at(10)))
    assert as_rows(store.read_rescore_windows(0, at(10))) == []


def test_a_first_training_marks_the_windows_after_it_that_scoring_has_passed(store: SqlStore) -> None:
    store.sensor_ids(keys(12))
    windows = [window(sensor_id, end, 1.0) for sensor_id in (0, 1, 2, 11) for end in (5, 10, 15, 20)]
    store.commit_ingest(HUB, None, checkpoint(1), windows, counts(16))
    store.record_training([TrainingOutcome(1, "ready", "", at(5), "v1")])
    task = spec("score-1", 0, 15)
    store.begin_run(run_of(task), NOW)
    store.complete_scoring(task, columns((1, 10, 1), (1, 15, 1)))
    outcomes = [
        TrainingOutcome(0, "ready", "", at(5), "v2"),
        TrainingOutcome(1, "ready", "", at(10), "v2"),
        TrainingOutcome(2, "warming", "4 of 9 windows", None, ""),
        TrainingOutcome(11, "ready", "", at(5), "v2"),
    ]
    for _ in range(2):
        store.record_training(outcomes)
        assert as_rows(store.read_rescore_windows(0, at(100))) == [(0, 10, 1.0, 1), (0, 15, 1.0, 1)]
    assert as_rows(store.read_rescore_windows(1, at(100))) == []
    assert store.shard_activity()[0].rescore_windows == 2
    store.complete_scoring(task, columns((0, 10, 1), (0, 15, 1)))
    store.record_training(outcomes)
    assert as_rows(store.read_rescore_windows(0, at(100))) == []


def test_marks_of_a_sensor_without_a_model_go_and_come_back_with_its_first_one(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    store.commit_ingest(HUB, None, checkpoint(1), [window(0, end, 1.0) for end in (5, 10)], counts(2))
    task = spec("score-1", 0, 10)
    store.begin_run(run_of(task), NOW)
    store.commit_ingest(HUB, checkpoint(1), checkpoint(2), [window(0, 10, 1.0)], counts(1))
    assert store.shard_activity()[0].rescore_windows == 1
    store.complete_scoring(task, columns())
    assert store.shard_activity()[0].rescore_windows == 0
    store.record_training([TrainingOutcome(0, "ready", "", at(5), "v1")])
    assert as_rows(store.read_rescore_windows(0, at(100))) == [(0, 10, 1.0, 2)]


def test_a_mark_made_by_a_training_while_its_shard_is_scored_stays(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    store.commit_ingest(HUB, None, checkpoint(1), [window(0, end, 1.0) for end in (5, 10)], counts(2))
    task = spec("score-1", 0, 10)
    store.begin_run(run_of(task), NOW)
    store.record_training([TrainingOutcome(0, "ready", "", at(5), "v1")])
    store.complete_scoring(task, columns())
    assert as_rows(store.read_rescore_windows(0, at(100))) == [(0, 10, 1.0, 1)]


def test_scored_until_and_planned_until_never_move_back(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    store.begin_run(run_of(spec("score-2", 0, 20)), NOW)
    store.begin_run(run_of(spec("score-1", 0, 10)), NOW)
    store.complete_scoring(spec("score-2", 0, 20), columns())
    store.complete_scoring(spec("score-1", 0, 10), columns())
    assert store.shard_activity()[0].scored_until == at(20)
    store.commit_ingest(HUB, None, checkpoint(1), [window(0, 15, 1.0), window(0, 25, 1.0)], counts(2))
    assert as_rows(store.read_rescore_windows(0, at(100))) == [(0, 15, 1.0, 1)]


def test_a_training_run_marks_nothing(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    store.begin_run(run_of(spec("train-1", 0, 100, "train")), NOW)
    store.commit_ingest(HUB, None, checkpoint(1), [window(0, 5, 1.0)], counts(1))
    assert as_rows(store.read_rescore_windows(0, at(100))) == []


def test_no_window_slips_between_planning_and_a_commit(open_one: Callable[[], SqlStore]) -> None:
    ingest, planner = open_one(), open_one()
    ingest.sensor_ids(keys(10))
    scored: set[tuple[int, int]] = set()

    def commit() -> None:
        for i in range(30):
            windows = [window(i % 10, 5 + i // 10, 1.0)]
            ingest.commit_ingest(HUB, None if i == 0 else checkpoint(i - 1), checkpoint(i), windows, counts(1))

    def plan() -> None:
        for i in range(10):
            task = spec(f"score-{i}", 0, 8)
            planner.begin_run(run_of(task), NOW)
            found = planner.read_windows(0, None, task.end)
            scored.update(zip(found.sensor_id.tolist(), found.end.tolist(), strict=True))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda work: work(), [commit, plan]))
    left = ingest.read_rescore_windows(0, at(100))
    assert len(scored | set(zip(left.sensor_id.tolist(), left.end.tolist(), strict=True))) == 30


# ---- anomalies and alerts --------------------------------------------------------------------------------------------


def anomaly(sensor_id: int, end: int, score: float = 90.1) -> Anomaly:
    return Anomaly(sensor_id, T0 + end, 1 / 3, score, "high", None, 0.1, "v1")


def alert_of(sensor_id: int, opened: int = 5, cleared: int | None = None) -> Alert:
    end = None if cleared is None else T0 + cleared
    return Alert(f"{sensor_id}-{opened}", sensor_id, T0 + opened, T0 + opened, end, 1, 90.1, "high")


def opening(sensor_id: int, end: int) -> Callable[[Mapping[int, AlertState]], AlertChanges]:
    """Opens an alert with the first window it sees, as the state machine does."""

    def decide(states: Mapping[int, AlertState]) -> AlertChanges:
        if sensor_id in states:
            return AlertChanges([], [], [])
        alert = alert_of(sensor_id, end)
        state = AlertState(sensor_id, T0 + end, (90.1, None, 1 / 3), alert)
        return AlertChanges([state], [alert], [Notification(f"{alert.alert_id}:opened", "opened", alert)])

    return decide


def clearing(sensor_id: int, end: int) -> Callable[[Mapping[int, AlertState]], AlertChanges]:
    """Clears the open alert."""

    def decide(states: Mapping[int, AlertState]) -> AlertChanges:
        alert = states[sensor_id].alert
        if alert is None:
            return AlertChanges([], [], [])
        alert = replace(alert, cleared_end=T0 + end)
        state = AlertState(sensor_id, T0 + end, (None,), None)
        return AlertChanges([state], [alert], [Notification(f"{alert.alert_id}:cleared", "cleared", alert)])

    return decide


def unchanged(_: Mapping[int, AlertState]) -> AlertChanges:
    return AlertChanges([], [], [])


def test_a_prediction_file_published_twice_changes_nothing_more(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    found = [anomaly(0, 5), anomaly(0, 10), anomaly(2, 5)]
    first = store.publish(found, [(1, T0 + 5)], range(3), opening(0, 5))
    assert first == PublishOutcome(anomalies_added=3, anomalies_withdrawn=0, alerts_opened=1, alerts_cleared=0)
    assert store.publish(found, [(1, T0 + 5)], range(3), opening(0, 5)) == NOTHING
    assert store.anomalies() == [found[1], found[0], found[2]]
    assert store.alerts() == [alert_of(0)]
    assert [notification.key for notification in store.pending_notifications()] == ["0-5:opened"]


def test_decide_gets_the_stored_states_with_their_alert(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    store.publish([], [], [0], opening(0, 5))
    store.publish([], [], [1], opening(1, 5))
    seen: list[Mapping[int, AlertState]] = []

    def look(states: Mapping[int, AlertState]) -> AlertChanges:
        seen.append(states)
        return unchanged(states)

    store.publish([], [], [0, 2, *range(1000, 4000)], look)
    store.publish([], [], [], look)
    assert seen == [{0: AlertState(0, T0 + 5, (90.1, None, 1 / 3), alert_of(0))}, {}]


def test_an_alert_clears_once(store: SqlStore) -> None:
    store.sensor_ids(keys(2))
    store.publish([], [], [0], opening(0, 5))
    store.publish([], [], [1], opening(1, 50))
    assert store.publish([], [], [0], clearing(0, 60)) == PublishOutcome(0, 0, 0, 1)
    assert store.publish([], [], [0], clearing(0, 60)) == NOTHING
    assert store.alerts() == [alert_of(1, 50), alert_of(0, 5, 60)]
    assert store.alerts(open_only=True) == [alert_of(1, 50)]
    assert store.alerts(limit=1) == [alert_of(1, 50)]
    told = store.pending_notifications()
    assert [(notification.key, notification.event) for notification in told] == [
        ("0-5:opened", "opened"),
        ("1-50:opened", "opened"),
        ("0-5:cleared", "cleared"),
    ]
    assert told[0].alert == alert_of(0, 5)
    assert told[2].alert == alert_of(0, 5, 60)


def test_the_same_changes_stored_twice_count_once(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    done = alert_of(0, 5, 9)
    told = Notification("0-5:cleared", "cleared", done)
    changes = AlertChanges([AlertState(0, T0 + 9, (), None)], [done], [told])
    assert store.publish([], [], [0], lambda _: changes) == PublishOutcome(0, 0, 1, 1)
    assert store.publish([], [], [0], lambda _: changes) == NOTHING
    assert store.pending_notifications() == [told]


def test_an_anomaly_is_overwritten_and_withdrawn(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    store.publish([anomaly(0, 5), anomaly(0, 10)], [], [], unchanged)
    outcome = store.publish([anomaly(0, 5, 99.0)], [(0, T0 + 10), (0, T0 + 15), (0, T0 + 5)], [], unchanged)
    assert outcome == PublishOutcome(0, 1, 0, 0)
    assert store.anomalies() == [anomaly(0, 5, 99.0)]
    assert store.publish([anomaly(0, 5, 99.0)], [(0, T0 + 10)], [], unchanged) == NOTHING


def test_anomalies_are_listed_newest_first(store: SqlStore) -> None:
    store.sensor_ids(keys(2))
    found = [anomaly(sensor_id, end) for end in (15, 10, 5) for sensor_id in (0, 1)]
    store.publish(found[::-1], [], [], unchanged)
    assert store.anomalies() == found
    assert store.anomalies(limit=3) == found[:3]
    assert store.anomalies(sensor_id=1) == found[1::2]


def test_a_failing_decision_leaves_nothing(store: SqlStore) -> None:
    store.sensor_ids(keys(1))

    def fail(_: Mapping[int, AlertState]) -> AlertChanges:
        raise RuntimeError("no decision")

    with pytest.raises(RuntimeError, match="no decision"):
        store.publish([anomaly(0, 5)], [], [0], fail)
    assert store.anomalies() == []
    assert store.publish([anomaly(0, 5)], [], [], unchanged).anomalies_added == 1


def test_publishers_racing_open_one_alert(open_one: Callable[[], SqlStore]) -> None:
    stores = [open_one() for _ in range(4)]
    stores[0].sensor_ids(keys(1))
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda one: one.publish([anomaly(0, 5)], [], [0], opening(0, 5)), stores))
    assert sorted(outcomes, key=lambda outcome: outcome.alerts_opened) == [NOTHING] * 3 + [PublishOutcome(1, 0, 1, 0)]
    assert len(stores[0].pending_notifications()) == 1


def test_delivered_notifications_are_not_pending(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    for sensor_id in range(3):
        store.publish([], [], [sensor_id], opening(sensor_id, 5 * sensor_id))
    assert [notification.key for notification in store.pending_notifications(limit=2)] == ["0-0:opened", "1-5:opened"]
    assert store.hand_out(["ops"], NOW) == 3
    first, _, third = store.claim("ops", NOW, limit=3, lease_seconds=60)
    for claimed in (first, third, first):
        store.settle("ops", claimed, at(30))
    assert [notification.key for notification in store.pending_notifications()] == ["1-5:opened"]


def test_published_files_are_noted_once(store: SqlStore) -> None:
    assert store.unpublished([]) == []
    assert store.unpublished(["run/b", "run/a"]) == ["run/b", "run/a"]
    for _ in range(2):
        store.mark_published("run/b")
    assert store.unpublished(["run/c", "run/b", "run/a"]) == ["run/c", "run/a"]


# ---- what was planned before, and what it took -----------------------------------------------------------------------


def test_the_store_knows_when_each_shard_was_planned_last(store: SqlStore) -> None:
    store.sensor_ids(keys(23))
    assert (store.last_planned("train"), store.last_planned("score")) == ({}, {})
    store.begin_run(run_of(spec("train-1", 0, 10, "train"), spec("train-1", 2, 10, "train")), NOW)
    store.begin_run(run_of(spec("train-2", 0, 20, "train")), at(1))
    store.begin_run(run_of(spec("score-1", 1, 30)), at(2))
    assert store.last_planned("train") == {0: at(20), 2: at(10)}
    assert store.last_planned("score") == {1: at(30)}


def test_the_history_of_tasks_holds_the_newest_that_succeeded(store: SqlStore) -> None:
    for number in range(3):
        run_id = f"train-{number}"
        store.begin_run(run_of(*(spec(run_id, shard, 60, "train") for shard in (0, 1))), at(number))
        failed = TaskResult("shard-000001", False, 1, 2, 9.0, "boom")
        store.record_results(run_id, [TaskResult("shard-000000", True, 0, 0, 1.0 + number, ""), failed])
    store.begin_run(run_of(spec("score-1", 0, 60)), at(9))
    assert [task.seconds for task in store.task_history("train")] == [3.0, 2.0, 1.0]
    assert [task.spec.run_id for task in store.task_history("train", limit=1)] == ["train-2"]
    assert store.task_history("score") == []
