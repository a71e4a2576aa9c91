"""The detectors by name: a new one is a file of its own and a line here."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from sensorwatch.configuration import NO_PARAMETERS, EstimatorPolicy
from sensorwatch.detectors.ar_season import ArSeason
from sensorwatch.detectors.estimator import Estimator
from sensorwatch.detectors.ewma import Ewma
from sensorwatch.detectors.kmeans import KMeans
from sensorwatch.detectors.mlp import Mlp
from sensorwatch.detectors.one_class_svm import OneClassSvm
from sensorwatch.detectors.onnx_model import OnnxModel
from sensorwatch.detectors.pca_mahalanobis import PcaMahalanobis
from sensorwatch.detectors.shift import Shift
from sensorwatch.detectors.value_range import ValueRange
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sensorwatch.detectors.base import Detector

__all__ = ["detector", "detectors"]

_DETECTORS: tuple[Detector, ...] = (
    OneClassSvm("ocsvm", exact=True),
    OneClassSvm("ocsvm_sklearn", exact=False),
    Estimator(),
    ArSeason(),
    Ewma(),
    KMeans(),
    PcaMahalanobis(),
    Shift(),
    ValueRange(),
    Mlp(),
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
        Its parameters as JSON (:class:`~sensorwatch.configuration.DetectorChoice`); they matter to training only.
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
    if name == OnnxModel.name:
        return OnnxModel()
    known = detectors()
    if name not in known:
        raise InvalidInputError(
            f"unknown detector `{name}`; expected one of {', '.join(sorted(known))}: correct the setting DETECTOR, or "
            "run a version of Sensorwatch that knows it"
        )
    if specification != NO_PARAMETERS:
        raise InvalidInputError(f"the detector `{name}` takes no parameters, got {specification}")
    return known[name]
