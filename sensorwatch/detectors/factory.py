"""All detectors by name. A new detector is a file of its own and a line here."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from sensorwatch.config.detectors import NO_PARAMETERS, EstimatorPolicy
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


def _by_name(*some: Detector) -> dict[str, Detector]:
    return {each.name: each for each in some}


_SINGLE = _by_name(ArSeason(), Ewma(), KMeans(), PcaMahalanobis(), Shift(), ValueRange(), Variation())
_ORIGINAL = _by_name(OneClassSvm("ocsvm", exact=True), OneClassSvm("ocsvm_sklearn", exact=False))
_ENSEMBLES = _by_name(
    Ensemble("ensemble", _SINGLE | _ORIGINAL, tuple(_SINGLE), weighted=False),
    Ensemble("auto", _SINGLE, weighted=True),
)
_TRAINED = _ORIGINAL | _by_name(Estimator()) | _SINGLE | _by_name(Mlp()) | _ENSEMBLES
_ALL = _TRAINED | _by_name(OnnxModel())


def detectors() -> Mapping[str, Detector]:
    """Return all detectors that can be trained, by name."""
    return MappingProxyType(_TRAINED)


def detector(name: str, specification: str = NO_PARAMETERS, policy: EstimatorPolicy | None = None) -> Detector:
    """Return a detector by its name.

    Parameters
    ----------
    name
        Name in settings and model files.
    specification
        Parameters as JSON (:class:`~sensorwatch.config.detectors.DetectorChoice`); they matter to training only.
    policy
        Estimators that may be made and loaded; None: the configuration's defaults.

    Raises
    ------
    InvalidInputError
        The name is unknown (the message lists the known names), or the detector does not take these parameters.

    Examples
    --------
    >>> detector("ocsvm").name
    'ocsvm'
    """
    if name not in _ALL:
        raise InvalidInputError(
            f"unknown detector `{name}`; expected one of {', '.join(sorted(_TRAINED))}: correct the setting DETECTOR, "
            "or run a version of Sensorwatch that knows it"
        )
    return _ALL[name].with_parameters(specification, policy or EstimatorPolicy())
