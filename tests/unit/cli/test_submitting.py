"""``train`` and ``score`` by hand: what they wait for, and what they say."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.scheduling import FakePool
from fakes.tasks import FakePredictionFiles

from sensorwatch.app import Product
from sensorwatch.cli.submitting import submit
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings import load_settings

NOW = datetime(2026, 11, 20, 10, 15, 40, tzinfo=UTC)
WINDOW = int(NOW.timestamp()) - 40


class Clock:
    """A clock that moves by the pauses only."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool(clock: Clock) -> FakePool:
    return FakePool(clock, succeeds=True)


@pytest.fixture
def product(clock: Clock, pool: FakePool, tmp_path: Path) -> Iterator[Product]:
    """The use cases over a store in a file, a pool in memory, and no configuration."""
    made = Product(load_settings({"DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}), clock)
    made.__dict__.update(pool=pool, prediction_files=FakePredictionFiles(), _configuration_content=b"")
    yield made
    made.store.dispose()


def add_window(product: Product) -> None:
    (sensor_id,) = product.store.sensor_ids([SensorKey("press-1", "flow")]).values()
    product.store.commit_ingest(
        Partition("readings", "$Default", "0"),
        None,
        OffsetCheckpoint(1, NOW),
        [Window(sensor_id, WINDOW, 1, 1.0, 1.0, 1.0, 1.0)],
        IngestCounts(1, 1, 0, 0, 0),
    )


def said(product: Product, clock: Clock, capsys: pytest.CaptureFixture[str], *, kind: str = "train") -> tuple[str, str]:
    submit(product, kind, wait=True, as_json=False, sleep=clock.sleep)  # type: ignore[arg-type]
    return capsys.readouterr()


def test_without_readings_the_next_step_is_to_send_some(
    product: Product, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = "nothing is due: no reading is ingested yet. Next: sensorwatch simulate\n"
    assert said(product, clock, capsys)[0] == f"train: {expected}"
    assert said(product, clock, capsys, kind="score")[0] == f"score: {expected}"


def test_without_models_the_next_step_is_to_train(
    product: Product, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    add_window(product)
    assert said(product, clock, capsys, kind="score")[0] == (
        "score: nothing is due: none of 1 sensors has a model yet. Next: sensorwatch train --wait\n"
    )


def test_a_run_ends_with_what_is_there_and_the_next_step(
    product: Product, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    add_window(product)
    assert said(product, clock, capsys)[0] == (
        "train: submitted train-20261120T101500Z with 1 task\n"
        "0 of 1 sensors have a model; `sensorwatch sensors` says what the others lack. "
        "Next: sensorwatch score --wait\n"
    )


def test_a_run_of_the_timer_is_waited_for_and_what_is_still_due_follows_as_soon_as_possible(
    product: Product, clock: Clock, pool: FakePool, capsys: pytest.CaptureFixture[str]
) -> None:
    add_window(product)
    pool.succeeds = None
    submit(product, "train", wait=False, as_json=False)
    pool.succeeds = True
    assert capsys.readouterr().out == "train: submitted train-20261120T101500Z with 1 task\n"
    first = pool.runs["train-20261120T101500Z"]
    pool.submit(first)
    out, err = said(product, clock, capsys)
    assert "train: train-20261120T101500Z runs already, started by the timer or another command\n" in err
    assert "the next run is possible from 10:16:30 UTC on; waiting until then\n" in err
    assert out.startswith("train: submitted train-20261120T101600Z with 1 task\n")
    assert clock.now >= NOW + timedelta(seconds=50)


def test_the_log_of_notifications_is_not_printed_by_the_command_line() -> None:
    program = (
        "import logging, sys; sys.argv = ['sensorwatch', '--version']\n"
        "from sensorwatch.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "logging.getLogger('sensorwatch.alerts').warning('alert opened')\n"
        "logging.getLogger('sensorwatch.scheduling').warning('task failed')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr == "task failed\n"
    assert logging.getLogger("sensorwatch.alerts").propagate
