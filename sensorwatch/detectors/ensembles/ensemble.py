"""Several detectors as one: the weighted mean of the rarities that its members assign to a window.

Each member has a calibration of its own (:mod:`sensorwatch.detectors.calibration`), which turns its raw scores into
rarities. Their weighted mean is the rarity relative to training. It is then adapted to what has become normal since,
and calibrated against the tail of the adapted rarities (:mod:`~sensorwatch.detectors.ensembles.adaptive_tail`). So the
ensemble's raw score is a rarity, and above 3 it is anomalous.

Members are calibrated and weighted on windows that they were not fitted on
(:mod:`~sensorwatch.detectors.ensembles.cross_fitting`).

``ensemble``
    The members that ``sensorwatch.yaml`` names, with equal weights.
``auto``
    All members that are worth their cost. A member's weight is the fourth power of its average precision in finding
    synthetic anomalies in the sensor's own hold-out windows
    (:mod:`~sensorwatch.detectors.ensembles.synthetic_anomalies`). No labels are needed. The best member is not used
    alone, because the best one on synthetic anomalies is often not the best on real ones.

A member without a score for a window, because it needs more windows before it, is left out of that window's mean.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.config.detectors import NO_PARAMETERS
from sensorwatch.config.parameters import EnsembleParameters
from sensorwatch.detectors.base import (
    Advanced,
    Fitted,
    StatefulDetector,
    Surrogate,
    checkpoint_times,
    continues,
    with_checkpoint,
)
from sensorwatch.detectors.calibration import ANOMALOUS_RARITY, Calibration
from sensorwatch.detectors.ensembles.adaptive_tail import Adaptation, NormalRarities, adapt
from sensorwatch.detectors.ensembles.bands import mean_expected
from sensorwatch.detectors.ensembles.composite import NEW_NORMAL_SECONDS, CompositeDetector
from sensorwatch.detectors.ensembles.cross_fitting import CrossFitted, cross_fit
from sensorwatch.detectors.ensembles.member_weights import Weights
from sensorwatch.detectors.ensembles.params import EnsembleParams
from sensorwatch.detectors.ensembles.robust_calibration import robust_calibration
from sensorwatch.detectors.ensembles.synthetic_anomalies import add_synthetic_anomalies, average_precisions
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.detectors.base import Detector, Expected
    from sensorwatch.detectors.ensembles.composite import PreviousModels

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["Ensemble"]

_DRAWS = 3
"""Sets of synthetic anomalies by which members are weighted."""


class Ensemble(StatefulDetector, CompositeDetector):
    """A weighted mean of detectors.

    Parameters
    ----------
    name
        Name in settings and model files.
    candidates
        Detectors that may be members, by name. The parameters have a column for each.
    members
        Names of the members; None: all candidates.
    weighted
        Whether to weight members by how well they find synthetic anomalies.
    specification
        Parameters as JSON (:class:`~sensorwatch.config.parameters.EnsembleParameters`).
    """

    threshold = ANOMALOUS_RARITY
    scores_are_rarities = True
    has_bands = True

    def __init__(
        self,
        name: str,
        candidates: Mapping[str, Detector],
        members: Sequence[str] | None = None,
        *,
        weighted: bool,
        specification: str = NO_PARAMETERS,
    ) -> None:
        self.name = name
        self._candidates = dict(candidates)
        self._members = tuple(self._candidates) if members is None else tuple(members)
        self._weighted = weighted
        self._specification = specification

    @cached_property
    def _params(self) -> EnsembleParams:
        return EnsembleParams({name: each.fit(_NO_WINDOWS).params.type for name, each in self._candidates.items()})

    def with_parameters(self, specification: str, policy: EstimatorPolicy) -> Ensemble:
        """Return the ensemble with other members; see :meth:`~sensorwatch.detectors.base.Detector.with_parameters`."""
        del policy
        if specification == NO_PARAMETERS:
            return self
        given = json.loads(specification)
        members = given.pop("members", None)
        try:
            EnsembleParameters.checked(given)
        except ValueError as exc:
            raise InvalidInputError(f"the detector `{self.name}` with {specification}: {exc}") from None
        if self._weighted or members is None:
            members = self._members
        if len(members) < 2 or not set(members) <= set(self._candidates):
            raise InvalidInputError(
                f"an ensemble needs at least two members of {', '.join(sorted(self._candidates))}; "
                f"got {', '.join(members) or 'none'}"
            )
        return Ensemble(self.name, self._candidates, members, weighted=self._weighted, specification=specification)

    def fit(self, series: Series) -> Fitted:
        """Fit, calibrate and weight the members; see :meth:`~sensorwatch.detectors.base.Detector.fit`."""
        return self._fit(series, None)

    def warm_start(self, series: Series, previous: PreviousModels) -> Fitted:
        """Fit and calibrate the members, and keep weights.

        See :meth:`~sensorwatch.detectors.ensembles.composite.CompositeDetector.warm_start`.
        """
        return self._fit(series, previous)

    def _fit(self, series: Series, previous: PreviousModels | None) -> Fitted:
        finite = series.finite()
        members = {name: self._candidates[name] for name in self._members}
        fitted = {name: each.fit(finite) for name, each in members.items()}
        cross = cross_fit(members, fitted, finite)
        calibrations = {
            name: robust_calibration(raw, cross.scored, cross.is_holdout) for name, raw in cross.raw.items()
        }
        as_of = finite.newest(np.zeros(finite.n_sensors, np.int64))
        weights = self._weights(cross, calibrations, as_of, previous)
        newest = {name: raw[cross.is_holdout] for name, raw in cross.raw.items()}
        rarity = _mean(_rarities(newest, calibrations, cross.holdout), weights.weight, cross.holdout)
        valid = np.zeros(finite.n_sensors, np.bool_)
        for each in fitted.values():
            valid |= each.params.is_valid().to_numpy(zero_copy_only=False)
        params = self._params.packed(
            valid=valid,
            specification=self._specification,
            members={name: each.params for name, each in fitted.items()},
            calibrations=calibrations,
            weights=weights,
            normal=NormalRarities.of(rarity, cross.holdout.offsets),
            as_of=as_of,
            new_normal_seconds=self._new_normal_seconds(previous),
        )
        reasons = zip(*(each.reasons for each in fitted.values()), strict=True)
        return Fitted(params, tuple(None if ok else why[0] for ok, why in zip(valid, reasons, strict=True)))

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return rarities; see :meth:`~sensorwatch.detectors.base.Detector.score`."""
        return self._adapted(params, series, self.member_rarities(params, series))[0]

    def advance(self, params: pa.StructArray, series: Series, threshold: Floats | None = None) -> Advanced:
        """Return rarities, checkpoints and the mean of the members' bands.

        See :meth:`~sensorwatch.detectors.base.Detector.advance`; the value of ``threshold`` does not matter.
        """
        calibrations = self._params.calibrations(params)
        raw: dict[str, Floats] = {}
        advanced: dict[str, pa.StructArray] = {}
        bands: dict[str, Expected] = {}
        for name, (member, own) in self.members(params).items():
            limits = None if threshold is None else calibrations[name].threshold
            raw[name], checkpoint, band = member.advance(own, series, limits)
            advanced[name] = own if checkpoint is None else with_checkpoint(own, checkpoint)
            if band is not None:
                bands[name] = band
        score, adaptation = self._adapted(params, series, _rarities(raw, calibrations, series))
        finite = series.finite()
        # A sensor without windows keeps its adaptation, also one from before the series.
        adaptation = adaptation.where(finite.lengths > 0, Adaptation.unpack(self._params.adaptation(params)))
        as_of = finite.newest(checkpoint_times(params))
        return Advanced(
            score,
            self._params.checkpoint(params, advanced, adaptation, as_of),
            None if threshold is None else mean_expected(bands, self.weights(params), series),
        )

    def member_rarities(self, params: pa.StructArray, series: Series) -> dict[str, Floats]:
        """Return the rarity of each window by each member relative to training, shape ``(n_values,)``."""
        raw = {name: member.score(own, series) for name, (member, own) in self.members(params).items()}
        return _rarities(raw, self._params.calibrations(params), series)

    def members(self, params: pa.StructArray) -> dict[str, tuple[Detector, pa.StructArray]]:
        """Return the members; see :meth:`~sensorwatch.detectors.ensembles.composite.CompositeDetector.members`."""
        return {name: (self._candidates[name], each) for name, each in self._params.members(params).items()}

    def expected(self, params: pa.StructArray, series: Series, threshold: Floats) -> Expected:
        """Return the weighted mean of the members' expected values and bands, each at the member's own threshold.

        The value of ``threshold`` does not matter.
        """
        del threshold
        calibrations = self._params.calibrations(params)
        bands: dict[str, Expected] = {}
        for name, (member, own) in self.members(params).items():
            if (band := member.expected(own, series, calibrations[name].threshold)) is not None:
                bands[name] = band
        return mean_expected(bands, self.weights(params), series)

    def weights(self, params: pa.StructArray) -> dict[str, Floats]:
        """Return the weight of each candidate, shape ``(n_sensors,)``; NaN where it is not a member."""
        return self._params.weights(params)

    def surrogate(self, params: pa.StructArray) -> Surrogate | None:
        """Return the first member that keeps no state; see :meth:`~sensorwatch.detectors.base.Detector.surrogate`.

        A window that it finds highly anomalous is anomalous to the ensemble, too. Anomalies that only other members
        find are left to batch scoring.
        """
        for name, (member, own) in self.members(params).items():
            if not isinstance(member, StatefulDetector):
                return Surrogate(member, own, self._params.calibrations(params)[name])
        return None

    def _adapted(
        self, params: pa.StructArray, series: Series, rarities: Mapping[str, Floats]
    ) -> tuple[Floats, Adaptation]:
        """Return the ensemble's scores from its members' rarities, and the adaptation after the series."""
        by_training = _mean(rarities, self.weights(params), series)
        normal, trained_until = self._params.normal(params), self._params.trained_until(params)
        stored = Adaptation.unpack(self._params.adaptation(params))
        initial = Adaptation.initial(normal, trained_until)
        adaptation = stored.where(continues(params, series), initial).for_model(initial)
        return adapt(by_training, series, normal, adaptation, trained_until, self._params.new_normal_seconds(params))

    def _weights(
        self,
        cross: CrossFitted,
        calibrations: Mapping[str, Calibration],
        as_of: Integers,
        previous: PreviousModels | None,
    ) -> Weights:
        n = cross.holdout.n_sensors
        if previous is None or not self._weighted:
            weights, reweigh = Weights.equal(self._members, n), np.full(n, self._weighted)
        else:
            weights, reweigh = Weights.of(previous.params, self._members), previous.reweigh
        if reweigh.any():
            weights.update(np.flatnonzero(reweigh), self._precisions(cross, calibrations, reweigh), as_of)
        if previous is not None:
            weights.borrow(previous.peer_group, as_of)
        return weights

    def _new_normal_seconds(self, previous: PreviousModels | None) -> int:
        given = json.loads(self._specification).get("new_normal_seconds")
        return int(given or (previous.new_normal_seconds if previous else NEW_NORMAL_SECONDS))

    def _precisions(
        self, cross: CrossFitted, calibrations: Mapping[str, Calibration], chosen: Flags
    ) -> dict[str, Floats]:
        """Return each member's mean average precision in finding synthetic anomalies; NaN for too few windows."""
        series = cross.holdout.of(chosen)
        params = {name: each.take(pa.array(np.flatnonzero(chosen))) for name, each in cross.params.items()}
        own = {name: each.only(chosen) for name, each in calibrations.items()}
        mean = {name: np.zeros(series.n_sensors) for name in self._members}
        for draw in range(_DRAWS):
            anomalous, labels = add_synthetic_anomalies(series, draw)
            raw = {name: self._candidates[name].score(each, anomalous) for name, each in params.items()}
            for name, precision in average_precisions(labels, _rarities(raw, own, anomalous), anomalous).items():
                mean[name] += precision / _DRAWS
        return mean


_NO_WINDOWS = Series(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _rarities(raw: Mapping[str, Floats], calibrations: Mapping[str, Calibration], series: Series) -> dict[str, Floats]:
    sensor = np.repeat(np.arange(series.n_sensors), series.lengths)
    return {name: calibrations[name].rarity(sensor, scores) for name, scores in raw.items()}


def _mean(rarities: Mapping[str, Floats], weights: Mapping[str, Floats], series: Series) -> Floats:
    """Return the weighted mean of the rarities that are known; NaN where none is."""
    total, weight = np.zeros(len(series.values)), np.zeros(len(series.values))
    for name, rarity in rarities.items():
        own = np.where(np.isnan(rarity), 0.0, np.repeat(weights[name], series.lengths))
        total += np.nan_to_num(rarity) * own
        weight += own
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)
