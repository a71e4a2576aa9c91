"""Trained model: a classifier with everything needed to apply it to a fleet and to explain its risks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.machines.classifiers import Classifier, Decisions, decide, feature_set_of
from sensorwatch.machines.features import make_features
from sensorwatch.machines.fleet import COMPONENTS, ERRORS, SIGNALS
from sensorwatch.machines.records import RiskReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.machines.features import FeatureTable
    from sensorwatch.machines.fleet import Fleet, Floats, Ints

__all__ = ["MachineModel", "feature_groups"]

_NEVER_SURER = 1e-9
_LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class MachineModel:
    """Trained model of machines.

    Attributes
    ----------
    classifier
        Classifier, fitted on the columns of its recipe.
    machine_models
        Models of machines that have a column.
    thresholds
        Lowest risk at which each component warns, shape ``(4,)``, float64; None if the most likely class wins.
    usual
        Median of each column over healthy samples, shape ``(n_columns,)``, float64.
    horizon_seconds
        Length of the time after a sample in which a failure counts.
    rows
        Number of training samples.
    trained_from, trained_until
        Range of the training samples, ``trained_from < time <= trained_until``, in seconds since 1970-01-01T00:00:00Z.
    """

    classifier: Classifier
    machine_models: tuple[str, ...]
    thresholds: Floats | None
    usual: Floats
    horizon_seconds: int
    rows: int
    trained_from: int
    trained_until: int

    def features(self, fleet: Fleet, first: int, last: int) -> FeatureTable:
        """Compute the features that the model uses.

        Parameters
        ----------
        fleet
            The fleet, as for :func:`~sensorwatch.machines.features.make_features`.
        first, last
            First and last sample (both inclusive), in half-days since 1970-01-01T00:00:00Z.
        """
        return make_features(fleet, self.machine_models, feature_set_of(self.classifier.recipe), first, last)

    def decide(self, table: FeatureTable) -> Decisions:
        """Return the decisions of the model for the samples in a table of features."""
        return decide(self.classifier.probabilities(table.values), self.thresholds)

    def reasons(
        self, table: FeatureTable, decisions: Decisions, rows: Ints, top: int = 3
    ) -> list[list[list[RiskReason]]]:
        """Explain the risks of some rows.

        One group of columns at a time is set to its usual values. The decrease of the log odds of the risk is the
        weight of the group (occlusion; Zeiler and Fergus 2014). Groups with a weight of at most 0.05 are left out.

        Parameters
        ----------
        table
            Features of samples.
        decisions
            Decisions of the model for the same samples.
        rows
            Positions of the rows to explain, shape ``(n_explained,)``, int64.
        top
            Maximum number of reasons for each component.

        Returns
        -------
        list
            Reasons for each row and component, highest weight first.
        """
        if not len(rows):
            return []
        values = table.values[rows]
        found: list[list[list[RiskReason]]] = [[[] for _ in COMPONENTS] for _ in rows]
        before = _log_odds(decisions.risk[rows])
        for about, columns in feature_groups(table.names).items():
            changed = values.copy()
            changed[:, columns] = self.usual[columns]
            weights = before - _log_odds(self.classifier.probabilities(changed))
            for row, component in np.argwhere(weights > _LEAST_WEIGHT).tolist():
                weight = float(weights[row, component])
                text = _in_words(about, table.names, columns, values[row], self.usual)
                found[row][component].append(RiskReason(about, text, round(weight, 3)))
        return [[sorted(each, key=lambda reason: -reason.weight)[:top] for each in row] for row in found]


def feature_groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Group columns by signal, error, component or property.

    The model of the machine is left out, because it cannot be changed.

    Examples
    --------
    >>> feature_groups(["volt_mean_12h", "volt_std_12h", "error1_24h", "comp1_days", "age", "model=a"])
    {'volt': [0, 1], 'error1': [2], 'comp1_days': [3], 'age': [4]}
    """
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        about = re.sub(r"_(?:(?:mean|std|shift)_\d+h(?:_before)?|24h|week)$", "", name)
        if not name.startswith("model="):
            groups.setdefault(about, []).append(position)
    return groups


def _log_odds(risk: Floats) -> Floats:
    inside = np.clip(risk, _NEVER_SURER, 1 - _NEVER_SURER)
    found: Floats = np.log(inside / (1 - inside))
    return found


def _in_words(about: str, names: Sequence[str], columns: list[int], values: Floats, usual: Floats) -> str:
    by_name = {names[column]: (float(values[column]), float(usual[column])) for column in columns}
    if about in SIGNALS:
        now, before = by_name[f"{about}_mean_24h"]
        text = f"{about} averages {now:.4g} over 24 h, usually {before:.4g}"
        shift = by_name.get(f"{about}_shift_24h")
        return text if shift is None else f"{text}; {shift[0]:+.1f} standard deviations from this machine's own level"
    if about in ERRORS:
        day, week = by_name[f"{about}_24h"][0], by_name.get(f"{about}_week")
        text = f"{day:.0f} times {about} in 24 h"
        return text if week is None else f"{text}, {week[0]:.0f} in 7 days"
    now, before = by_name[names[columns[0]]]
    if about == "age":
        return f"the machine is {now:.0f} years old, usually {before:.0f}"
    return f"{about.removesuffix('_days')} was replaced {now:.0f} days ago, usually {before:.0f}"
