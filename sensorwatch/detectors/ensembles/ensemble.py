"""Several detectors as one: the weighted mean of how rare each finds a window.

Every member's raw scores become rarities by a calibration of its own (:mod:`sensorwatch.detectors.calibration`), and
their mean is the rarity by training. It is read once more against what is usual by now, and that against its own tail
(:mod:`~sensorwatch.detectors.ensembles.adaptive_tail`). So the raw score is a rarity, and more than 3 is anomalous.

Members are calibrated, and weighed, on windows that they were not fitted on
(:mod:`~sensorwatch.detectors.ensembles.cross_fitting`).

``ensemble``
    Members that ``sensorwatch.yaml`` names, of equal weight.
``auto``
    All members that are worth their cost. A member's weight is the fourth power of its average precision in finding
    faults that are put into the sensor's own held-out windows
    (:mod:`~sensorwatch.detectors.ensembles.synthetic_anomalies`): no labels are needed, and none is chosen alone, as
    the best one on injected faults is often not the best on real ones.

A member that has no score for a window, as it looks back farther than there are windows, is left out of its mean.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import (
    NEW_NORMAL_SECONDS,
    Expecting,
    Fitted,
    Followed,
    Quick,
    Remembering,
    follow,
    follow_expecting,
    memory_times,
    with_memory,
)
from sensorwatch.detectors.calibration import ANOMALOUS_RARITY, Calibration
from sensorwatch.detectors.ensembles.adaptive_tail import Adaptation, Usual, adapt
from sensorwatch.detectors.ensembles.bands import mean_expected
from sensorwatch.detectors.ensembles.cross_fitting import HeldOut, hold_out
from sensorwatch.detectors.ensembles.member_weights import Weights
from sensorwatch.detectors.ensembles.params import EnsembleParams
from sensorwatch.detectors.ensembles.robust_calibration import clean_tails
from sensorwatch.detectors.ensembles.synthetic_anomalies import average_precisions, inject
from sensorwatch.detectors.windowing.series import Series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from sensorwatch.detectors.base import Detector, Expected, Former

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["Ensemble"]

_COPIES = 3


class Ensemble:
    """A weighted mean of detectors.

    Parameters
    ----------
    name
        Its name in settings and model shards.
    candidates
        The detectors that may be members, by name: the parameters have room for each.
    members
        Names of those that are; None: all.
    weighed
        Whether to weigh them by injected faults.
    specification
        The parameters that it was given, as JSON.
    """

    threshold = ANOMALOUS_RARITY
    rarities = True

    def __init__(
        self,
        name: str,
        candidates: Mapping[str, Detector],
        members: Sequence[str] | None = None,
        *,
        weighed: bool,
        specification: str = "{}",
    ) -> None:
        self.name = name
        self._candidates = dict(candidates)
        self._members = tuple(self._candidates) if members is None else tuple(members)
        self._weighed = weighed
        self._specification = specification

    @cached_property
    def _params(self) -> EnsembleParams:
        return EnsembleParams({name: each.fit(_NOTHING).params.type for name, each in self._candidates.items()})

    def fit(self, series: Series) -> Fitted:
        """Fit the members, calibrate and weigh them; see :meth:`~sensorwatch.detectors.base.Detector.fit`."""
        return self._fit(series, None)

    def fit_on(self, series: Series, former: Former) -> Fitted:
        """Fit the members; see :meth:`~sensorwatch.detectors.base.Continuing.fit_on`.

        Weights are found anew for the sensors that may be weighed, and are otherwise those of the former model.
        """
        return self._fit(series, former)

    def _fit(self, series: Series, former: Former | None) -> Fitted:
        finite = series.finite()
        fitted = {name: self._candidates[name].fit(finite) for name in self._members}
        held_out = hold_out({name: self._candidates[name] for name in self._members}, fitted, finite)
        tails = {name: clean_tails(raw, held_out.scored, held_out.newest) for name, raw in held_out.raw.items()}
        as_of = finite.newest(np.zeros(finite.n_sensors, np.int64))
        weights = self._weights(held_out, tails, as_of, former)
        newest = {name: raw[held_out.newest] for name, raw in held_out.raw.items()}
        rarities = _rarities(newest, tails, held_out.series)
        usual = Usual.of(_mean(rarities, weights.weight, held_out.series), held_out.series.offsets)
        sound = np.zeros(finite.n_sensors, np.bool_)
        for each in fitted.values():
            sound |= each.params.is_valid().to_numpy(zero_copy_only=False)
        params = self._params.packed(
            sound=sound,
            specification=self._specification,
            members={name: each.params for name, each in fitted.items()},
            tails=tails,
            weights=weights,
            usual=usual,
            as_of=as_of,
            new_normal_seconds=self._new_normal_seconds(former),
        )
        reasons = zip(*(each.reasons for each in fitted.values()), strict=True)
        return Fitted(
            params, tuple(None if good else next(iter(why)) for good, why in zip(sound, reasons, strict=True))
        )

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return rarities; see :meth:`~sensorwatch.detectors.base.Detector.score`."""
        return self._adapted(params, series, self.member_rarities(params, series))[0]

    def follow(self, params: pa.StructArray, series: Series) -> Followed:
        """Return rarities and memories; see :meth:`~sensorwatch.detectors.base.Remembering.follow`."""
        found = {name: follow(each, own, series) for name, (each, own) in self.parts(params).items()}
        return self._followed(params, series, found)

    def follow_expecting(self, params: pa.StructArray, series: Series, threshold: Floats) -> tuple[Followed, Expected]:
        """Do both in one pass; see :meth:`~sensorwatch.detectors.base.FollowingExpectations.follow_expecting`."""
        tails = self._params.tails(params)
        found: dict[str, tuple[Floats, pa.StructArray]] = {}
        expected: dict[str, Expected] = {}
        for name, (each, own) in self.parts(params).items():
            raw, memory, band = follow_expecting(each, own, series, tails[name].threshold)
            found[name] = raw, own if memory is None else with_memory(own, memory)
            if band is not None:
                expected[name] = band
        return self._followed(params, series, found), mean_expected(expected, self.weights(params), series)

    def _followed(
        self, params: pa.StructArray, series: Series, found: Mapping[str, tuple[Floats, pa.StructArray]]
    ) -> Followed:
        """Return rarities and memories from the members' raw scores, and their parameters after the series."""
        finite = series.finite()
        as_of = finite.newest(memory_times(params))
        rarities = _rarities({name: raw for name, (raw, _) in found.items()}, self._params.tails(params), series)
        score, adaptation = self._adapted(params, series, rarities)
        # A memory from before the series, of a sensor that it says nothing of, stays as it is.
        kept = Adaptation.unpack(self._params.adaptation(params))
        advanced = {name: each for name, (_, each) in found.items()}
        return Followed(score, self._params.memory(params, advanced, adaptation.where(finite.lengths > 0, kept), as_of))

    def member_rarities(self, params: pa.StructArray, series: Series) -> dict[str, Floats]:
        """Return how rare each member finds each window by training, shape ``(n_values,)``; NaN where it can't say."""
        members = self._params.members(params)
        raw = {name: self._candidates[name].score(each, series) for name, each in members.items()}
        return _rarities(raw, self._params.tails(params), series)

    def parts(self, params: pa.StructArray) -> dict[str, tuple[Detector, pa.StructArray]]:
        """Return the members; see :meth:`~sensorwatch.detectors.base.Composed.parts`."""
        return {name: (self._candidates[name], each) for name, each in self._params.members(params).items()}

    def expected(self, params: pa.StructArray, series: Series, threshold: Floats) -> Expected:
        """Return the mean of what members expect, each within its own threshold.

        See :func:`sensorwatch.detectors.ensembles.bands.mean_expected`; ``threshold`` does not count.
        """
        tails = self._params.tails(params)
        expected = {
            name: member.expected(own, series, tails[name].threshold)
            for name, (member, own) in self.parts(params).items()
            if isinstance(member, Expecting)
        }
        return mean_expected(expected, self.weights(params), series)

    def weights(self, params: pa.StructArray) -> dict[str, Floats]:
        """Return the members' weights, shape ``(n_sensors,)``; NaN for what is no member."""
        return self._params.weights(params)

    def quick(self, params: pa.StructArray) -> Quick | None:
        """Return the first member that needs no windows before; see :class:`~sensorwatch.detectors.base.Represented`.

        What it finds far out of the ordinary, the ensemble does; what only the others see waits for batch scoring.
        """
        members = self._params.members(params)
        for name, candidate in self._candidates.items():
            if name in members and not isinstance(candidate, Remembering):
                return Quick(candidate, members[name], self._params.tails(params)[name])
        return None

    def expected_range(self, params: pa.StructArray) -> tuple[Floats, Floats]:
        """Return NaN: more than the value counts; see :meth:`~sensorwatch.detectors.base.Detector.expected_range`."""
        return np.full(len(params), np.nan), np.full(len(params), np.nan)

    def _adapted(
        self, params: pa.StructArray, series: Series, rarities: Mapping[str, Floats]
    ) -> tuple[Floats, Adaptation]:
        """Return the ensemble's rarities from its members', and what is usual after the series."""
        by_training = _mean(rarities, self.weights(params), series)
        usual, trained_until = self._params.usual(params), self._params.trained_until(params)
        begin = np.full(series.n_sensors, np.iinfo(np.int64).max)
        filled = np.flatnonzero(series.lengths)
        begin[filled] = series.times[series.offsets[filled]]
        known = Adaptation.unpack(self._params.adaptation(params))
        anew = Adaptation.begin(usual, trained_until)
        known = known.where(begin > memory_times(params), anew).going_on(anew)
        patience = self._params.new_normal_seconds(params)
        return adapt(by_training, series, usual, known, trained_until, patience)

    def _weights(
        self, held_out: HeldOut, tails: Mapping[str, Calibration], as_of: Integers, former: Former | None
    ) -> Weights:
        n = held_out.series.n_sensors
        weights = Weights.equal(self._members, n) if former is None else Weights.of(former.params, self._members)
        if not self._weighed:
            return Weights.equal(self._members, n)
        chosen = np.ones(n, np.bool_) if former is None else former.weigh
        if chosen.any():
            weights.find(np.flatnonzero(chosen), self._precisions(held_out, tails, chosen), as_of)
        if former is not None:
            weights.borrow(former.alike, as_of)
        return weights

    def _new_normal_seconds(self, former: Former | None) -> int:
        given = json.loads(self._specification).get("new_normal_seconds")
        return int(given or (former.new_normal_seconds if former else NEW_NORMAL_SECONDS))

    def _precisions(self, held_out: HeldOut, tails: Mapping[str, Calibration], chosen: Flags) -> dict[str, Floats]:
        """Return each member's mean average precision in finding injected faults; NaN where there is no room."""
        series = held_out.series.of(chosen)
        params = {name: each.take(pa.array(np.flatnonzero(chosen))) for name, each in held_out.params.items()}
        own = {name: tail.only(chosen) for name, tail in tails.items()}
        found = {name: np.zeros(series.n_sensors) for name in self._members}
        for copy in range(_COPIES):
            faulty, disturbed = inject(series, copy)
            rarities = _rarities(self._raw(params, faulty), own, faulty)
            for name, precision in average_precisions(disturbed, rarities, faulty).items():
                found[name] += precision / _COPIES
        return found

    def _raw(self, params: Mapping[str, pa.StructArray], series: Series) -> dict[str, Floats]:
        return {name: self._candidates[name].score(each, series) for name, each in params.items()}


_NOTHING = Series(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _rarities(raw: Mapping[str, Floats], tails: Mapping[str, Calibration], series: Series) -> dict[str, Floats]:
    sensor = np.repeat(np.arange(series.n_sensors), series.lengths)
    return {name: tails[name].rarity(sensor, scores) for name, scores in raw.items()}


def _mean(rarities: Mapping[str, Floats], weights: Mapping[str, Floats], series: Series) -> Floats:
    """Return the weighted mean of those that are known, NaN where none is."""
    total, weight = np.zeros(len(series.values)), np.zeros(len(series.values))
    for name, rarity in rarities.items():
        own = np.where(np.isnan(rarity), 0.0, np.repeat(weights[name], series.lengths))
        total += np.nan_to_num(rarity) * own
        weight += own
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)
