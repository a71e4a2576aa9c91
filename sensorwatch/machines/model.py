"""A trained model: a classifier with all that is needed to apply it to a fleet and to say why."""

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
    """What training gives.

    Attributes
    ----------
    classifier
        Fitted on the columns that its recipe names.
    machine_models
        The models of machines that have a column.
    thresholds
        Risk from which each component warns, shape ``(4,)``; None: the likeliest class decides.
    usual
        The median of each column over healthy samples.
    horizon_seconds
        How far ahead it looks.
    rows
        Samples that it was trained on, with ``trained_from < time of the sample <= trained_until`` (seconds since
        1970-01-01T00:00:00Z).
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
        """Return the features that the model wants of samples ``first`` to ``last`` (inclusive)."""
        return make_features(fleet, self.machine_models, feature_set_of(self.classifier.recipe), first, last)

    def decide(self, table: FeatureTable) -> Decisions:
        """Return what the model says of samples."""
        return decide(self.classifier.probabilities(table.values), self.thresholds)

    def reasons(
        self, table: FeatureTable, decisions: Decisions, rows: Ints, top: int = 3
    ) -> list[list[list[RiskReason]]]:
        """Return what makes each component's risk high at some rows, the strongest reason first.

        Each group of columns is put to its usual values, one group after the other, and what the risk loses is the
        group's weight (occlusion, Zeiler and Fergus 2014, on the logarithm of the odds). Groups without weight are no
        reasons.

        Returns
        -------
        list
            For each row and component its reasons.
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
    """Return which columns are about the same thing; the model of the machine is left out, as nobody can change it.

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
        text = f"{day:.0f} of {about} in 24 h"
        return text if week is None else f"{text}, {week[0]:.0f} in 7 days"
    now, before = by_name[names[columns[0]]]
    if about == "age":
        return f"the machine is {now:.0f} years old, usually {before:.0f}"
    return f"{about.removesuffix('_days')} was replaced {now:.0f} days ago, usually {before:.0f}"
