"""Submitting, sweeping and publishing over a real store, with a pool and files that tests can break."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from fakes.scheduling import FakePool
from fakes.tasks import FakePredictionFiles

from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.publish import publish
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.errors import TransientError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.scheduling.submit import Submission, submit_due
from sensorwatch.scheduling.sweep import Sweep, delete_old_jobs, sweep_runs
from sensorwatch.sensors.records import SensorKey, TrainingOutcome
from sensorwatch.store import SqlStore, open_store
from sensorwatch.tasks.prediction_schema import ANOMALOUS, NORMAL, prediction_schema
from sensorwatch.tasks.records import TaskResult, TaskSpec

NOW = datetime(2026, 11, 20, 10, 15, 40, tzinfo=UTC)
CUTOFF = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
ENDED = NOW - timedelta(days=8)
POLICY = AlertPolicy(AlertDefaults(AlertRules(anomalous_windows=2, recent_windows=3, quiet_seconds=60)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """A store with two shards of one sensor each, whose newest window ends at the cut-off."""
    opened = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=1)
    ids = opened.sensor_ids([SensorKey("1", "1"), SensorKey("2", "1")])
    end = int(CUTOFF.timestamp())
    windows = [Window(sensor_id, end, 1, 1.0, 1.0, 1.0, 1.0) for sensor_id in ids.values()]
    counts = IngestCounts(2, 2, 0, 0, 0)
    opened.commit_ingest(Partition("hub", "group", "0"), None, OffsetCheckpoint(1, NOW), windows, counts)
    yield opened
    opened.dispose()


def submit(store: SqlStore, pool: FakePool, *, later: timedelta = timedelta(0)) -> Submission:
    return submit_due(
        "train", store=store, pool=pool, clock=lambda: NOW + later, settle_seconds=30, run_window_seconds=60
    )


def sweep(store: SqlStore, pool: FakePool, files: FakePredictionFiles | None = None) -> Sweep:
    files = files or FakePredictionFiles()
    return sweep_runs(store=store, pool=pool, prediction_files=files, policy=POLICY, clock=lambda: NOW)


def well(task_id: str) -> TaskResult:
    return TaskResult(task_id, True, 0, 0, 1.5, "")


def predictions(rows: Sequence[tuple[int, int, int]], *, rescored: bool = False) -> pa.Table:
    """Rows of (sensor_id, window number, prediction)."""
    return pa.Table.from_pylist(
        [
            {
                "sensor_id": sensor_id,
                "device": "1",
                "tag": "1",
                "ts": 5 * number,
                "value": 9.5,
                "prediction": prediction,
                "score": 90.0 if prediction == ANOMALOUS else 5.0,
                "severity": "high" if prediction == ANOMALOUS else "normal",
                "expected_low": 1.0,
                "expected_high": None,
                "model_version": "v1",
                "rescored": rescored,
            }
            for sensor_id, number, prediction in rows
        ],
        prediction_schema(),
    )


EPISODE = predictions([(0, 1, NORMAL), (0, 2, ANOMALOUS), (0, 3, ANOMALOUS), (1, 1, NORMAL)])


def test_a_timer_that_fires_twice_submits_one_run(store: SqlStore) -> None:
    pool = FakePool(lambda: ENDED)
    assert submit(store, pool) == Submission("train-20261120T101500Z", 2)
    again = submit(store, pool)
    assert again == Submission(None, 0, running=2)
    assert str(again) == "nothing is due, 2 tasks still running"
    assert pool.submissions == ["train-20261120T101500Z"]


def test_shards_that_become_due_within_the_interval_of_a_run_wait_for_the_next_one(store: SqlStore) -> None:
    pool = FakePool(lambda: ENDED)
    run_id = str(submit(store, pool).run_id)
    pool.finish(run_id, well("train-000000"), well("train-000001"))
    sweep(store, pool)
    assert str(submit(store, pool, later=timedelta(seconds=20))) == (
        f"{run_id} was already submitted; the next run is possible from 10:16:30 UTC on"
    )
    assert submit(store, pool, later=timedelta(seconds=49)).tasks == 0
    assert submit(store, pool, later=timedelta(seconds=50)).run_id == "train-20261120T101600Z"


def test_a_run_whose_submission_failed_is_submitted_by_the_next_timer_or_sweep(store: SqlStore) -> None:
    pool = FakePool(lambda: ENDED)
    pool.away = True
    with pytest.raises(TransientError):
        submit(store, pool)
    pool.away = False
    assert sweep(store, pool).resumed == 1
    assert pool.submissions == ["train-20261120T101500Z"]
    assert sweep(store, pool).resumed == 0


def test_a_sweep_leaves_a_running_job_and_closes_an_ended_one(store: SqlStore) -> None:
    pool = FakePool(lambda: ENDED)
    run_id = str(submit(store, pool).run_id)
    assert sweep(store, pool) == Sweep(0, 0, 0, 0)
    pool.finish(run_id, well("train-000000"), TaskResult("train-000001", False, 1, 2, 0.5, "boom"))
    assert sweep(store, pool) == Sweep(0, 1, 1, 0, failed_kinds=("train",))
    assert [(task.state, task.detail) for task in store.tasks(run_id)] == [("succeeded", ""), ("failed", "boom")]
    assert sweep(store, pool) == Sweep(0, 0, 0, 0)


def test_a_job_that_is_gone_ends_its_run_and_its_shards_are_planned_again(store: SqlStore) -> None:
    pool = FakePool(lambda: ENDED)
    run_id = str(submit(store, pool).run_id)
    pool.delete(run_id)
    assert sweep(store, pool).ended == 1
    assert {task.state for task in store.tasks(run_id)} == {"failed"}
    assert submit(store, pool, later=timedelta(minutes=1)).tasks == 2


def test_a_sweep_publishes_what_a_trigger_missed_before_the_run_ends(store: SqlStore) -> None:
    pool, files = FakePool(lambda: ENDED), FakePredictionFiles()
    store.record_training([TrainingOutcome(i, "ready", "", CUTOFF - timedelta(hours=1), "v1") for i in (0, 1)])
    run = submit_due(
        "score", store=store, pool=pool, clock=lambda: NOW, settle_seconds=30, run_window_seconds=60
    ).run_id
    for shard, found in enumerate((EPISODE, EPISODE.slice(3))):
        files.write(TaskSpec(str(run), f"score-{shard:06d}", "score", shard, None, CUTOFF), found)
    publish(f"run={run}/shard=000001.parquet", EPISODE.slice(3), store=store, policy=POLICY)
    pool.finish(str(run), well("score-000000"), well("score-000001"))
    assert sweep(store, pool, files).published == 1
    assert [(anomaly.sensor_id, anomaly.end) for anomaly in store.anomalies()] == [(0, 15), (0, 10)]


def test_a_file_published_twice_changes_nothing(store: SqlStore) -> None:
    outcome = publish("a", EPISODE, store=store, policy=POLICY)
    assert (outcome.anomalies_added, outcome.alerts_opened) == (2, 1)
    before = (store.anomalies(), store.alerts(), store.pending_notifications())
    again = publish("a", EPISODE, store=store, policy=POLICY)
    assert (again.anomalies_added, again.alerts_opened) == (0, 0)
    assert (store.anomalies(), store.alerts(), store.pending_notifications()) == before


def test_a_window_scored_again_as_normal_withdraws_its_anomaly(store: SqlStore) -> None:
    publish("a", EPISODE, store=store, policy=POLICY)
    outcome = publish("b", predictions([(0, 3, NORMAL)], rescored=True), store=store, policy=POLICY)
    assert outcome.anomalies_withdrawn == 1
    assert [anomaly.end for anomaly in store.anomalies()] == [10]


def test_a_file_without_anomalies_clears_the_alert_of_an_earlier_one(store: SqlStore) -> None:
    publish("a", EPISODE, store=store, policy=POLICY)
    publish("b", predictions([(0, number, NORMAL) for number in range(4, 20)]), store=store, policy=POLICY)
    assert [alert.cleared_end for alert in store.alerts()] == [75]


def test_old_jobs_are_deleted_and_their_runs_stay_known(store: SqlStore) -> None:
    pool = FakePool(lambda: ENDED)
    run_id = str(submit(store, pool).run_id)
    pool.finish(run_id, well("train-000000"), well("train-000001"))
    sweep(store, pool)
    assert delete_old_jobs(pool=pool, clock=lambda: NOW, retention_days=7) == [run_id]
    assert pool.runs == {}
    assert [run.run_id for run in store.runs()] == [run_id]
