"""Training of a model of machines: labels, split in time, calibration of thresholds, measurement, final fit.

Time is split into three parts: training, validation (to calibrate thresholds) and test (for measurement only). Between
two parts is a guard gap of the horizon and 36 hours. So the label of a training sample does not use data after the gap,
and the windows of the first sample after the gap do not use data before it. Recipes without thresholds also train on
the validation part. The measured model is fitted on the training part only. The published model is then fitted on all
labelled samples, with the same thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sensorwatch.errors import InvalidInputError
from sensorwatch.machines.classifiers import feature_set_of, fit_classifier
from sensorwatch.machines.confirmed import join_confirmed
from sensorwatch.machines.features import make_features
from sensorwatch.machines.fleet import COMPONENTS, HALF_DAY_SECONDS, HOUR_SECONDS
from sensorwatch.machines.labels import first_failure, last_labelled_sample, seconds_to_failure
from sensorwatch.machines.metrics import measure
from sensorwatch.machines.model import MachineModel, feature_groups

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.machines.classifiers import Bools, Classifier, Recipe
    from sensorwatch.machines.features import FeatureTable
    from sensorwatch.machines.fleet import Fleet, Floats, Ints
    from sensorwatch.machines.metrics import Metrics

__all__ = [
    "Measured",
    "Samples",
    "Trained",
    "TrainingPlan",
    "labelled_samples",
    "measure_model",
    "summary_of",
    "train_model",
]

_DAY_SECONDS = 86_400
_WINDOW_SECONDS = 36 * HOUR_SECONDS
_FEWEST_FAILING = 10
_LOWEST_THRESHOLD = 1e-3
_NEARLY_BEST = 0.98
_IMPORTANCE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Parameters of training.

    Attributes
    ----------
    recipe
        Kind of classifier.
    horizon_seconds
        Length of the time after a sample in which a failure counts; whole half-days.
    validation_days, test_days
        Lengths of the parts after the training part, in days.
    seed
        Seed of the random numbers.
    jobs
        Number of threads of a forest.
    rounds
        Number of trees of a forest, or of boosting rounds; None for the default of the recipe.
    """

    recipe: Recipe = "boosted"
    horizon_seconds: int = 7 * HALF_DAY_SECONDS
    validation_days: int = 60
    test_days: int = 60
    seed: int = 0
    jobs: int = 1
    rounds: int | None = None

    @property
    def guard_samples(self) -> int:
        """Length of the gaps between the parts, in half-days."""
        return -(-(self.horizon_seconds + _WINDOW_SECONDS) // HALF_DAY_SECONDS)


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples with features and labels.

    Attributes
    ----------
    table
        Features.
    to_failure
        Seconds to the next failure of each component, shape ``(n_rows, 4)``, int64.
    horizon_seconds
        Length of the time after a sample in which a failure counts.
    confirmed
        Number of confirmed alerts with each of :data:`~sensorwatch.machines.confirmed.CONFIRMED_OUTCOMES`.
    """

    table: FeatureTable
    to_failure: Ints
    horizon_seconds: int
    confirmed: dict[str, int]

    @property
    def fails(self) -> Bools:
        """True for each component that fails within the horizon, shape ``(n_rows, 4)``."""
        return self.to_failure <= self.horizon_seconds

    @property
    def first_failing(self) -> npt.NDArray[np.int8]:
        """Class of each row, shape ``(n_rows,)``."""
        return first_failure(self.to_failure, self.horizon_seconds)

    def between(self, first: int, last: int) -> Samples:
        """Return the samples from ``first`` to ``last`` (both inclusive)."""
        wanted = (self.table.sample >= first) & (self.table.sample <= last)
        return replace(self, table=self.table.rows(wanted), to_failure=self.to_failure[wanted])


@dataclass(frozen=True, slots=True)
class Measured:
    """Model of the training part, measured on the test part.

    Attributes
    ----------
    model
        Model, fitted on the training part only.
    samples
        All labelled samples.
    metrics
        Measures on the test part.
    parts
        First and last sample of each part, by name.
    """

    model: MachineModel
    samples: Samples
    metrics: Metrics
    parts: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Trained:
    """Model of all labelled samples, with the measures of the model of the training part.

    Attributes
    ----------
    model
        Model, fitted on all labelled samples.
    measured
        Model of the training part, with its measures.
    importances
        Average precision over all components that the measured model loses on the test part if a group of columns is
        shuffled, by group.
    """

    model: MachineModel
    measured: Measured
    importances: dict[str, float]


def labelled_samples(fleet: Fleet, plan: TrainingPlan, start: int | None, end: int) -> Samples:
    """Return the samples whose labels are known at ``end``.

    Parameters
    ----------
    fleet
        The fleet.
    plan
        Parameters of training.
    start
        Only samples after this time (exclusive), in seconds since 1970-01-01T00:00:00Z; None for no limit.
    end
        Only samples up to this time (inclusive) whose horizon has ended by then, in the same unit.

    Raises
    ------
    InvalidInputError
        There are no such samples.
    """
    telemetry = fleet.telemetry
    if not len(telemetry.hour):
        raise InvalidInputError("no telemetry to train on; import some with `sensorwatch maintenance ingest DIR`")
    begin = int(telemetry.hour.min() - 1) * HOUR_SECONDS
    first = max(begin, -1 if start is None else start) // HALF_DAY_SECONDS + 1
    known = min(end, int(telemetry.hour.max()) * HOUR_SECONDS)
    last = last_labelled_sample(known, plan.horizon_seconds)
    if last < first:
        raise InvalidInputError(
            f"nothing to train on: labels need {plan.horizon_seconds / _DAY_SECONDS:g} days of telemetry after a "
            f"sample, got {(known - first * HALF_DAY_SECONDS) / _DAY_SECONDS:.1f} days in all; import a longer range"
        )
    table = make_features(fleet, sorted(set(fleet.machines.model)), feature_set_of(plan.recipe), first, last)
    joined = join_confirmed(fleet, plan.horizon_seconds)
    ahead = seconds_to_failure(joined.failures, len(fleet.machines.machine_id), first, last)
    return Samples(table, ahead[table.machine, table.sample - first], plan.horizon_seconds, joined.counts)


def train_model(fleet: Fleet, plan: TrainingPlan, start: int | None, end: int) -> Trained:
    """Train a model on the data known at ``end``, and measure it.

    Parameters
    ----------
    fleet
        The fleet.
    plan
        Parameters of training.
    start
        Only samples after this time (exclusive), in seconds since 1970-01-01T00:00:00Z; None for no limit.
    end
        Only data up to this time (inclusive), in the same unit.

    Raises
    ------
    InvalidInputError
        The data is too short for the parts, or contains too few failures.
    """
    measured = measure_model(fleet, plan, start, end)
    classifier = _fit(measured.samples, plan)
    model = _model(classifier, measured.model.machine_models, measured.model.thresholds, measured.samples)
    test = measured.samples.between(*measured.parts["test"])
    return Trained(model, measured, _importances(measured.model, test, plan.seed))


def measure_model(fleet: Fleet, plan: TrainingPlan, start: int | None, end: int) -> Measured:
    """Fit a model on the training part, and measure it on the test part.

    Parameters
    ----------
    fleet
        The fleet.
    plan
        Parameters of training.
    start
        Only samples after this time (exclusive), in seconds since 1970-01-01T00:00:00Z; None for no limit.
    end
        Only data up to this time (inclusive), in the same unit.

    Raises
    ------
    InvalidInputError
        The data is too short for the parts, or contains too few failures.
    """
    samples = labelled_samples(fleet.until(end), plan, start, end)
    parts = _parts(samples.table.sample, plan)
    for name, (first, last) in parts.items():
        failing = int(samples.between(first, last).first_failing.astype(bool).sum())
        if failing < _FEWEST_FAILING and name != "test":
            raise InvalidInputError(
                f"the {name} part has {failing} samples before a failure, expected at least {_FEWEST_FAILING}; "
                "import a longer range or more machines"
            )
    training, test = samples.between(*parts["training"]), samples.between(*parts["test"])
    models = tuple(sorted(set(fleet.machines.model)))
    classifier = _fit(training, plan)
    thresholds = None
    if "validation" in parts:
        validation = samples.between(*parts["validation"])
        thresholds = _thresholds(classifier.probabilities(validation.table.values), validation.fails)
    model = _model(classifier, models, thresholds, training)
    decisions = model.decide(test.table)
    return Measured(
        model=model,
        samples=samples,
        metrics=measure(decisions, test.table.machine, test.table.sample, test.to_failure, plan.horizon_seconds),
        parts=parts,
    )


def _parts(sample: Ints, plan: TrainingPlan) -> dict[str, tuple[int, int]]:
    first, last = int(sample.min()), int(sample.max())
    test = last - 2 * plan.test_days + 1
    validation_end = test - 1 - plan.guard_samples
    validation = validation_end - 2 * plan.validation_days + 1
    training_end = validation - 1 - plan.guard_samples
    if training_end < first:
        needed = (2 * (plan.test_days + plan.validation_days) + 2 * plan.guard_samples) / 2
        raise InvalidInputError(
            f"nothing to train on: validation, test and the gaps need {needed:g} days with labels, got "
            f"{(last - first + 1) / 2:g}; import a longer range, or reduce MAINTENANCE_VALIDATION_DAYS and "
            "MAINTENANCE_TEST_DAYS"
        )
    if plan.recipe != "boosted":
        return {"training": (first, validation_end), "test": (test, last)}
    return {"training": (first, training_end), "validation": (validation, validation_end), "test": (test, last)}


def _fit(samples: Samples, plan: TrainingPlan) -> Classifier:
    return fit_classifier(
        plan.recipe,
        samples.table.values,
        samples.first_failing,
        samples.fails,
        seed=plan.seed,
        jobs=plan.jobs,
        rounds=plan.rounds,
    )


def _model(
    classifier: Classifier, models: tuple[str, ...], thresholds: Floats | None, samples: Samples
) -> MachineModel:
    healthy = samples.first_failing == 0
    times = samples.table.sample * HALF_DAY_SECONDS
    return MachineModel(
        classifier=classifier,
        machine_models=models,
        thresholds=thresholds,
        usual=np.median(samples.table.values[healthy], axis=0),
        horizon_seconds=samples.horizon_seconds,
        rows=len(times),
        trained_from=int(times.min()) - HALF_DAY_SECONDS,
        trained_until=int(times.max()),
    )


def _thresholds(risk: Floats, fails: Bools) -> Floats:
    """Return the lowest risk of each component at which F1 is within 2 % of its maximum, shape ``(4,)``.

    F1 is flat around its maximum; of about equally good thresholds, the lowest misses the fewest failures. The
    threshold of a component that never fails is 1.
    """
    from sklearn.metrics import precision_recall_curve

    found = np.ones(len(COMPONENTS))
    for component in range(len(COMPONENTS)):
        if fails[:, component].any():
            precision, recall, thresholds = precision_recall_curve(fails[:, component], risk[:, component])
            f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1]
            found[component] = max(float(thresholds[np.argmax(f1 >= _NEARLY_BEST * f1.max())]), _LOWEST_THRESHOLD)
    return found


def _importances(model: MachineModel, test: Samples, seed: int) -> dict[str, float]:
    """Return the loss of average precision if a group of columns is shuffled (Breiman 2001), largest first."""
    from sklearn.metrics import average_precision_score

    random = np.random.default_rng(seed)
    chosen = random.permutation(len(test.to_failure))[:_IMPORTANCE_ROWS]
    values, fails = test.table.values[chosen], test.fails[chosen]
    scored = fails.any(axis=0)
    if not scored.any():
        return {}

    def quality(of: Floats) -> float:
        risk = model.classifier.probabilities(of)
        return float(average_precision_score(fails[:, scored], risk[:, scored], average="macro"))

    before = quality(values)
    losses: dict[str, float] = {}
    for about, columns in feature_groups(test.table.names).items():
        shuffled = values.copy()
        shuffled[:, columns] = values[random.permutation(len(values))][:, columns]
        losses[about] = before - quality(shuffled)
    return dict(sorted(losses.items(), key=lambda item: -item[1]))


def summary_of(trained: Trained) -> dict[str, Any]:
    """Return a summary of a training run for its manifest, as JSON-compatible values."""
    model, measured = trained.model, trained.measured
    return {
        "recipe": model.classifier.recipe,
        "rows": model.rows,
        "horizon_days": model.horizon_seconds / _DAY_SECONDS,
        "confirmed_alerts": measured.samples.confirmed,
        "thresholds": None
        if model.thresholds is None
        else dict(zip(COMPONENTS, model.thresholds.tolist(), strict=True)),
        "parts": {
            name: [first * HALF_DAY_SECONDS, last * HALF_DAY_SECONDS] for name, (first, last) in measured.parts.items()
        },
        "metrics": measured.metrics.as_json(),
        "importances": trained.importances,
    }
