"""Parameters of an ensemble as Arrow columns, next to each other for each member.

================== =====================================================================================================
Field              Meaning
================== =====================================================================================================
specification      Parameters that the ensemble was given, as JSON.
weights            Weight of each member; null for a candidate that is not a member.
precision          Average precision of each member in finding synthetic anomalies; null if it was not measured.
weighed_by         Origin of the weights (:mod:`~sensorwatch.detectors.ensembles.member_weights`).
weighed_at         End of the last window when the weights were computed; null for equal weights.
tails              Calibration of each member.
members            Parameters of each member, without its checkpoint.
usual              Distribution of normal windows' rarities in training.
trained_until      End of the last training window.
new_normal_seconds How long a lasting change is anomalous before it becomes normal.
memory             Checkpoint: ``as_of``, the members' checkpoints, and the adaptation.
================== =====================================================================================================

Times are in seconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import CHECKPOINT, checkpoint_times
from sensorwatch.detectors.calibration import Calibration
from sensorwatch.detectors.ensembles.adaptive_tail import Adaptation, NormalRarities
from sensorwatch.detectors.ensembles.member_weights import ORIGINS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.detectors.ensembles.member_weights import Weights

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["EnsembleParams"]

_CALIBRATION = pa.struct([pa.field(name, pa.float64()) for name in Calibration.columns])


class EnsembleParams:
    """Layout of an ensemble's parameters.

    Parameters
    ----------
    candidates
        Types of the candidates' parameters, by name.
    """

    def __init__(self, candidates: Mapping[str, pa.DataType]) -> None:
        self._candidates = dict(candidates)
        self._checkpoints = {
            name: kind.field(CHECKPOINT).type
            for name, kind in candidates.items()
            if kind.get_field_index(CHECKPOINT) >= 0
        }
        self._bare = {
            name: pa.struct([each for each in kind if each.name != CHECKPOINT]) for name, kind in candidates.items()
        }

    def packed(
        self,
        *,
        valid: Flags,
        specification: str,
        members: Mapping[str, pa.StructArray],
        calibrations: Mapping[str, Calibration],
        weights: Weights,
        normal: NormalRarities,
        as_of: Integers,
        new_normal_seconds: int,
    ) -> pa.StructArray:
        """Return the parameters of sensors, null for a sensor without a model.

        Parameters
        ----------
        valid
            Whether each sensor has a model, shape ``(n_sensors,)``.
        specification
            Parameters that the ensemble was given, as JSON.
        members
            Parameters of each member, shape ``(n_sensors,)``.
        calibrations
            Calibration of each member.
        weights
            Weights of the members.
        normal
            Distribution of normal windows' rarities in training.
        as_of
            End of the last training window, shape ``(n_sensors,)``.
        new_normal_seconds
            How long a lasting change is anomalous.
        """
        n = len(valid)
        numbers = dict.fromkeys(self._candidates, pa.float64())
        weight = {name: pa.array(each, from_pandas=True) for name, each in weights.weight.items()}
        precision = {name: pa.array(each, from_pandas=True) for name, each in weights.precision.items()}
        tails = {name: _packed_calibration(each) for name, each in calibrations.items()}
        bare = {name: _without_checkpoint(each) for name, each in members.items()}
        columns = {
            "specification": pa.array([specification] * n, pa.string()),
            "weights": self._by_member(weight, numbers, n),
            "precision": self._by_member(precision, numbers, n),
            "weighed_by": pa.array(np.array(ORIGINS)[weights.origin].tolist(), pa.string()),
            "weighed_at": pa.array(weights.at, mask=weights.origin == 0),
            "tails": self._by_member(tails, dict.fromkeys(self._candidates, _CALIBRATION), n),
            "members": self._by_member(bare, self._bare, n),
            "usual": pa.StructArray.from_arrays([pa.array(each) for each in normal], list(normal._fields)),
            "trained_until": pa.array(as_of),
            "new_normal_seconds": pa.array([new_normal_seconds] * n, pa.int64()),
            CHECKPOINT: self._packed_checkpoint(members, Adaptation.initial(normal, as_of), as_of),
        }
        return pa.StructArray.from_arrays(list(columns.values()), list(columns), mask=pa.array(~valid))

    def members(self, params: pa.StructArray) -> dict[str, pa.StructArray]:
        """Return the parameters, with checkpoints, of each candidate that is a member for any of the sensors."""
        found = {}
        checkpoints = params.field(CHECKPOINT).field("members")
        for name, kind in self._candidates.items():
            bare = params.field("members").field(name)
            if bare.null_count == len(bare) and len(bare):
                continue
            parts = [checkpoints.field(name) if each.name == CHECKPOINT else bare.field(each.name) for each in kind]
            found[name] = pa.StructArray.from_arrays(parts, fields=list(kind), mask=_any_null(params, bare))
        return found

    def calibrations(self, params: pa.StructArray) -> dict[str, Calibration]:
        """Return the calibration of each candidate."""
        tails = params.field("tails")
        return {
            name: Calibration(*(_floats(tails.field(name).field(column)) for column in Calibration.columns))
            for name in self._candidates
        }

    def weights(self, params: pa.StructArray) -> dict[str, Floats]:
        """Return the weight of each candidate, shape ``(n_sensors,)``; NaN where it is not a member."""
        return {name: _floats(params.field("weights").field(name)) for name in self._candidates}

    def normal(self, params: pa.StructArray) -> NormalRarities:
        """Return the distribution of normal windows' rarities in training."""
        return NormalRarities(*(_floats(params.field("usual").field(name)) for name in NormalRarities._fields))

    def trained_until(self, params: pa.StructArray) -> Integers:
        """Return the end of each sensor's last training window, shape ``(n_sensors,)``."""
        return np.asarray(params.field("trained_until").to_numpy(zero_copy_only=False), np.int64)

    def new_normal_seconds(self, params: pa.StructArray) -> Floats:
        """Return how long a lasting change is anomalous, shape ``(n_sensors,)``."""
        return _floats(params.field("new_normal_seconds"))

    def adaptation(self, params: pa.StructArray) -> pa.StructArray:
        """Return the packed :class:`~sensorwatch.detectors.ensembles.adaptive_tail.Adaptation` of each sensor."""
        return params.field(CHECKPOINT).field("adaptation")

    def checkpoint(
        self, params: pa.StructArray, members: Mapping[str, pa.StructArray], adaptation: Adaptation, as_of: Integers
    ) -> pa.StructArray:
        """Return new checkpoints.

        Parameters
        ----------
        params
            Parameters with the checkpoints before, shape ``(n_sensors,)``.
        members
            Parameters of each member with new checkpoints.
        adaptation
            New adaptation.
        as_of
            Time of the new checkpoints, shape ``(n_sensors,)``; ignored for a sensor without a model.
        """
        known = params.is_valid().to_numpy(zero_copy_only=False) & (checkpoint_times(params) <= as_of)
        return self._packed_checkpoint(members, adaptation, np.where(known, as_of, 0))

    def _packed_checkpoint(
        self, members: Mapping[str, pa.StructArray], adaptation: Adaptation, as_of: Integers
    ) -> pa.StructArray:
        checkpoints = {name: _masked_checkpoint(each) for name, each in members.items() if name in self._checkpoints}
        return pa.StructArray.from_arrays(
            [pa.array(as_of), self._by_member(checkpoints, self._checkpoints, len(as_of)), adaptation.packed()],
            ["as_of", "members", "adaptation"],
        )

    def _by_member(self, given: Mapping[str, pa.Array], kinds: Mapping[str, pa.DataType], n: int) -> pa.StructArray:
        arrays = [given[name] if name in given else pa.nulls(n, kind) for name, kind in kinds.items()]
        return pa.StructArray.from_arrays(arrays, list(kinds))


def _without_checkpoint(params: pa.StructArray) -> pa.StructArray:
    fields = [each for each in params.type if each.name != CHECKPOINT]
    parts = [params.field(each.name) for each in fields]
    return pa.StructArray.from_arrays(parts, fields=fields, mask=params.is_null())


def _masked_checkpoint(params: pa.StructArray) -> pa.StructArray:
    checkpoint = params.field(CHECKPOINT)
    parts = [checkpoint.field(each.name) for each in checkpoint.type]
    return pa.StructArray.from_arrays(parts, fields=list(checkpoint.type), mask=_any_null(params, checkpoint))


def _any_null(*parts: pa.StructArray) -> pa.BooleanArray:
    nulls = [each.is_null().to_numpy(zero_copy_only=False) for each in parts]
    return pa.array(np.logical_or.reduce(nulls))


def _packed_calibration(calibration: Calibration) -> pa.StructArray:
    return pa.StructArray.from_arrays(
        [pa.array(each, from_pandas=True) for each in calibration.arrays], list(Calibration.columns)
    )


def _floats(column: pa.Array) -> Floats:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
