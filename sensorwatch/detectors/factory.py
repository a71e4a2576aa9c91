"""All detectors by name. A new detector is a file of its own and a line here."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from sensorwatch.config.detectors import NO_PARAMETERS, EstimatorPolicy
from sensorwatch.config.parameters import EnsembleParameters
from sensorwatch.detectors.ar_season import ArSeason
from sensorwatch.detectors.ensembles.ensemble import Ensemble
from sensorwatch.detectors.ewma import Ewma
from sensorwatch.detectors.external.onnx_model import OnnxModel
from sensorwatch.detectors.external.sklearn_estimator import Estimator
from sensorwatch.detectors.kmeans import KMeans
from sensorwatch.detectors.neural.mlp import Mlp
from sensorwatch.detectors.pca_mahalanobis import PcaMahalanobis
from sensorwatch.detectors.shift import Shift
from sensorwatch.detectors.svm.one_class_svm import OneClassSvm
from sensorwatch.detectors.value_range import ValueRange
from sensorwatch.detectors.variation import Variation
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sensorwatch.detectors.base import Detector

__all__ = ["detector", "detectors"]

_SINGLE: tuple[Detector, ...] = (ArSeason(), Ewma(), KMeans(), PcaMahalanobis(), Shift(), ValueRange(), Variation())
_ORIGINAL: tuple[Detector, ...] = (OneClassSvm("ocsvm", exact=True), OneClassSvm("ocsvm_sklearn", exact=False))
_MEMBERS = {each.name: each for each in (*_SINGLE, *_ORIGINAL)}
_AUTO, _ENSEMBLE = "auto", "ensemble"

_DETECTORS: tuple[Detector, ...] = (
    *_ORIGINAL,
    Estimator(),
    *_SINGLE,
    Mlp(),
    Ensemble(_ENSEMBLE, _MEMBERS, [each.name for each in _SINGLE], weighed=False),
    Ensemble(_AUTO, {each.name: each for each in _SINGLE}, weighed=True),
)


def detectors() -> Mapping[str, Detector]:
    """Return every detector that can be trained, by its name."""
    return MappingProxyType({each.name: each for each in _DETECTORS})


def detector(name: str, specification: str = NO_PARAMETERS, policy: EstimatorPolicy | None = None) -> Detector:
    """Return a detector by its name.

    Parameters
    ----------
    name
        As settings and model shards have it.
    specification
        Its parameters as JSON (:class:`~sensorwatch.config.detectors.DetectorChoice`); they matter to training only.
    policy
        Which estimators may be made and loaded; None: the configuration's defaults.

    Raises
    ------
    InvalidInputError
        There is no such detector (the text lists those that exist), or it takes no parameters.

    Examples
    --------
    >>> detector("ocsvm").name
    'ocsvm'
    """
    if name == Estimator.name:
        return Estimator(specification, policy)
    if name == Mlp.name:
        return Mlp(specification)
    if name == ArSeason.name:
        return ArSeason(specification)
    if name == Shift.name:
        return Shift(specification)
    if name == OnnxModel.name:
        return OnnxModel()
    if name in (_AUTO, _ENSEMBLE) and specification != NO_PARAMETERS:
        return _ensemble(name, specification)
    known = detectors()
    if name not in known:
        raise InvalidInputError(
            f"unknown detector `{name}`; expected one of {', '.join(sorted(known))}: correct the setting DETECTOR, or "
            "run a version of Sensorwatch that knows it"
        )
    if specification != NO_PARAMETERS:
        raise InvalidInputError(f"the detector `{name}` takes no parameters, got {specification}")
    return known[name]


def _ensemble(name: str, specification: str) -> Ensemble:
    given = json.loads(specification)
    members = given.pop("members", None)
    try:
        EnsembleParameters.checked(given)
    except ValueError as exc:
        raise InvalidInputError(f"the detector `{name}` with {specification}: {exc}") from None
    single = [each.name for each in _SINGLE]
    if name == _AUTO:
        return Ensemble(_AUTO, {each: _MEMBERS[each] for each in single}, weighed=True, specification=specification)
    members = single if members is None else members
    unknown = [name for name in members if name not in _MEMBERS]
    if unknown or len(members) < 2:
        got = ", ".join(members) or "none"
        raise InvalidInputError(f"an ensemble needs at least two members of {', '.join(sorted(_MEMBERS))}; got {got}")
    return Ensemble(_ENSEMBLE, _MEMBERS, members, weighed=False, specification=specification)
