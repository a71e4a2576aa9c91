"""Scoring in many runs gives the scores of scoring at once: checkpoints are passed from run to run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fakes.models import NOON, WINDOW_SECONDS, FakeCheckpoints, FakeRegistry, FakeStore, task
from fakes.tasks import FakePredictionFiles

from sensorwatch.models.scoring.checkpoints import CATCH_UP_SECONDS
from sensorwatch.models.scoring.score import score
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train

WINDOW = timedelta(seconds=WINDOW_SECONDS)
Scores = dict[tuple[int, int], float]


class Scene:
    def __init__(self, detector: str, sensors: int = 3, trained: int = 400, new: int = 60) -> None:
        self.detector = detector
        self.store = FakeStore()
        self.registry = FakeRegistry()
        self.checkpoints = FakeCheckpoints()
        self.end = NOON + new * WINDOW
        random = np.random.default_rng(5)
        wave = 3 * np.sin(np.arange(trained + new) / 9)
        for sensor_id in range(1, sensors + 1):
            walk = np.cumsum(random.normal(size=trained + new)) * 0.2
            values = 10 * sensor_id + wave + walk + random.normal(size=trained + new) * 0.3
            self.store.add(sensor_id, values.tolist(), end=self.end)
        self.train()

    def train(self, end: datetime = NOON) -> None:
        train(
            task("train", end),
            store=self.store,
            registry=self.registry,
            detector_name=self.detector,
            training_seconds=7200,
            needed=TrainingWindows(100),
            now=end,
        )

    def score(self, end: datetime, start: datetime | None, checkpoints: FakeCheckpoints | None) -> Scores:
        """Return the score of each sensor's window, whether or not it was scored before."""
        self.store.completed.clear()
        files = FakePredictionFiles()
        score(
            task("score", end, start),
            store=self.store,
            registry=self.registry,
            predictions=files,
            checkpoints=checkpoints,
        )
        return {
            (row["sensor_id"], int(row["ts"])): row["score"]
            for name in files.files
            for row in files.read(name).to_pylist()
        }

    def at_once(self) -> Scores:
        return self.score(self.end, NOON, None)

    def in_runs(self, windows: int = 12) -> Scores:
        scores: Scores = {}
        start = NOON
        while start < self.end:
            scores |= self.score(start + windows * WINDOW, start, self.checkpoints)
            start += windows * WINDOW
        return scores


@pytest.fixture(params=["ewma", "ar_season", "kmeans", "auto"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def assert_same(scores: Scores, expected: Scores) -> None:
    assert scores.keys() == expected.keys()
    np.testing.assert_allclose([scores[key] for key in expected], list(expected.values()), rtol=1e-9, atol=1e-9)


def test_scoring_in_runs_gives_the_scores_of_scoring_at_once(scene: Scene) -> None:
    expected = scene.at_once()
    assert len(expected) == 3 * 60
    assert_same(scene.in_runs(), expected)


def test_a_run_that_is_done_again_gives_the_same(scene: Scene) -> None:
    for _ in range(2):
        first = scene.score(NOON + 12 * WINDOW, NOON, scene.checkpoints)
    second = [scene.score(NOON + 24 * WINDOW, NOON + 12 * WINDOW, scene.checkpoints) for _ in range(3)]
    expected = scene.at_once()
    assert_same(first | second[2], {key: expected[key] for key in first | second[2]})
    assert second[0] == second[1] == second[2]


def test_lost_checkpoints_are_replaced_by_reading_windows_again(scene: Scene) -> None:
    expected = scene.at_once()
    scene.score(NOON + 24 * WINDOW, NOON, scene.checkpoints)
    scene.checkpoints.shards.clear()
    rest = scene.score(scene.end, NOON + 24 * WINDOW, scene.checkpoints)
    assert_same(rest, {key: expected[key] for key in rest})
    assert len(rest) == 3 * 36


def test_a_run_behind_a_gap_reads_what_was_missed_but_does_not_predict_it(scene: Scene) -> None:
    expected = scene.at_once()
    scene.score(NOON + 12 * WINDOW, NOON, scene.checkpoints)
    rest = scene.score(scene.end, NOON + 36 * WINDOW, scene.checkpoints)
    assert_same(rest, {key: expected[key] for key in rest})
    assert min(end for _, end in rest) == int((NOON + 37 * WINDOW).timestamp())


def test_at_most_a_limited_history_is_read_again(scene: Scene) -> None:
    late = NOON + timedelta(days=3)
    scene.store.add(1, [10.0] * 12, end=late)
    scene.score(late, late - 12 * WINDOW, scene.checkpoints)
    start, _ = scene.store.reads[-1]
    assert start == late - 12 * WINDOW - timedelta(seconds=CATCH_UP_SECONDS)


def test_a_new_model_continues_from_the_checkpoint_of_the_previous_model(scene: Scene) -> None:
    scene.score(NOON + 12 * WINDOW, NOON, scene.checkpoints)
    scene.train(NOON + 24 * WINDOW)
    scores = scene.score(scene.end, NOON + 12 * WINDOW, scene.checkpoints)
    assert len(scores) == 3 * 48
    assert not np.isnan(list(scores.values())).any()


def test_a_changed_window_is_scored_with_those_that_were_before_it(scene: Scene) -> None:
    expected = scene.at_once()
    scene.score(NOON + 24 * WINDOW, NOON, scene.checkpoints)
    changed = NOON + 20 * WINDOW
    value, _ = scene.store.windows[2][int(changed.timestamp())]
    scene.store.change(2, changed, value)
    scores = scene.score(NOON + 36 * WINDOW, NOON + 24 * WINDOW, scene.checkpoints)
    assert len(scores) == 1 + 3 * 12
    again = scores.pop((2, int(changed.timestamp())))
    assert_same(scores, {key: expected[key] for key in scores})
    # An average has no end to its past: it is made up for from two hours.
    assert again == pytest.approx(expected[2, int(changed.timestamp())], abs=5 if scene.detector == "ewma" else 1e-9)
    scene.store.change(2, changed, value + 500)
    assert scene.score(scene.end, NOON + 36 * WINDOW, scene.checkpoints)[2, int(changed.timestamp())] > 50


def test_checkpoints_of_another_detector_are_ignored(scene: Scene) -> None:
    scene.score(NOON + 12 * WINDOW, NOON, scene.checkpoints)
    expected = scene.at_once()
    other = FakeCheckpoints()
    table = scene.checkpoints.shards[0][NOON + 12 * WINDOW]
    other.save(0, NOON, NOON, table.rename_columns(["sensor_id", "memory_shift"]))
    scores = scene.score(scene.end, NOON, other)
    assert_same(scores, expected)


def test_a_detector_without_state_stores_no_checkpoints() -> None:
    scene = Scene("range")
    assert_same(scene.in_runs(), scene.at_once())
    assert scene.checkpoints.shards == {}


def test_the_expected_value_differs_from_window_to_window() -> None:
    scene, files = Scene("ar_season"), FakePredictionFiles()
    score(task("score", scene.end, NOON), store=scene.store, registry=scene.registry, predictions=files)
    rows = [row for row in files.read(next(iter(files.files))).to_pylist() if row["sensor_id"] == 1]
    assert len({row["expected_low"] for row in rows}) == len(rows)
    for row in rows:
        inside = row["expected_low"] <= row["value"] <= row["expected_high"]
        assert inside == (row["prediction"] == 1)
    assert datetime.fromtimestamp(rows[0]["ts"], UTC) == NOON + WINDOW


@pytest.mark.parametrize("trained", [100, 110, 126])
def test_a_checkpoint_without_a_member_of_the_new_model_is_not_used(trained: int) -> None:
    # So few windows give no `kmeans`: the first checkpoints lack it, and the model trained on more has it.
    scene = Scene("auto", trained=trained, new=400)
    middle = NOON + 200 * WINDOW
    before = scene.score(middle, NOON, scene.checkpoints)
    # Trained up to a time before that of the checkpoint, which is therefore the newer one.
    scene.train(NOON + 150 * WINDOW)
    after = scene.score(scene.end, middle, scene.checkpoints)
    assert len(before) == len(after) == 3 * 200
    assert all(np.isfinite(score) for score in after.values())
