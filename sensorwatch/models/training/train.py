"""Training of the sensors of a shard that have new windows, and publication of their models.

A task can be repeated: the same windows give the same models under the same version name, and a sensor is skipped if it
has no windows newer than its model.
"""

from __future__ import annotations

import hashlib
import logging
import platform
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.config.file import Configuration
from sensorwatch.detectors.base import calibration_of, training_scores
from sensorwatch.detectors.calibration import Calibration
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import ConflictError
from sensorwatch.models.current import CurrentModels, load_current
from sensorwatch.models.table import MODEL_SCHEMA, has_model, merge, params_column, with_version
from sensorwatch.models.training.detector_choice import ChosenDetectors
from sensorwatch.models.training.outcomes import record_outcomes
from sensorwatch.models.training.promotion import PromotionRules, refusals
from sensorwatch.models.training.ranges import training_ranges
from sensorwatch.models.training.refused import REFUSED, carried_refusals, describe_refused
from sensorwatch.models.training.warm_start import EnsembleRules, WarmStart
from sensorwatch.sensors.downtime import DowntimePlan
from sensorwatch.sensors.labelling import label_windows
from sensorwatch.sensors.ports import LabelStore, SensorStore
from sensorwatch.sensors.reporting_profile import reporting_profiles
from sensorwatch.sensors.windows import WindowColumns, WindowStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.records import ModelRef
    from sensorwatch.models.training.detector_choice import DetectorGroup, TrainingWindows
    from sensorwatch.sensors.records import ReportingProfile, SensorStatus
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["TrainSummary", "TrainingStore", "train"]

_log = logging.getLogger(__name__)

_PUBLISH_TRIES = 5
_PART_VALUES = 1_000_000
"""Values that are trained on at once: enough to be fast, few enough to keep temporary arrays small."""

_DEFAULT_PROMOTION = PromotionRules()
_NO_RULES = Configuration()
_NO_DOWNTIME = DowntimePlan((), 1)
_DEFAULT_ENSEMBLES = EnsembleRules()

_LIBRARIES = ("sensorwatch", "numpy", "pyarrow", "scikit-learn")


class TrainingStore(WindowStore, SensorStore, LabelStore, Protocol):
    """Methods of the store that training uses."""

    def record_reporting_profiles(self, profiles: Sequence[ReportingProfile]) -> None:
        """Store the reporting profiles of sensors, in place of earlier ones."""
        ...


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """Result of a training task.

    Attributes
    ----------
    shard
        Number of the shard.
    version
        The current version; None if there are no models.
    trained
        Number of sensors that were trained, with or without getting a model.
    windows
        Number of windows that they were trained on.
    states
        Number of the shard's sensors by state.
    problem
        Reason why the previously current models could not be used; empty if they could.
    challengers
        Summaries of the shard's challengers, by name.
    """

    shard: int
    version: str | None
    trained: int
    windows: int
    states: Mapping[str, int]
    problem: str
    challengers: Mapping[str, TrainSummary] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as one line."""
        states = ", ".join(f"{number} {state}" for state, number in sorted(self.states.items())) or "no sensors"
        line = f"shard {self.shard}: trained {self.trained} sensors on {self.windows} windows; {states}"
        line += f"; version {self.version}" if self.version else "; no models"
        line = f"{line}; used an older version: {self.problem}" if self.problem else line
        return "\n".join([line, *(f"model {name}, {summary}" for name, summary in self.challengers.items())])


def train(
    task: TaskSpec,
    *,
    store: TrainingStore,
    registry: ModelRegistry,
    detector_name: str,
    training_seconds: int,
    needed: TrainingWindows,
    now: datetime,
    promotion: PromotionRules = _DEFAULT_PROMOTION,
    configuration: Configuration = _NO_RULES,
    downtime: DowntimePlan = _NO_DOWNTIME,
    ensembles: EnsembleRules = _DEFAULT_ENSEMBLES,
) -> TrainSummary:
    """Train a shard's sensors that have windows newer than their model.

    Parameters
    ----------
    task
        The shard, and the windows that may be used: ``task.start < end <= task.end``.
    store
        Source of windows and sensors; destination of the sensors' states and reporting profiles.
    registry
        Registry of the models.
    detector_name
        Detector of sensors that no rule of the configuration matches.
    training_seconds
        Length of a sensor's training range, in seconds up to its newest window.
    needed
        Number of windows with a finite value that a sensor needs in the range. A sensor with fewer is ``warming`` and
        may get a fallback, which never alerts.
    now
        Current time (UTC), for the manifest.
    promotion
        Limits of the promotion gate. If a model is refused, the sensor's previous model stays in use as ``stale``; a
        sensor without one is ``failed``. The refused model is kept in the manifest.
    configuration
        ``sensorwatch.yaml``: its rules choose detectors. An imported model stays in use unless a rule names a detector
        for its sensor.
    downtime
        Windows measured during downtime are left out.
    ensembles
        Rules for ensembles, such as the interval at which member weights are learned.

    Raises
    ------
    InvalidInputError
        There is no such detector.
    ConflictError
        Other writers kept changing the shard's models. Nothing is lost; the task can run again.
    """
    chosen = ChosenDetectors(configuration, detector_name)
    sensors = store.sensors(task.shard)
    current = load_current(registry, task.shard)
    ranges = training_ranges(
        _newest_of_due(chosen.to_train(sensors, current.models), current.models, task.end), training_seconds
    )
    warm_start = WarmStart(sensors, current.models, ensembles)
    rows: list[pa.Table] = []
    refused: list[dict[str, object]] = []
    usual: list[ReportingProfile] = []
    digest = hashlib.sha256()
    windows = 0
    began = {sensor.sensor_id: int(sensor.train_from.timestamp()) for sensor in sensors if sensor.train_from}
    for wanted in ranges:
        start = max(wanted.start, task.start) if task.start else wanted.start
        columns = _since_new_trends(store.read_windows(task.shard, start, wanted.end), began)
        columns = _without_downtime(columns, sensors, downtime)
        for part in _parts(_training_windows(columns, wanted.sensor_ids, training_seconds)):
            for array in (part.sensor_ids, part.series.offsets, part.series.times, part.series.values):
                digest.update(array.tobytes())
            for unlabelled in chosen.groups(part.sensor_ids, part.series, needed):
                group = unlabelled
                if group.detector.learns_from_labels:
                    known = store.shard_labels(task.shard, start, wanted.end)
                    labels = label_windows(group.sensor_ids, group.series.offsets, group.series.times, known)
                    digest.update(labels.tobytes())
                    group = group._replace(series=replace(group.series, labels=labels))
                fitted, refused_here = _fit(group, warm_start, training_seconds, needed, promotion)
                rows.append(fitted)
                refused.extend(refused_here)
            windows += len(part.series.values)
            usual.extend(
                reporting_profiles(part.sensor_ids, part.series.offsets, part.series.times, part.series.values)
            )
    trained = _starting_with(began, pa.concat_tables(rows, promote_options="default")) if rows else None
    about = {
        "window_end": task.end.isoformat(),
        "created_at": now.isoformat(),
        "run_id": task.run_id,
        "task_id": task.task_id,
        "detector": detector_name,
        "training_seconds": training_seconds,
        "minimum_training_windows": needed.minimum,
        "promotion": asdict(promotion),
        "data_sha256": digest.hexdigest(),
        "versions": {"python": platform.python_version(), **{name: installed_version(name) for name in _LIBRARIES}},
    }
    ref, models = _publish(registry, task.shard, current, trained, about, refused)
    outcomes = record_outcomes(store, sensors, models)
    store.record_reporting_profiles(usual)
    return TrainSummary(
        shard=task.shard,
        version=ref.version if ref else None,
        trained=0 if trained is None else trained.num_rows,
        windows=windows,
        states=Counter(outcome.state for outcome in outcomes),
        problem=current.problem,
    )


def _newest_of_due(sensors: Sequence[SensorStatus], models: pa.Table | None, end: datetime) -> dict[int, datetime]:
    """Return the newest window up to ``end`` of the sensors that have no model or one trained without this window."""
    seen: dict[int, int | None] = {}
    if models is not None:
        seen = dict(zip(models["sensor_id"].to_pylist(), models["training_end"].to_pylist(), strict=True))
    newest = {sensor.sensor_id: min(sensor.last_window, end) for sensor in sensors if sensor.last_window}
    return {
        sensor_id: time
        for sensor_id, time in newest.items()
        if (until := seen.get(sensor_id)) is None or time.timestamp() > until
    }


def _since_new_trends(columns: WindowColumns, began: Mapping[int, int]) -> WindowColumns:
    """Leave out windows before the beginning of a sensor's new trend, as a person's feedback states it."""
    if not began:
        return columns
    ids = np.array(sorted(began), np.int64)
    ends = np.array([began[sensor_id] for sensor_id in sorted(began)], np.int64)
    position = np.minimum(np.searchsorted(ids, columns.sensor_id), len(ids) - 1)
    keep = (ids[position] != columns.sensor_id) | (columns.end > ends[position])
    return columns.only(keep)


def _starting_with(began: Mapping[int, int], trained: pa.Table) -> pa.Table:
    """Return the model table with training ranges that start no earlier than the new trends of their sensors."""
    if not began:
        return trained
    rows = zip(trained["sensor_id"].to_pylist(), trained["training_start"].to_pylist(), strict=True)
    starts = [None if start is None else max(start, began.get(sensor_id, start)) for sensor_id, start in rows]
    column = trained.schema.get_field_index("training_start")
    return trained.set_column(column, trained.schema.field(column), pa.array(starts, pa.int64()))


def _without_downtime(columns: WindowColumns, sensors: Sequence[SensorStatus], downtime: DowntimePlan) -> WindowColumns:
    if not downtime.entries:
        return columns
    ids = np.array([sensor.sensor_id for sensor in sensors], np.int64)
    # A sensor registered after the catalogue was read can have windows here, but is not trained by this task.
    position = np.minimum(np.searchsorted(ids, columns.sensor_id), len(ids) - 1)
    keep = ~downtime.mask([sensor.key for sensor in sensors], position, columns.end)
    return columns.only(keep)


class _Part(NamedTuple):
    """Training windows of some sensors; every sensor has at least one."""

    sensor_ids: npt.NDArray[np.int64]
    series: Series


def _training_windows(columns: WindowColumns, sensor_ids: Sequence[int], training_seconds: int) -> _Part:
    """Return the last ``training_seconds`` of windows of each wanted sensor."""
    found, whole = Series.grouped(columns.sensor_id, columns.end, columns.value)
    newest = whole.times[whole.offsets[1:] - 1]
    keep = whole.times > np.repeat(newest - training_seconds, whole.lengths)
    keep &= np.repeat(np.isin(found, sensor_ids), whole.lengths)
    if keep.all():
        return _Part(found, whole)
    return _Part(*Series.grouped(columns.sensor_id[keep], whole.times[keep], whole.values[keep]))


def _parts(whole: _Part) -> Iterator[_Part]:
    first, offsets = 0, whole.series.offsets
    while first < whole.series.n_sensors:
        last = int(np.searchsorted(offsets, offsets[first] + _PART_VALUES, side="right")) - 1
        last = max(last, first + 1)
        yield _Part(whole.sensor_ids[first:last], whole.series.part(first, last))
        first = last


def _fit(
    group: DetectorGroup,
    warm_start: WarmStart,
    training_seconds: int,
    needed: TrainingWindows,
    promotion: PromotionRules,
) -> tuple[pa.Table, list[dict[str, object]]]:
    """Return the model table of a group, and the manifest's entries of refused models."""
    chosen, series = group.detector, group.series.finite()
    enough = (series.lengths >= needed.minimum) | group.is_fallback
    fitted = warm_start.fit(chosen, group.sensor_ids, series, enough)
    candidate = np.array([reason is None for reason in fitted.reasons], dtype=np.bool_) & enough
    raw = training_scores(chosen, fitted, series)
    candidates = pc.if_else(pa.array(candidate), fitted.params, pa.scalar(None, fitted.params.type))
    calibration = calibration_of(chosen, raw, series.offsets)
    refused = refusals(chosen, candidates, series, raw, promotion)
    ready = candidate.copy()
    ready[list(refused)] = False
    low, high = chosen.expected_range(fitted.params)
    newest = group.series.times[group.series.offsets[1:] - 1]
    warming = ~enough | group.is_fallback
    states = np.where(warming, "warming", np.where(ready, "ready", "failed"))
    reasons = [
        f"{length} of {needed.minimum} windows" if warming[i] else refused.get(i, fitted.reasons[i] or "")
        for i, length in enumerate(series.lengths)
    ]

    def of_ready(values: npt.NDArray[Any]) -> pa.Array:
        # Rows of equal models must be equal, but NaN is not equal to itself: it is stored as null.
        return pa.array(values, mask=~ready | np.isnan(values))

    columns = {
        "sensor_id": pa.array(group.sensor_ids),
        "detector": pa.repeat(chosen.name, len(ready)),
        "state": pa.array(states.tolist(), pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "windows": pa.array(series.lengths),
        "training_start": of_ready(newest - training_seconds),
        "training_end": of_ready(newest),
        "first_training_end": of_ready(newest),
        "version": pa.repeat("", len(ready)),
        **{name: of_ready(getattr(calibration, name)) for name in Calibration.columns},
        "expected_low": of_ready(low),
        "expected_high": of_ready(high),
    }
    params = pc.if_else(pa.array(ready), fitted.params, pa.scalar(None, fitted.params.type))
    schema = MODEL_SCHEMA.append(pa.field(params_column(chosen.name), params.type))
    kept = [
        describe_refused(
            sensor_id=group.sensor_ids[i],
            detector=chosen.name,
            reason=reason,
            windows=series.lengths[i],
            training_start=newest[i] - training_seconds,
            training_end=newest[i],
            **{name: getattr(calibration, name)[i] for name in Calibration.columns},
            expected_low=low[i],
            expected_high=high[i],
            params=fitted.params[i].as_py(),
        )
        for i, reason in refused.items()
    ]
    return pa.table([*columns.values(), params], schema=schema), kept


def _publish(
    registry: ModelRegistry,
    shard: int,
    current: CurrentModels,
    trained: pa.Table | None,
    about: Mapping[str, object],
    refused: Sequence[Mapping[str, object]],
) -> tuple[ModelRef | None, pa.Table | None]:
    """Merge trained models into the current ones and publish them if they differ; return version and models."""
    if trained is None and not current.problem:
        return current.pointer, current.models
    for _ in range(_PUBLISH_TRIES):
        models = current.models if trained is None else merge(current.models, trained)
        if models is None or (not current.problem and models.equals(current.models)):
            return current.pointer, models
        kept = {REFUSED: carried_refusals(registry, current.loaded, models, refused)}
        try:
            ref = registry.publish(shard, models, {**about, **_description(models), **kept}, current.pointer)
        except ConflictError as exc:
            _log.warning("shard %d: another writer published models, merging again: %s", shard, exc)
            current = load_current(registry, shard)
        else:
            return ref, with_version(models, ref.version)
    raise ConflictError(
        f"shard {shard}: other writers published models during each of {_PUBLISH_TRIES} tries; run the task again later"
    )


def _description(models: pa.Table) -> dict[str, object]:
    usable = models.filter(has_model(models))
    return {
        "rows": models.num_rows,
        "states": dict(sorted(Counter(models["state"].to_pylist()).items())),
        "detectors": dict(sorted(Counter(usable["detector"].to_pylist()).items())),
        "training_start": _iso(pc.min(usable["training_start"]).as_py()),
        "training_end": _iso(pc.max(usable["training_end"]).as_py()),
    }


def _iso(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
