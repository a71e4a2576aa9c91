"""What the members of an ensemble weigh for each sensor, and whose finding that is.

A weight is the fourth power of a member's average precision in finding faults that are put into the sensor's own
held-out windows (:mod:`~sensorwatch.detectors.ensembles.synthetic_anomalies`). That takes about as long as fitting all
members, so it is done for some sensors at a time only: the others keep what they have, or have the mean of the weights
of sensors like them, or weigh all members alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["ALIKE", "EQUAL", "OWN", "Weights"]

EQUAL, ALIKE, OWN = "equal", "alike", "own"
"""By what weights are: nothing; those of sensors like it; the sensor's own windows."""

_LEAST_PRECISION = 0.01
_POWER = 4
"""Precisions that allow for some windows of delay lie near each other: their squares hardly tell members apart."""


class Weights(NamedTuple):
    """What members weigh; arrays have shape ``(n_sensors,)``.

    Attributes
    ----------
    weight, precision
        By member; a precision is NaN where the sensor's own windows were not asked.
    at
        End of the last window (seconds since 1970-01-01T00:00:00Z) when the weights were found; 0 for equal ones.
    by
        Position in ``(EQUAL, ALIKE, OWN)``: whose finding they are.
    """

    weight: dict[str, Floats]
    precision: dict[str, Floats]
    at: Integers
    by: Integers

    @classmethod
    def equal(cls, members: Sequence[str], n_sensors: int) -> Weights:
        """Return weights of 1."""
        return cls(
            {name: np.ones(n_sensors) for name in members},
            {name: np.full(n_sensors, np.nan) for name in members},
            np.zeros(n_sensors, np.int64),
            np.zeros(n_sensors, np.int64),
        )

    @classmethod
    def of(cls, params: pa.StructArray, members: Sequence[str]) -> Weights:
        """Return the weights in an ensemble's parameters; equal ones where there are none."""
        weights = cls.equal(members, len(params))
        if params.type.get_field_index("weighed_by") < 0:
            return weights
        valid = params.is_valid().to_numpy(zero_copy_only=False)
        by = pc.fill_null(params.field("weighed_by"), EQUAL).to_numpy(zero_copy_only=False)
        weights.by[:] = np.where(valid, (by == ALIKE) + 2 * (by == OWN), 0)
        at = pc.fill_null(params.field("weighed_at"), 0).to_numpy(zero_copy_only=False)
        weights.at[:] = np.where(weights.by > 0, at, 0)
        for field, columns in (("weights", weights.weight), ("precision", weights.precision)):
            for name, column in columns.items():
                known = np.asarray(params.field(field).field(name).to_numpy(zero_copy_only=False), np.float64)
                column[:] = np.where(weights.by > 0, known, column)
        # A member that was none when the weights were found: nothing is known of it.
        unknown = np.isnan(np.stack(list(weights.weight.values()))).any(axis=0)
        for column in weights.weight.values():
            column[unknown] = 1.0
        weights.by[unknown] = weights.at[unknown] = 0
        return weights

    def find(self, sensors: Integers, precision: Mapping[str, Floats], as_of: Integers) -> None:
        """Take in precisions of some sensors, found as of a time: change the arrays in place; NaN changes nothing."""
        known = ~np.isnan(np.stack(list(precision.values()))).any(axis=0)
        sensors = sensors[known]
        for name, found in precision.items():
            self.precision[name][sensors] = found[known]
            self.weight[name][sensors] = np.maximum(found[known], _LEAST_PRECISION) ** _POWER
        self.at[sensors], self.by[sensors] = as_of[sensors], 2

    def borrow(self, alike: Integers, as_of: Integers) -> None:
        """Give sensors without weights of their own the mean of those that sensors like them have of their own.

        Parameters
        ----------
        alike
            Sensors of the same number are alike, shape ``(n_sensors,)``.
        as_of
            What the time of their weights then is.
        """
        total = np.sum(list(self.weight.values()), axis=0)
        lend = self.by == 2
        for number in np.unique(alike[lend]).tolist():
            lenders, takers = lend & (alike == number), ~lend & (alike == number)
            for column in self.weight.values():
                column[takers] = (column / total)[lenders].mean()
            self.by[takers], self.at[takers] = 1, as_of[takers]
