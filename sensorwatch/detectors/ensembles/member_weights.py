"""Weights of an ensemble's members for each sensor, and the origin of the weights.

A weight is the fourth power of a member's average precision in finding synthetic anomalies in the sensor's own hold-out
windows (:mod:`~sensorwatch.detectors.ensembles.synthetic_anomalies`). Measuring it takes about as long as fitting all
members, so each training task does it for some sensors only. The other sensors keep their weights, get the mean weights
of their peer group, or weight all members equally.
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
    Integers = npt.NDArray[np.int64]

__all__ = ["EQUAL", "ORIGINS", "OWN", "PEERS", "Weights"]

EQUAL, PEERS, OWN = ORIGINS = ("equal", "alike", "own")
"""Origins of weights, as stored: none, the mean of the peer group, and the sensor's own windows."""

_EQUAL, _PEERS, _OWN = range(len(ORIGINS))

_MIN_PRECISION = 0.01
_POWER = 4
"""Precisions that allow for some windows of delay differ little: their squares hardly tell members apart."""


class Weights(NamedTuple):
    """Weights of the members; arrays have shape ``(n_sensors,)``.

    Attributes
    ----------
    weight
        Weight of each member.
    precision
        Average precision of each member; NaN where it was not measured on the sensor's own windows.
    at
        End of the last window (seconds since 1970-01-01T00:00:00Z) when the weights were computed; 0 for equal weights.
    origin
        Position in :data:`ORIGINS`.
    """

    weight: dict[str, Floats]
    precision: dict[str, Floats]
    at: Integers
    origin: Integers

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
        """Return the weights in an ensemble's parameters; equal weights for a sensor without any."""
        weights = cls.equal(members, len(params))
        if params.type.get_field_index("weighed_by") < 0:
            return weights
        valid = params.is_valid().to_numpy(zero_copy_only=False)
        origin = pc.fill_null(params.field("weighed_by"), EQUAL).to_numpy(zero_copy_only=False)
        weights.origin[:] = np.where(valid, _PEERS * (origin == PEERS) + _OWN * (origin == OWN), _EQUAL)
        at = pc.fill_null(params.field("weighed_at"), 0).to_numpy(zero_copy_only=False)
        weights.at[:] = np.where(weights.origin > _EQUAL, at, 0)
        for field, columns in (("weights", weights.weight), ("precision", weights.precision)):
            for name, column in columns.items():
                known = np.asarray(params.field(field).field(name).to_numpy(zero_copy_only=False), np.float64)
                column[:] = np.where(weights.origin > _EQUAL, known, column)
        # Weights without a value for a member are from before it was one: they can't be used.
        unknown = np.isnan(np.stack(list(weights.weight.values()))).any(axis=0)
        for column in weights.weight.values():
            column[unknown] = 1.0
        weights.origin[unknown] = weights.at[unknown] = 0
        return weights

    def update(self, sensors: Integers, precision: Mapping[str, Floats], as_of: Integers) -> None:
        """Compute the weights of some sensors from precisions, in place.

        Parameters
        ----------
        sensors
            Positions of the sensors, shape ``(n,)``.
        precision
            Average precision of each member, shape ``(n,)``. A sensor with a NaN keeps its weights.
        as_of
            End of each sensor's last window, shape ``(n_sensors,)``.
        """
        known = ~np.isnan(np.stack(list(precision.values()))).any(axis=0)
        sensors = sensors[known]
        for name, found in precision.items():
            self.precision[name][sensors] = found[known]
            self.weight[name][sensors] = np.maximum(found[known], _MIN_PRECISION) ** _POWER
        self.at[sensors], self.origin[sensors] = as_of[sensors], _OWN

    def borrow(self, peer_group: Integers, as_of: Integers) -> None:
        """Give sensors without weights of their own the mean of their peers' own weights, in place.

        Parameters
        ----------
        peer_group
            Number of each sensor's peer group, shape ``(n_sensors,)``.
        as_of
            End of each sensor's last window, which becomes the time of borrowed weights.
        """
        total = np.sum(list(self.weight.values()), axis=0)
        own = self.origin == _OWN
        for group in np.unique(peer_group[own]).tolist():
            lenders, takers = own & (peer_group == group), ~own & (peer_group == group)
            for column in self.weight.values():
                column[takers] = (column / total)[lenders].mean()
            self.origin[takers], self.at[takers] = _PEERS, as_of[takers]
