"""Import of models that were trained elsewhere: skops or ONNX files named ``model_{device}_{tag}``.

An imported model is ready at once. It stays in use until another one is imported for its sensor, or until a rule of
``sensorwatch.yaml`` names a detector for the sensor. Importing the same files again changes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from sensorwatch.config.detectors import canonical_json
from sensorwatch.detectors.calibration import Calibration, calibrate
from sensorwatch.detectors.external.onnx_model import OnnxModel, OnnxSession, packed_onnx
from sensorwatch.detectors.external.sklearn_estimator import Estimator, packed
from sensorwatch.detectors.external.stored import estimator_from_bytes
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import InvalidInputError
from sensorwatch.models.current import load_current, replace_current
from sensorwatch.models.table import MODEL_SCHEMA, params_column, replace_models
from sensorwatch.models.training.outcomes import record_outcomes
from sensorwatch.models.training.ranges import training_ranges
from sensorwatch.sensors.ports import SensorStore
from sensorwatch.sensors.records import SensorKey
from sensorwatch.sensors.windows import WindowStore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.models.current import CurrentModels
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["ImportStore", "ImportedModels", "ModelFile", "import_models", "sensor_of"]

_PROBES = np.array([-1e6, 0.0, 1e6])
_PREFIX = "model_"


class ImportStore(WindowStore, SensorStore, Protocol):
    """Store of windows and sensors that also registers new sensors."""

    def sensor_ids(self, keys: Collection[SensorKey]) -> dict[SensorKey, int]:
        """As :meth:`sensorwatch.ingestion.ports.IngestStore.sensor_ids`."""
        ...


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file to import.

    Attributes
    ----------
    key
        The sensor of the model.
    name
        Name of the file; its suffix gives the format.
    content
        Content of the file.
    """

    key: SensorKey
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ImportedModels:
    """Result of an import.

    Attributes
    ----------
    sensors
        Number of imported models, one for each sensor.
    versions
        New version of each shard.
    calibrated
        Number of models whose scores were calibrated on windows.
    """

    sensors: int
    versions: Mapping[int, str]
    calibrated: int

    def __str__(self) -> str:
        """Return it as a sentence."""
        versions = ", ".join(f"shard {shard} is at {version}" for shard, version in sorted(self.versions.items()))
        return f"imported {self.sensors} models, {self.calibrated} of them calibrated on windows; {versions}"


def sensor_of(name: str, known: Collection[SensorKey]) -> SensorKey:
    """Return the sensor whose model a file contains, by the name of the file.

    Parameters
    ----------
    name
        ``model_{device}_{tag}.skops`` or ``.onnx``.
    known
        The known sensors. If the name has several underscores, it must match exactly one of them.

    Raises
    ------
    InvalidInputError
        The name has another form, or is ambiguous.

    Examples
    --------
    >>> sensor_of("model_2_4.skops", [])
    SensorKey(device='2', tag='4')
    >>> sensor_of("model_press_1_temperature.onnx", [SensorKey("press_1", "temperature")])
    SensorKey(device='press_1', tag='temperature')
    """
    stem, dot, suffix = name.rpartition(".")
    parts = stem.removeprefix(_PREFIX).split("_")
    if f"{dot}{suffix}" not in (".skops", ".onnx") or not stem.startswith(_PREFIX) or len(parts) < 2:
        raise InvalidInputError(f"{name}: expected a name like model_DEVICE_TAG.skops or model_DEVICE_TAG.onnx")
    possible = [SensorKey("_".join(parts[:i]), "_".join(parts[i:])) for i in range(1, len(parts))]
    if len(possible) > 1:
        possible = [key for key in possible if key in known]
    if len(possible) != 1 or not all(possible[0]):
        raise InvalidInputError(
            f"{name}: expected a name that matches one known sensor, it matches {len(possible)}; import the file "
            "alone, with --device and --tag"
        )
    return possible[0]


def import_models(
    files: Sequence[ModelFile],
    *,
    store: ImportStore,
    registry: ModelRegistry,
    policy: EstimatorPolicy,
    training_seconds: int,
    now: datetime,
) -> ImportedModels:
    """Check models and make them the current models of their sensors; new sensors enter the catalogue.

    All files are checked before anything is stored.

    Parameters
    ----------
    files
        The models, one for each sensor.
    store
        Source of sensors and windows.
    registry
        Destination of the models.
    policy
        Estimators that may be loaded.
    training_seconds
        Length of the range, in seconds up to a sensor's newest window, on which its scores are calibrated. Without
        windows, scores follow from the value of the decision function: 2.3 beyond the boundary is a score of 65.
    now
        Current time (UTC), which is the time of the version.

    Raises
    ------
    InvalidInputError
        A file can't be used, or two files are for one sensor; the message has one line for each problem.
    ConflictError
        Other writers kept changing a shard's models. The models of that shard and of later ones were not imported;
        import them again.
    """
    params = _checked(files, policy)
    ids = store.sensor_ids([file.key for file in files])
    statuses = store.sensors_by_id(set(ids.values()))
    by_shard: defaultdict[int, list[ModelFile]] = defaultdict(list)
    for file in files:
        by_shard[statuses[ids[file.key]].shard].append(file)
    versions: dict[int, str] = {}
    calibrated = 0
    for shard, members in sorted(by_shard.items()):
        sensors = [statuses[ids[file.key]] for file in members]
        series = _windows(store, shard, sensors, training_seconds)
        rows = [
            _row(file, sensor, params[file.key], series.get(sensor.sensor_id), now, policy)
            for file, sensor in zip(members, sensors, strict=True)
        ]
        imported = pa.concat_tables(rows, promote_options="default")
        versions[shard], models = _publish(registry, shard, imported, now)
        record_outcomes(store, store.sensors(shard), models)
        calibrated += len(series)
    return ImportedModels(len(files), versions, calibrated)


def _checked(files: Sequence[ModelFile], policy: EstimatorPolicy) -> dict[SensorKey, pa.StructArray]:
    """Return the model of each file as parameters of its detector."""
    params: dict[SensorKey, pa.StructArray] = {}
    problems = [f"{key}: {number} files for one sensor" for key, number in _repeated(files) if number > 1]
    for file in files:
        try:
            params[file.key] = _params(file, policy)
        except InvalidInputError as exc:
            problems.append(f"{file.name}: {exc}")
    if problems:
        raise InvalidInputError("\n".join(problems))
    return params


def _repeated(files: Sequence[ModelFile]) -> list[tuple[str, int]]:
    counts = Counter(file.key for file in files)
    return [(f"device {key.device}, tag {key.tag}", number) for key, number in counts.items()]


def _params(file: ModelFile, policy: EstimatorPolicy) -> pa.StructArray:
    """Return the parameters of a file's model after a trial on three values."""
    specification = canonical_json({"imported": file.name})
    if file.name.endswith(".onnx"):
        raw = OnnxSession(file.content).raw_scores(_PROBES)
        params = packed_onnx(specification, file.content)
    else:
        estimator = estimator_from_bytes(file.content, policy)
        if not hasattr(estimator, "decision_function"):
            raise InvalidInputError(f"expected an estimator with decision_function, got {type(estimator).__name__}")
        params = packed(specification, file.content)
        raw = _score(file.name, params, Series(np.array([0, len(_PROBES)]), np.arange(len(_PROBES)), _PROBES), policy)
    if np.isnan(raw).any():
        raise InvalidInputError("expected a finite score for each of three values in a column, some scores are NaN")
    return params


def _detector_of(name: str, policy: EstimatorPolicy) -> Estimator | OnnxModel:
    return OnnxModel() if name.endswith(".onnx") else Estimator(policy=policy)


def _score(name: str, params: pa.StructArray, series: Series, policy: EstimatorPolicy) -> np.ndarray[Any, Any]:
    return _detector_of(name, policy).score(params, series)


def _windows(
    store: WindowStore, shard: int, sensors: Sequence[SensorStatus], training_seconds: int
) -> dict[int, Series]:
    """Return the last ``training_seconds`` of windows of the sensors that have any, by sensor id."""
    newest = {sensor.sensor_id: sensor.last_window for sensor in sensors if sensor.last_window is not None}
    found: dict[int, Series] = {}
    for wanted in training_ranges(newest, training_seconds):
        columns = store.read_windows(shard, wanted.start, wanted.end)
        ids, series = Series.grouped(columns.sensor_id, columns.end, columns.value)
        for i, sensor_id in enumerate(ids.tolist()):
            if sensor_id in wanted.sensor_ids and np.isfinite(series.part(i, i + 1).values).any():
                found[sensor_id] = series.part(i, i + 1)
    return found


def _row(
    file: ModelFile,
    sensor: SensorStatus,
    params: pa.StructArray,
    series: Series | None,
    now: datetime,
    policy: EstimatorPolicy,
) -> pa.Table:
    chosen = _detector_of(file.name, policy)
    if series is None:
        calibration = Calibration.unfitted(chosen.threshold)
    else:
        calibration = calibrate(chosen.score(params, series), series.offsets, chosen.threshold)
    row = {
        "sensor_id": sensor.sensor_id,
        "detector": chosen.name,
        "state": "ready",
        "reason": "",
        "windows": 0,
        "training_end": int(now.timestamp()),
        # Windows that exist already must not raise alerts.
        "first_training_end": 0 if sensor.last_window is None else int(sensor.last_window.timestamp()),
        "version": "",
        **{name: float(getattr(calibration, name)[0]) for name in Calibration.columns},
    }
    table = pa.Table.from_pylist([row], schema=MODEL_SCHEMA)
    return table.append_column(params_column(chosen.name), params)


def _publish(registry: ModelRegistry, shard: int, imported: pa.Table, now: datetime) -> tuple[str, pa.Table]:
    """Publish imported models together with those of the shard's other sensors; return the version and all models."""

    def merged(current: CurrentModels) -> pa.Table:
        return replace_models(current.models, imported)

    def manifest(_: CurrentModels, models: pa.Table) -> dict[str, object]:
        return {
            "window_end": now.isoformat(),
            "created_at": now.isoformat(),
            "imported": imported.num_rows,
            "rows": models.num_rows,
            "states": dict(sorted(Counter(models["state"].to_pylist()).items())),
            "detectors": dict(sorted(Counter(models["detector"].to_pylist()).items())),
        }

    ref, models = replace_current(registry, shard, load_current(registry, shard), merged, manifest)
    return ref.version, models
