"""The parameters of an ensemble as Arrow columns: those of its members, side by side.

================ =======================================================================================================
Field            Meaning
================ =======================================================================================================
specification    The parameters that the ensemble was given, as JSON.
weights          Weight of each member; null for a candidate that is none.
precision        Average precision of each member on injected faults; null where there was nothing to weigh it by.
weighed_by       Whose finding the weights are (:mod:`~sensorwatch.detectors.ensembles.member_weights`).
weighed_at       End of the last window when they were found; null for equal ones.
tails            Calibration of each member.
members          Parameters of each member, but for its memory.
usual            Normal windows' rarities in training: mean, variance, level and excess of their tail.
trained_until    End of the last training window.
new_normal_seconds
                 How long a lasting change is an alarm.
memory           ``as_of``; the members' memories; what is usual by now.
================ =======================================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import MEMORY, memory_times
from sensorwatch.detectors.calibration import Calibration
from sensorwatch.detectors.ensembles.adaptive_tail import Adaptation, Usual
from sensorwatch.detectors.ensembles.member_weights import ALIKE, EQUAL, OWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.detectors.ensembles.member_weights import Weights

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["EnsembleParams"]

_WEIGHED_BY = (EQUAL, ALIKE, OWN)
_TAIL = pa.struct([pa.field(name, pa.float64()) for name in Calibration.columns])


class EnsembleParams:
    """The layout of an ensemble's parameters.

    Parameters
    ----------
    candidates
        Types of the candidates' parameters, by name.
    """

    def __init__(self, candidates: Mapping[str, pa.DataType]) -> None:
        self._candidates = dict(candidates)
        self._memories = {name: kind.field(MEMORY).type for name, kind in candidates.items() if _remembers(kind)}
        self._bare = {name: _without_memory(kind) for name, kind in candidates.items()}

    def packed(
        self,
        *,
        sound: Flags,
        specification: str,
        members: Mapping[str, pa.StructArray],
        tails: Mapping[str, Calibration],
        weights: Weights,
        usual: Usual,
        as_of: Integers,
        new_normal_seconds: int,
    ) -> pa.StructArray:
        """Return the parameters of sensors, null where one is not sound.

        Parameters
        ----------
        sound
            Whether each sensor has a model, shape ``(n_sensors,)``.
        specification
            Of the ensemble.
        members, tails
            By member, each of shape ``(n_sensors,)``.
        weights, usual, new_normal_seconds
            Of the ensemble.
        as_of
            End of the last training window.
        """
        n = len(sound)
        numbers = {name: pa.array(each, from_pandas=True) for name, each in weights.weight.items()}
        found = {name: pa.array(each, from_pandas=True) for name, each in weights.precision.items()}
        columns = {
            "specification": pa.array([specification] * n, pa.string()),
            "weights": self._by_member(numbers, dict.fromkeys(self._candidates, pa.float64()), n),
            "precision": self._by_member(found, dict.fromkeys(self._candidates, pa.float64()), n),
            "weighed_by": pa.array(np.array(_WEIGHED_BY)[weights.by].tolist(), pa.string()),
            "weighed_at": pa.array(weights.at, mask=weights.by == 0),
            "tails": self._by_member(
                {name: _packed_tail(each) for name, each in tails.items()}, dict.fromkeys(self._candidates, _TAIL), n
            ),
            "members": self._by_member({name: _bare(each) for name, each in members.items()}, self._bare, n),
            "usual": pa.StructArray.from_arrays([pa.array(each) for each in usual], list(usual._fields)),
            "trained_until": pa.array(as_of),
            "new_normal_seconds": pa.array([new_normal_seconds] * n, pa.int64()),
            MEMORY: self._packed_memory(members, Adaptation.begin(usual, as_of), as_of),
        }
        return pa.StructArray.from_arrays(list(columns.values()), list(columns), mask=pa.array(~sound))

    def members(self, params: pa.StructArray) -> dict[str, pa.StructArray]:
        """Return the parameters of those that are members of any of the ensembles, with their memories."""
        found = {}
        memories = params.field(MEMORY).field("members")
        for name, kind in self._candidates.items():
            bare = params.field("members").field(name)
            if bare.null_count == len(bare) and len(bare):
                continue
            parts = [memories.field(name) if each.name == MEMORY else bare.field(each.name) for each in kind]
            found[name] = pa.StructArray.from_arrays(parts, fields=list(kind), mask=_missing(params, bare))
        return found

    def tails(self, params: pa.StructArray) -> dict[str, Calibration]:
        """Return each candidate's calibration."""
        tails = params.field("tails")
        return {
            name: Calibration(*(_floats(tails.field(name).field(column)) for column in Calibration.columns))
            for name in self._candidates
        }

    def weights(self, params: pa.StructArray) -> dict[str, Floats]:
        """Return each candidate's weight, NaN where it is no member."""
        return {name: _floats(params.field("weights").field(name)) for name in self._candidates}

    def usual(self, params: pa.StructArray) -> Usual:
        """Return what was usual in training."""
        return Usual(*(_floats(params.field("usual").field(name)) for name in Usual._fields))

    def trained_until(self, params: pa.StructArray) -> Integers:
        """Return the end of the last training window."""
        return np.asarray(params.field("trained_until").to_numpy(zero_copy_only=False), np.int64)

    def new_normal_seconds(self, params: pa.StructArray) -> Floats:
        """Return how long a lasting change is an alarm."""
        return _floats(params.field("new_normal_seconds"))

    def adaptation(self, params: pa.StructArray) -> pa.StructArray:
        """Return what is usual by now, packed."""
        return params.field(MEMORY).field("adaptation")

    def memory(
        self, params: pa.StructArray, members: Mapping[str, pa.StructArray], adaptation: Adaptation, as_of: Integers
    ) -> pa.StructArray:
        """Return memories for parameters; ``as_of`` counts where there is a model."""
        known = params.is_valid().to_numpy(zero_copy_only=False) & (memory_times(params) <= as_of)
        return self._packed_memory(members, adaptation, np.where(known, as_of, 0))

    def _packed_memory(
        self, members: Mapping[str, pa.StructArray], adaptation: Adaptation, as_of: Integers
    ) -> pa.StructArray:
        memories = {name: _masked_memory(each) for name, each in members.items() if name in self._memories}
        return pa.StructArray.from_arrays(
            [pa.array(as_of), self._by_member(memories, self._memories, len(as_of)), adaptation.packed()],
            ["as_of", "members", "adaptation"],
        )

    def _by_member(self, given: Mapping[str, pa.Array], kinds: Mapping[str, pa.DataType], n: int) -> pa.StructArray:
        arrays = [given[name] if name in given else pa.nulls(n, kind) for name, kind in kinds.items()]
        return pa.StructArray.from_arrays(arrays, list(kinds))


def _remembers(kind: pa.DataType) -> bool:
    return bool(kind.get_field_index(MEMORY) >= 0)


def _without_memory(kind: pa.DataType) -> pa.DataType:
    return pa.struct([each for each in kind if each.name != MEMORY])


def _bare(params: pa.StructArray) -> pa.StructArray:
    fields = [each for each in params.type if each.name != MEMORY]
    parts = [params.field(each.name) for each in fields]
    return pa.StructArray.from_arrays(parts, fields=fields, mask=params.is_null())


def _masked_memory(params: pa.StructArray) -> pa.StructArray:
    memory = params.field(MEMORY)
    parts = [memory.field(each.name) for each in memory.type]
    return pa.StructArray.from_arrays(parts, fields=list(memory.type), mask=_missing(params, memory))


def _missing(*parts: pa.StructArray) -> pa.BooleanArray:
    missing = np.zeros(len(parts[0]), np.bool_)
    for each in parts:
        missing |= each.is_null().to_numpy(zero_copy_only=False)
    return pa.array(missing)


def _packed_tail(calibration: Calibration) -> pa.StructArray:
    return pa.StructArray.from_arrays(
        [pa.array(each, from_pandas=True) for each in calibration.arrays], list(Calibration.columns)
    )


def _floats(column: pa.Array) -> Floats:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
