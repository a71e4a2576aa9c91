"""Benchmark of fitting, scoring, storing and loading a one-class SVM per sensor, next to alternatives, and of tasks.

The alternatives do the same as the original system: ``StandardScaler`` and ``OneClassSVM(nu=0.0001, gamma=0.01)`` for
each sensor. Times are CPU times of this process and its children, on one thread, and alternatives take turns.
"""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from sklearn.utils.parallel import Parallel, delayed

from bench.fleet_data import WINDOW_SECONDS, add_windows, mixed_sensors
from bench.measure import Result, Size, compare, show
from sensorwatch.detectors.external.export import support_vectors_as_onnx
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.svm.kernel_decision import KernelDecision
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.models.records import ModelRef
from sensorwatch.models.scoring.score import score
from sensorwatch.models.table import models_from_bytes, models_to_bytes, with_version
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train
from sensorwatch.store import open_store
from sensorwatch.tasks.prediction_files import predictions_to_bytes
from sensorwatch.tasks.records import Kind, TaskSpec

WINDOWS = 720
SCORED = 12
SHARD = 1_000
QUICK = Size(readings=40 * WINDOWS, rounds=1)
FULL = Size(readings=2_000 * WINDOWS, rounds=7)
OURS = "ocsvm"

ONE_PROCESS = """
import sys
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
values = np.load(sys.argv[1])[:, None]
model = make_pipeline(StandardScaler(), OneClassSVM(nu=0.0001, gamma=0.01)).fit(values)
model.predict(values)
"""


def run(size: Size) -> dict[str, object]:
    """Run the benchmark and return its figures."""
    values = mixed_sensors(size.readings // WINDOWS, WINDOWS)
    return {
        "models": {
            **_fit(values, size.rounds),
            **_score(values, WINDOWS, size.rounds),
            **_score(values, SCORED, size.rounds),
            **_storage(values),
            **_tasks(size.rounds),
        }
    }


def series_of(values: np.ndarray) -> Series:
    sensors, windows = values.shape
    return Series(
        np.arange(sensors + 1, dtype=np.int64) * windows,
        np.tile(np.arange(windows, dtype=np.int64) * WINDOW_SECONDS, sensors),
        np.ascontiguousarray(values).ravel(),
    )


def tree_cpu() -> float:
    """Return the CPU seconds of this process and its descendants."""
    total = 0.0
    for process in [me := psutil.Process(), *me.children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def sklearn_fit(values: np.ndarray) -> Pipeline:
    return make_pipeline(StandardScaler(), OneClassSVM(nu=0.0001, gamma=0.01)).fit(values[:, None])


def _fit(values: np.ndarray, rounds: int) -> dict[str, object]:
    series, few = series_of(values), values[:60]
    own = compare(
        {OURS: lambda: detector("ocsvm").fit(series), "limit: mean, variance, min, max": lambda: _moments(values)},
        len(values),
        rounds * 3,
    )
    peers = compare(
        {
            "scikit-learn in a loop": lambda: [sklearn_fit(each) for each in few],
            "ocsvm_sklearn": lambda: detector("ocsvm_sklearn").fit(series_of(few)),
        },
        len(few),
        rounds,
    )
    if rounds > QUICK.rounds:
        peers.append(_joblib(values[:200], rounds))
        peers.append(_one_process_a_sensor(values))
        peers.append(_spark(values[:200]))
    title = f"Fitting on {WINDOWS} windows per sensor, {len(values):,} sensors of ten kinds"
    show(title, [*own, *peers], "sensors/CPU-s", OURS)
    return {"fit": {result.name: result.as_json() for result in [*own, *peers]}}


def _moments(values: np.ndarray) -> list[np.ndarray]:
    return [values.mean(axis=1), np.einsum("ij,ij->i", values, values), values.min(axis=1), values.max(axis=1)]


def _joblib(values: np.ndarray, rounds: int) -> Result:
    name = "joblib, 2 processes"
    with Parallel(n_jobs=2) as parallel:

        def work() -> None:
            parallel(delayed(sklearn_fit)(each) for each in values)

        work()
        return compare({name: work}, len(values), rounds, tree_cpu)[0]


def _one_process_a_sensor(values: np.ndarray) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.npy"
        np.save(file, values[0])

        def work() -> None:
            subprocess.run([sys.executable, "-c", ONE_PROCESS, file], check=True)

        result = compare({"one process a sensor": work}, 1, 3, tree_cpu)[0]
    result.remark = "fitting and scoring, as in the original system"
    return result


def _spark(values: np.ndarray) -> Result:
    name = "Spark applyInPandas"
    if find_spec("pyspark") is None:
        return Result(name, skipped="pyspark is not installed: pip install -r requirements-bench.txt")
    import pandas as pd
    from pyspark.sql import SparkSession

    frame = pd.DataFrame({"sensor": np.repeat(np.arange(len(values)), WINDOWS), "value": values.ravel()})

    def fit(group: pd.DataFrame) -> pd.DataFrame:
        model = sklearn_fit(group["value"].to_numpy())
        return pd.DataFrame({"sensor": group["sensor"].iloc[:1], "model": [pickle.dumps(model)]})

    # The workers of Spark need the same packages.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    try:
        spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    except Exception as exc:  # noqa: BLE001  whatever keeps a JVM from starting
        return Result(name, skipped=f"Spark does not start: {str(exc).splitlines()[0]}")
    try:
        readings = spark.createDataFrame(frame).cache()
        readings.count()

        def work() -> None:
            readings.groupBy("sensor").applyInPandas(fit, "sensor long, model binary").collect()

        work()
        return compare({name: work}, len(values), 2, tree_cpu)[0]
    finally:
        spark.stop()


def _score(values: np.ndarray, windows: int, rounds: int) -> dict[str, object]:
    ocsvm = detector("ocsvm")
    params = ocsvm.fit(series_of(values)).params
    series, few = series_of(values[:, :windows]), values[:200]
    models = [pickle.dumps(sklearn_fit(each)) for each in few]
    decisions = f"{OURS}, decisions alone"
    own = compare(
        {
            OURS: lambda: ocsvm.score(params, series),
            decisions: lambda: ocsvm.anomalous(params, series, np.full(series.n_sensors, ocsvm.threshold)),
            "limit: compare": lambda: values[:, :windows] > 0.0,
        },
        len(values),
        rounds * 5,
    )
    own[0].remark = "raw score, and thereby label, of every window"
    peers = compare(
        {
            "pickle load + scikit-learn": lambda: [
                pickle.loads(model).decision_function(each[:windows, None])
                for model, each in zip(models, few, strict=True)
            ]
        },
        len(few),
        rounds,
    )
    peers.append(_onnx(params.slice(0, 20), few[:20, :windows], rounds))
    show(f"Scoring {windows} windows per sensor", [*own, *peers], "sensors/CPU-s", OURS)
    return {f"score_{windows}": {result.name: result.as_json() for result in [*own, *peers]}}


def _onnx(params: pa.StructArray, values: np.ndarray, rounds: int) -> Result:
    name = "onnxruntime, one session a model"
    missing = [package for package in ("onnx", "onnxruntime") if find_spec(package) is None]
    if missing:
        return Result(name, skipped=f"not installed: {', '.join(missing)}")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [
        onnxruntime.InferenceSession(support_vectors_as_onnx(model), options, providers=["CPUExecutionProvider"])
        for model in params.to_pylist()
    ]
    inputs = [{"value": each[:, None].copy()} for each in values]
    result = compare(
        {name: lambda: [session.run(None, given) for session, given in zip(sessions, inputs, strict=True)]},
        len(sessions),
        rounds,
    )[0]
    result.remark = "exported models, already loaded"
    return result


def _storage(values: np.ndarray) -> dict[str, object]:
    params = detector("ocsvm").fit(series_of(values[:SHARD])).params
    table = pa.table({"params": params})
    one = pickle.dumps(sklearn_fit(values[0]))
    figures: dict[str, object] = {"pickle": {"bytes": len(one), "load_us": _microseconds(lambda: pickle.loads(one), 1)}}
    for compression in (None, "zstd"):
        options = pa.ipc.IpcWriteOptions(compression=compression)

        def save(options: pa.ipc.IpcWriteOptions = options) -> pa.Buffer:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_file(sink, table.schema, options=options) as writer:
                writer.write_table(table)
            return sink.getvalue()

        content = save()

        def load(content: pa.Buffer = content) -> KernelDecision:
            with pa.ipc.open_file(pa.BufferReader(content)) as reader:
                return KernelDecision.of(reader.read_all()["params"].combine_chunks())

        figures[f"Arrow IPC, {compression or 'plain'}"] = {
            "bytes": round(content.size / len(params), 1),
            "save_us": _microseconds(save, len(params)),
            "load_us": _microseconds(load, len(params)),
        }
    for name, figure in figures.items():
        print(f"a stored model, {name}: {figure}")
    return {"storage": figures}


def _microseconds(work: Callable[[], object], models: int) -> float:
    rates = compare({"": work}, models, 50)[0]
    return round(1e6 / rates.median, 3)


class _Registry:
    """A registry in memory, so that the time of a server is not measured."""

    def __init__(self) -> None:
        self.files: dict[ModelRef, bytes] = {}
        self.pointer: ModelRef | None = None

    def current(self, shard: int) -> ModelRef | None:
        return self.pointer

    def load(self, ref: ModelRef) -> pa.Table:
        return with_version(models_from_bytes(self.files[ref], ""), ref.version)

    def publish(self, shard: int, models: pa.Table, manifest: object, previous: ModelRef | None) -> ModelRef:
        self.pointer = ModelRef(shard, f"v{len(self.files)}")
        self.files[self.pointer] = models_to_bytes(models)
        return self.pointer


class _Files:
    def __init__(self) -> None:
        self.content = b""

    def write(self, task: TaskSpec, predictions: pa.Table) -> str:
        self.content = predictions_to_bytes(predictions, "parquet")
        return "file"


def _tasks(rounds: int) -> dict[str, object]:
    """Measure a task on SQLite, from the end of its imports to its end; bench_starts measures its start."""
    trained_until = datetime(2026, 11, 20, 12, tzinfo=UTC)
    scored_until = trained_until + timedelta(seconds=SCORED * WINDOW_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "store.db"
        store = open_store(f"sqlite:///{database}", shard_size=SHARD)
        add_windows(store, database, sensors=SHARD, shard_size=SHARD, last=scored_until, windows=WINDOWS + SCORED)
        registry, files = _Registry(), _Files()

        def task(kind: Kind, end: datetime) -> TaskSpec:
            return TaskSpec(f"{kind}-1", f"{kind}-000000", kind, 0, None, end)

        def train_one() -> None:
            registry.pointer = None
            train(
                task("train", trained_until),
                store=store,
                registry=registry,  # type: ignore[arg-type]
                detector_name="ocsvm",
                training_seconds=WINDOWS * WINDOW_SECONDS,
                needed=TrainingWindows(100),
                now=trained_until,
            )

        rounds_scored = itertools.count(1)

        def score_one() -> None:
            # A completed task does nothing, so each run's window end is one second later, with the same windows.
            end = scored_until + timedelta(seconds=next(rounds_scored))
            summary = score(task("score", end), store=store, registry=registry, predictions=files)  # type: ignore[arg-type]
            assert summary.predictions == SHARD * SCORED

        results = compare({"train, 720 windows": train_one}, SHARD, rounds)
        results += compare({"score, 12 windows": score_one}, SHARD, rounds * 3)
        store.dispose()
    show(f"Whole tasks of {SHARD:,} sensors on SQLite", results, "sensors/CPU-s", "train, 720 windows")
    return {
        "tasks": {result.name: result.as_json() for result in results},
        "shard_bytes_a_model": round(max(map(len, registry.files.values())) / SHARD, 1),
    }


if __name__ == "__main__":
    began = time.perf_counter()
    run(QUICK if "--quick" in sys.argv else FULL)
    print(f"{time.perf_counter() - began:.0f} s")
