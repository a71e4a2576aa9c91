"""Training of the sensors of a shard that have new windows, and publication of their models.

A task can be repeated: the same windows give the same models under the same version name, and a sensor is skipped if it
has no windows newer than its model.
"""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.config.file import Configuration
from sensorwatch.models.current import load_current, replace_current
from sensorwatch.models.table import MODEL_SCHEMA, has_model, merge
from sensorwatch.models.training.detector_choice import ChosenDetectors
from sensorwatch.models.training.fit_group import FittingRules, fit_group
from sensorwatch.models.training.older_windows import WindowHistory
from sensorwatch.models.training.outcomes import record_outcomes
from sensorwatch.models.training.promotion import PromotionRules
from sensorwatch.models.training.ranges import training_ranges
from sensorwatch.models.training.read_windows import TrainingReader
from sensorwatch.models.training.refused import REFUSED, carried_refusals
from sensorwatch.models.training.sensor_windows import newest_windows_to_train
from sensorwatch.models.training.warm_start import EnsembleRules, WarmStart
from sensorwatch.sensors.downtime import DowntimePlan
from sensorwatch.sensors.labelling import label_windows
from sensorwatch.sensors.ports import LabelStore, SensorStore
from sensorwatch.sensors.reporting_profile import reporting_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sensorwatch.models.current import CurrentModels
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.training.detector_choice import TrainingWindows
    from sensorwatch.models.training.older_windows import OlderWindows
    from sensorwatch.sensors.records import ReportingProfile
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["TrainSummary", "TrainingStore", "train"]

_DEFAULT_PROMOTION = PromotionRules()
_NO_RULES = Configuration()
_NO_DOWNTIME = DowntimePlan((), 1)
_DEFAULT_ENSEMBLES = EnsembleRules()

_LIBRARIES = ("sensorwatch", "numpy", "pyarrow", "scikit-learn")


class TrainingStore(WindowHistory, SensorStore, LabelStore, Protocol):
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
    older: OlderWindows | None = None,
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
        Number of windows with a finite value that a sensor needs. A sensor with fewer is ``warming`` and
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
    older
        Limits of the windows from before the training range that sensors with few windows in it are trained on, too;
        None: every sensor is trained on its range alone.

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
    newest = newest_windows_to_train(chosen.to_train(sensors, current.models), current.models, task.end)
    reader = TrainingReader(
        store, task, sensors, newest=newest, training_seconds=training_seconds, older=older, downtime=downtime
    )
    warm_start = WarmStart(sensors, current.models, ensembles)
    rules = FittingRules(warm_start, training_seconds, needed, promotion, older, reader.trend_starts)
    rows: list[pa.Table] = []
    refused: list[dict[str, object]] = []
    profiles: list[ReportingProfile] = []
    digest = hashlib.sha256()
    windows = 0
    for wanted in training_ranges(newest, training_seconds):
        for batch in reader.batches(wanted):
            for array in (batch.sensor_ids, batch.series.offsets, batch.series.times, batch.series.values):
                digest.update(array.tobytes())
            for unlabelled in chosen.groups(batch.sensor_ids, batch.series, needed):
                group = unlabelled
                if group.detector.learns_from_labels:
                    first = datetime.fromtimestamp(int(group.series.times.min()) - 1, UTC)
                    known = store.shard_labels(task.shard, first, wanted.end)
                    labels = label_windows(group.sensor_ids, group.series.offsets, group.series.times, known)
                    digest.update(labels.tobytes())
                    group = group._replace(series=replace(group.series, labels=labels))
                fitted, refused_here = fit_group(group, rules)
                rows.append(fitted)
                refused.extend(refused_here)
            windows += len(batch.series.values)
            profiles.extend(
                reporting_profiles(batch.sensor_ids, batch.series.offsets, batch.series.times, batch.series.values)
            )
    trained = _starting_with(reader.trend_starts, pa.concat_tables(rows, promote_options="default")) if rows else None
    about = {
        "window_end": task.end.isoformat(),
        "created_at": now.isoformat(),
        "run_id": task.run_id,
        "task_id": task.task_id,
        "detector": detector_name,
        "training_seconds": training_seconds,
        **({"training_windows": older.number, "training_days": older.days} if older else {}),
        "minimum_training_windows": needed.minimum,
        "promotion": asdict(promotion),
        "data_sha256": digest.hexdigest(),
        "versions": {"python": platform.python_version(), **{name: installed_version(name) for name in _LIBRARIES}},
    }

    def merged(previous: CurrentModels) -> pa.Table:
        return merge(previous.models, MODEL_SCHEMA.empty_table() if trained is None else trained)

    def manifest(previous: CurrentModels, models: pa.Table) -> dict[str, object]:
        return {
            **about,
            **_description(models),
            REFUSED: carried_refusals(registry, previous.loaded, models, refused),
        }

    ref, models = current.pointer, current.models
    # Without a trained sensor, models are published only if the pointer names damaged ones.
    if trained is not None or (current.problem and models is not None):
        ref, models = replace_current(registry, task.shard, current, merged, manifest)
    outcomes = record_outcomes(store, sensors, models)
    store.record_reporting_profiles(profiles)
    return TrainSummary(
        shard=task.shard,
        version=ref.version if ref else None,
        trained=0 if trained is None else trained.num_rows,
        windows=windows,
        states=Counter(outcome.state for outcome in outcomes),
        problem=current.problem,
    )


def _starting_with(trend_starts: Mapping[int, int], trained: pa.Table) -> pa.Table:
    """Return the model table with training ranges that start no earlier than the new trends of their sensors."""
    if not trend_starts:
        return trained
    rows = zip(trained["sensor_id"].to_pylist(), trained["training_start"].to_pylist(), strict=True)
    starts = [None if start is None else max(start, trend_starts.get(sensor_id, start)) for sensor_id, start in rows]
    column = trained.schema.get_field_index("training_start")
    return trained.set_column(column, trained.schema.field(column), pa.array(starts, pa.int64()))


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
