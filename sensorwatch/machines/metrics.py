"""Accuracy of warnings.

**Pooled** measures are those of the original system, from the confusion matrix of the healthy class and the four
components. A true positive is a sample before a failure whose component is named. A false positive is any other sample
for which a component is named, including samples before a failure of another component. A false negative is a sample
before a failure that is called healthy. A true negative is a healthy sample that is called healthy.

**By component**: the area under the precision-recall curve (average precision), and the share of samples before a
failure, which is the average precision of guessing.

**By failure**: a failure has a warning if its component warns at a sample in the 7 days before it. The lead time is the
time from the first such warning to the failure. A false alarm is a run of warnings of one component, at most a day
apart, without a failure of that component within the horizon after the last warning.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sensorwatch.machines.fleet import COMPONENTS, HALF_DAY_SECONDS
from sensorwatch.machines.labels import first_failure

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.machines.classifiers import Bools, Decisions
    from sensorwatch.machines.fleet import Floats, Ints

__all__ = ["Metrics", "Pooled", "measure", "pooled"]

_CLASSES = len(COMPONENTS) + 1
_LOOK_BACK_SECONDS = 7 * 86_400
_DAY_SECONDS = 86_400
_SAMPLES_PER_YEAR = 2 * 365.25
_CURVE_POINTS = 60


@dataclass(frozen=True, slots=True)
class Pooled:
    """Accuracy, precision, recall and F1 over the four components together; 0 if the denominator is 0."""

    accuracy: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """Measures of a model on samples that it was not trained on.

    Attributes
    ----------
    samples
        Number of samples.
    confusion
        Numbers of samples by true class (rows) and predicted class (columns): healthy, then the components.
    pooled
        Measures over the four components together.
    pr_auc
        Area under the precision-recall curve by component, without components that never fail.
    prevalence
        Share of samples before a failure, by component.
    curves
        Points of the precision-recall curve by component: recalls and precisions, from high thresholds to low ones.
    failures
        Number of failures in the time of the samples.
    warned
        Number of these failures with a warning.
    lead_days
        Lead time of each failure with a warning, in days, ascending.
    false_alarms
        Number of runs of warnings without a failure.
    false_alarms_per_machine_year
        Number of false alarms per machine and year.
    """

    samples: int
    confusion: tuple[tuple[int, ...], ...]
    pooled: Pooled
    pr_auc: dict[str, float]
    prevalence: dict[str, float]
    curves: dict[str, tuple[list[float], list[float]]]
    failures: int
    warned: int
    lead_days: tuple[float, ...]
    false_alarms: int
    false_alarms_per_machine_year: float

    @property
    def median_lead_days(self) -> float | None:
        """Median lead time of the failures with a warning, in days; None if there are none."""
        return float(np.median(self.lead_days)) if self.lead_days else None

    def as_json(self) -> dict[str, Any]:
        """Return all measures as JSON-compatible values."""
        return {**asdict(self), "median_lead_days": self.median_lead_days}


def pooled(confusion: npt.ArrayLike) -> Pooled:
    """Return the pooled measures of a confusion matrix (rows are true classes, healthy comes first).

    Examples
    --------
    >>> pooled([[90, 1, 0, 0, 0], [4, 3, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]).recall
    0.375
    """
    counts = np.asarray(confusion)
    right = int(np.trace(counts)) - int(counts[0, 0])
    named = int(counts[:, 1:].sum())
    missed = int(counts[1:, 0].sum())
    total = int(counts.sum())
    precision = right / named if named else 0.0
    recall = right / (right + missed) if right + missed else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return Pooled((right + int(counts[0, 0])) / total if total else 0.0, precision, recall, f1)


def measure(decisions: Decisions, machine: Ints, sample: Ints, to_failure: Ints, horizon_seconds: int) -> Metrics:
    """Measure the decisions of a model.

    Parameters
    ----------
    decisions
        Decisions of the model for the samples.
    machine, sample
        Position of the machine and sample number of each row, ordered by (machine, sample); shape ``(n_rows,)``, int64.
    to_failure
        Seconds to the next failure of each component, shape ``(n_rows, 4)``, int64.
    horizon_seconds
        Length of the time after a sample in which a failure counts.
    """
    truth = first_failure(to_failure, horizon_seconds)
    confusion = np.zeros((_CLASSES, _CLASSES), np.int64)
    np.add.at(confusion, (truth, decisions.predicted), 1)
    fails = to_failure <= horizon_seconds
    areas, curves = _curves(decisions.risk, fails)
    failures, leads = _leads(decisions.warns, machine, sample, to_failure)
    false_alarms = _false_alarms(decisions.warns, machine, sample, fails)
    years = len(sample) / _SAMPLES_PER_YEAR
    return Metrics(
        samples=len(sample),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        pooled=pooled(confusion),
        pr_auc=areas,
        prevalence=dict(zip(COMPONENTS, fails.mean(axis=0).tolist() if len(fails) else [0.0] * 4, strict=True)),
        curves=curves,
        failures=failures,
        warned=len(leads),
        lead_days=tuple(sorted(leads)),
        false_alarms=false_alarms,
        false_alarms_per_machine_year=false_alarms / years if years else 0.0,
    )


def _curves(risk: Floats, fails: Bools) -> tuple[dict[str, float], dict[str, tuple[list[float], list[float]]]]:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    areas: dict[str, float] = {}
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for component, name in enumerate(COMPONENTS):
        if not fails[:, component].any():
            continue
        areas[name] = float(average_precision_score(fails[:, component], risk[:, component]))
        precision, recall, _ = precision_recall_curve(fails[:, component], risk[:, component])
        points = np.unique(np.linspace(0, len(recall) - 1, _CURVE_POINTS).astype(int))[::-1]
        curves[name] = (recall[points].round(4).tolist(), precision[points].round(4).tolist())
    return areas, curves


def _leads(warns: Bools, machine: Ints, sample: Ints, to_failure: Ints) -> tuple[int, list[float]]:
    """Return the number of failures after the samples, and the lead times in days of those with a warning."""
    failures = 0
    leads: list[float] = []
    near = to_failure <= _LOOK_BACK_SECONDS
    for component in range(len(COMPONENTS)):
        rows = np.flatnonzero(near[:, component])
        ahead = to_failure[rows, component]
        at = sample[rows] * HALF_DAY_SECONDS + ahead
        places, episode = np.unique(np.column_stack([machine[rows], at]), axis=0, return_inverse=True)
        failures += len(places)
        longest = np.zeros(len(places))
        warned = warns[rows, component]
        np.maximum.at(longest, episode.ravel()[warned], ahead[warned] / _DAY_SECONDS)
        leads += longest[longest > 0].tolist()
    return failures, leads


def _false_alarms(warns: Bools, machine: Ints, sample: Ints, fails: Bools) -> int:
    found = 0
    for component in range(len(COMPONENTS)):
        rows = np.flatnonzero(warns[:, component])
        if not len(rows):
            continue
        apart = (machine[rows][1:] != machine[rows][:-1]) | (np.diff(sample[rows]) > 2)
        last = rows[np.r_[apart, True]]
        found += int((~fails[last, component]).sum())
    return found
