"""A small fleet with models, and the serve step over a real store."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from fakes.ingestion import FakeDeadLetters
from fakes.models import FakeRegistry
from fakes.tasks import FakePredictionFiles

from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.publish import publish
from sensorwatch.alerts.records import Anomaly
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.config.file import Configuration, parse_configuration
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, encode, ticks_of
from sensorwatch.ingestion.ingest import Ingest, IngestRules
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, RawEvent, Reading, Window
from sensorwatch.models.scoring.score import score
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train
from sensorwatch.realtime.model_loader import ModelLoader
from sensorwatch.realtime.serve import Serve, ServeRules
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import SqlStore, open_store
from sensorwatch.tasks.records import Run, TaskSpec

__all__ = ["END", "GROUP", "LEVEL", "SENSORS", "Fleet", "ingest_newer_windows", "seconds"]

SENSORS = 4
LEVEL = 80.0
GROUP = Partition("readings", "serving", "0")
INGESTED = Partition("readings", "$Default", "0")
END = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""The newest window that models are trained on."""

_TRAINED = 200
_POLICY = AlertPolicy(AlertDefaults(AlertRules(2, 3, 60)))


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


@cache
def _filled_database() -> Path:
    """Return a database with the windows that models are trained on; the migrations take longer than most tests."""
    folder = Path(tempfile.mkdtemp(prefix="sensorwatch-serving-"))
    atexit.register(shutil.rmtree, folder)
    store = open_store(f"sqlite:///{folder}/store.db", shard_size=100, clock=lambda: END)
    ids = store.sensor_ids([SensorKey(f"press-{i}", "pressure") for i in range(SENSORS)])
    noise = np.random.default_rng(5).uniform(-3, 3, (SENSORS, _TRAINED))
    rows = [
        Window(sensor_id, seconds(END) - 5 * (_TRAINED - 1 - at), 1, value, value, value, value * value)
        for sensor_id, values in zip(ids.values(), (LEVEL + noise).tolist(), strict=True)
        for at, value in enumerate(values)
    ]
    store.commit_ingest(INGESTED, None, OffsetCheckpoint(0, END), rows, IngestCounts(len(rows), len(rows), 0, 0, 0))
    store.dispose()
    return folder / "store.db"


class Fleet:
    """Sensors around 80 with models by name, a hub's events, ingestion, and the serve step.

    Parameters
    ----------
    configuration
        What ``sensorwatch.yaml`` says.
    """

    def __init__(self, folder: Path, configuration: str = "", *, deadline_seconds: float = 30.0) -> None:
        self.now = END + timedelta(seconds=1)
        self.configuration: Configuration = parse_configuration(configuration, "test")
        self.keys = [SensorKey(f"press-{i}", "pressure") for i in range(SENSORS)]
        folder.mkdir()
        shutil.copy(_filled_database(), folder / "store.db")
        self.store: SqlStore = open_store(f"sqlite:///{folder}/store.db", shard_size=100, clock=lambda: self.now)
        self.registries = {name: FakeRegistry() for name in ("own", *self.configuration.serving.models)}
        self._deadline_seconds = deadline_seconds
        self._numbers = 0

    def train(
        self,
        name: str = "own",
        detector: str = "ocsvm",
        end: datetime = END,
        needed: TrainingWindows = TrainingWindows(10),  # noqa: B008 - it is frozen
    ) -> None:
        """Train models, and make them the current ones."""
        train(
            TaskSpec("run", "task", "train", 0, None, end),
            store=self.store,
            registry=self.registries[name],
            detector_name=detector,
            training_seconds=86_400,
            needed=needed,
            now=self.now,
        )

    def serving(self) -> tuple[Serve, ModelLoader]:
        """Return the step as a new process has it; its models are refreshed by hand."""
        models = ModelLoader(self.registries.__getitem__, self.store, self.configuration.estimators, lambda: self.now)
        rules = ServeRules(
            self.configuration.serving, INGESTED.consumer_group, 100, deadline_seconds=self._deadline_seconds
        )
        serve = Serve(self.store, models, _POLICY, rules, lambda: self.now)
        models.request([(name, 0) for name in self.registries])
        models.refresh()
        return serve, models

    def events(self, values: Mapping[int, float], after: float) -> list[RawEvent]:
        """Return events with a reading of each of these sensors, so many seconds after the training's end."""
        ticks = ticks_of(END) + round(after * TICKS_PER_SECOND)
        moment = END + timedelta(seconds=after)
        found = []
        for sensor, value in values.items():
            self._numbers += 1
            key = self.keys[sensor]
            found.append(RawEvent(self._numbers, moment, encode(Reading(key.device, key.tag, ticks, value))))
        return found

    def ingest(self, events: Sequence[RawEvent]) -> None:
        """Take events in as ingestion does."""
        Ingest(self.store, FakeDeadLetters(), IngestRules())(INGESTED, events)

    def score_in_batch(self, after: float) -> None:
        """Plan, score and publish all windows up to so many seconds after the training's end, as a run does."""
        files = FakePredictionFiles()
        task = TaskSpec(f"score-{after}", "score-000000", "score", 0, None, END + timedelta(seconds=after))
        self.store.begin_run(Run(task.run_id, "score", task.end, (task,)), self.now)
        done = score(task, store=self.store, registry=self.registries["own"], predictions=files)
        if done.file:
            publish(done.file, files.read(done.file), store=self.store, policy=_POLICY)

    def anomalies(self) -> dict[tuple[int, int], Anomaly]:
        """Return the stored anomalies by sensor and seconds after the training's end."""
        return {(found.sensor_id, found.end - seconds(END)): found for found in self.store.anomalies(limit=10_000)}

    def dispose(self) -> None:
        self.store.dispose()


def ingest_newer_windows(fleet: Fleet) -> None:
    windows = [
        Window(sensor, seconds(END) + 43_200 + 5 * at, 1, LEVEL + at % 3, LEVEL, LEVEL + 3, LEVEL * LEVEL)
        for sensor in range(SENSORS)
        for at in range(50)
    ]
    mark = OffsetCheckpoint(1, END)
    other = Partition("readings", "$Default", "9")
    fleet.store.commit_ingest(other, None, mark, windows, IngestCounts(len(windows), len(windows), 0, 0, 0))
