"""Benchmark of real-time scoring: batches of 1,000 readings of 1,000 sensors, with one model or three that vote."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.measure import Result, Size, compare, print_line, show
from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.backtest.in_memory import InMemoryModels
from sensorwatch.config.file import Configuration, parse_configuration
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, encode, ticks_of
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, RawEvent, Reading, Window
from sensorwatch.models.ports import Pointer
from sensorwatch.models.records import ModelRef
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train
from sensorwatch.realtime.latency_histogram import LatencyHistogram
from sensorwatch.realtime.model_loader import ModelLoader
from sensorwatch.realtime.serve import Serve, ServeRules
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import SqlStore, open_store
from sensorwatch.tasks.records import TaskSpec

QUICK = Size(readings=3_000, rounds=1)
FULL = Size(readings=50_000, rounds=7)
_SENSORS = 1_000
_TRAINED = 200
_LEVEL = 80.0
_PARTITION = Partition("readings", "serve", "0")
_INGESTED = Partition("readings", "$Default", "0")
_END = datetime(2026, 11, 20, 12, tzinfo=UTC)
_ONE = "Sensorwatch, 1 model"
_THREE = "Sensorwatch, 3 models that vote"
_PEER = "onnxruntime, a session a sensor"
_MODELS = {"own": "ocsvm", "coarse": "ocsvm_sklearn", "range": "range"}
_VOTE = """
serving:
  models: {coarse: {detector: ocsvm_sklearn}, range: {detector: range}}
  rules: [{models: [own, coarse, range]}]
"""


class _Registry(InMemoryModels):
    """Models in memory whose pointer can be moved to another version of the same models."""

    def __init__(self) -> None:
        super().__init__()
        self.moves = 0

    def pointer(self, shard: int, etag: str) -> Pointer | None:
        ref = self.current(shard)
        return None if etag == str(self.moves) else Pointer(ref, str(self.moves))

    def load(self, ref: ModelRef) -> pa.Table:
        models = super().load(ref)
        column = models.schema.get_field_index("version")
        versions = pa.array([f"{self.moves:06}"] * models.num_rows)
        return models.set_column(column, models.schema.field(column), versions)


class _Fleet:
    """1,000 sensors with models, and batches with a reading of each sensor."""

    def __init__(self, folder: Path) -> None:
        self.store: SqlStore = open_store(f"sqlite:///{folder}/serve.db", shard_size=_SENSORS, clock=lambda: _END)
        self.keys = [SensorKey(str(number // 10), str(number % 10)) for number in range(_SENSORS)]
        ids = self.store.sensor_ids(self.keys)
        self._random = np.random.default_rng(1)
        values = _LEVEL + self._random.uniform(-3, 3, (_SENSORS, _TRAINED))
        first = int(_END.timestamp()) - 5 * (_TRAINED - 1)
        windows = [
            Window(ids[key], first + 5 * at, 1, value, value, value, value * value)
            for key, series in zip(self.keys, values.tolist(), strict=True)
            for at, value in enumerate(series)
        ]
        counts = IngestCounts(len(windows), len(windows), 0, 0, 0)
        self.store.commit_ingest(_INGESTED, None, OffsetCheckpoint(0, _END), windows, counts)
        self.registries = {name: _Registry() for name in _MODELS}
        for name, detector in _MODELS.items():
            train(
                TaskSpec("run", "task", "train", 0, None, _END),
                store=self.store,
                registry=self.registries[name],
                detector_name=detector,
                training_seconds=86_400,
                needed=TrainingWindows(10),
                now=_END,
            )

    def serve(self, configuration: Configuration) -> tuple[Serve, ModelLoader]:
        """Return the function that scores a batch, with its models loaded."""
        models = ModelLoader(
            self.registries.__getitem__, self.store, configuration.estimators, lambda: datetime.now(UTC)
        )
        policy = AlertPolicy(AlertDefaults(AlertRules(3, 5, 300)))
        # The deadline is too long to be missed on a busy machine, so that every alternative does all of the work.
        rules = ServeRules(configuration.serving, "$Default", _SENSORS, deadline_seconds=60)
        serve = Serve(self.store, models, policy, rules, lambda: datetime.now(UTC))
        models.request([("own", 0), *((name, 0) for name in configuration.serving.models)])
        models.refresh()
        return serve, models

    def batches(self, number: int) -> list[list[RawEvent]]:
        """Return batches at intervals of a second, with values that the models score as normal."""
        found = []
        for at in range(number):
            moment = _END + timedelta(seconds=10 + at)
            ticks = ticks_of(moment)
            values = (_LEVEL + self._random.uniform(-2.5, 2.5, _SENSORS)).tolist()
            found.append(
                [
                    RawEvent(
                        at * _SENSORS + n + 1, moment, encode(Reading(*key, ticks + n * TICKS_PER_SECOND // 10**4, v))
                    )
                    for n, (key, v) in enumerate(zip(self.keys, values, strict=True))
                ]
            )
        return found


def run(size: Size) -> dict[str, object]:
    """Measure the time from events to stored scores, and replacements of models; return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = _Fleet(Path(folder))
        number = size.readings // _SENSORS
        batches = fleet.batches(number * (size.rounds + 1))
        ways: dict[str, Callable[[], object]] = {
            _ONE: _work(fleet.serve(parse_configuration("", "bench"))[0], batches, number),
            _THREE: _work(fleet.serve(parse_configuration(_VOTE, "bench"))[0], batches, number),
        }
        skipped = None
        try:
            ways[_PEER] = _peer(number)
        except ImportError as exc:
            skipped = Result(_PEER, skipped=f"{exc}; install requirements-onnx.txt")
        results = compare(ways, number * _SENSORS, size.rounds)
        for result in results:
            if result.name == _PEER:
                result.remark = "scores alone, of a linear model each: no decoding, no windows, no state"
        if skipped:
            results.append(skipped)
        swaps = _swaps(fleet, batches)
        fleet.store.dispose()
    show("Real time: 1,000 readings of 1,000 sensors a batch", results, "readings/CPU-s", _ONE)
    for name, milliseconds in swaps.items():
        print_line(f"{name}: {milliseconds:.3f} ms")
    return {"serve": {result.name: result.as_json() for result in results}, "serve, swaps (ms)": swaps}


def _work(serve: Serve, batches: Sequence[list[RawEvent]], number: int) -> Callable[[], None]:
    rest: Iterator[list[RawEvent]] = iter(batches)
    # Reading the sensors back from the store happens once in a process.
    serve(_PARTITION, next(rest))

    def work() -> None:
        for _ in range(number):
            counts = serve(_PARTITION, next(rest))
            assert counts.scored == _SENSORS, counts

    return work


def _peer(number: int) -> Callable[[], None]:
    import onnxruntime
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Sub", ["value", "mean"], ["centred"]), helper.make_node("Abs", ["centred"], ["score"])],
        "distance",
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("mean", TensorProto.FLOAT, [1], [_LEVEL])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = [
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]) for _ in range(_SENSORS)
    ]
    value = np.full((1, 1), _LEVEL, np.float32)

    def work() -> None:
        for _ in range(number):
            for session in sessions:
                session.run(["score"], {"value": value})

    return work


def _swaps(fleet: _Fleet, batches: Sequence[list[RawEvent]]) -> dict[str, float]:
    """Return milliseconds of batches with and without replacements of models, of a replacement, and of a look-up."""
    serve, models = fleet.serve(parse_configuration("", "bench"))
    for batch in batches[:2]:
        serve(_PARTITION, batch)
    alone, beside, swap = LatencyHistogram(), LatencyHistogram(), LatencyHistogram()
    half = len(batches) // 2
    for batch in batches[2:half]:
        with _measured(alone):
            serve(_PARTITION, batch)
    stop = threading.Event()

    def keep_swapping() -> None:
        while not stop.wait(0.02):
            fleet.registries["own"].moves += 1
            with _measured(swap):
                models.refresh()

    thread = threading.Thread(target=keep_swapping)
    thread.start()
    for batch in batches[half:]:
        with _measured(beside):
            serve(_PARTITION, batch)
    stop.set()
    thread.join()
    ids = np.arange(_SENSORS)
    began = time.perf_counter()
    for _ in range(1000):
        models.current["own"].rows(ids)
    lookup = time.perf_counter() - began
    return {
        "a batch, p50": 1000 * (alone.quantile(0.5) or 0.0),
        "a batch, longest": 1000 * alone.longest,
        "a batch while models are swapped, p50": 1000 * (beside.quantile(0.5) or 0.0),
        "a batch while models are swapped, longest": 1000 * beside.longest,
        "loading, trying and swapping a shard of 1,000, p50": 1000 * (swap.quantile(0.5) or 0.0),
        "looking up the models of 1,000 sensors": lookup,
    }


@contextmanager
def _measured(into: LatencyHistogram) -> Iterator[None]:
    began = time.perf_counter()
    yield
    into.add(time.perf_counter() - began)
