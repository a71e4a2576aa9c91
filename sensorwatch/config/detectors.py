"""Sections ``detectors`` and ``estimators`` of ``sensorwatch.yaml``: detectors and parameters by sensor pattern."""

from __future__ import annotations

import json
from typing import Annotated, NamedTuple

from pydantic import Field, JsonValue, model_validator

from sensorwatch.config.parameters import PARAMETERS
from sensorwatch.sensors.patterns import Section, SensorPattern

__all__ = [
    "NO_DETECTOR",
    "NO_PARAMETERS",
    "DetectorChoice",
    "DetectorRule",
    "EstimatorPolicy",
    "Step",
    "canonical_json",
]


NO_DETECTOR = "none"
"""Value of ``warming`` that means: no fallback."""


NO_PARAMETERS = "{}"
"""Specification of a detector without parameters."""


_TRAINABLE = (
    "ar_season",
    "auto",
    "ensemble",
    "ewma",
    "kmeans",
    "mlp",
    "ocsvm",
    "ocsvm_sklearn",
    "pca_maha",
    "range",
    "shift",
    "sklearn",
    "variation",
)
"""Detectors that a rule may name. A test compares them with the registry, which is too heavy to import here."""

_MEMBERS = ("ar_season", "ewma", "kmeans", "ocsvm", "ocsvm_sklearn", "pca_maha", "range", "shift", "variation")
"""Detectors that an ensemble may have as members."""

_ENSEMBLE = "ensemble"


_ESTIMATOR_DETECTOR = "sklearn"


_IMPORT_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"


_ImportPath = Annotated[str, Field(pattern=_IMPORT_PATH)]


_Parameters = dict[Annotated[str, Field(min_length=1)], JsonValue]


class Step(Section):
    """One estimator of a pipeline: its import path, and its keyword arguments."""

    estimator: _ImportPath
    parameters: _Parameters = Field(default_factory=dict)


class DetectorRule(SensorPattern):
    """A rule: sensors whose device and tag match the patterns get this detector with these parameters.

    ``warming`` names the fallback until there are enough windows: a detector without parameters, or ``none``; if left
    out, the setting ``WARMING_DETECTOR`` applies.
    """

    detector: str = ""
    warming: str | None = None
    estimator: _ImportPath | None = None
    steps: tuple[Step, ...] = ()
    parameters: _Parameters = Field(default_factory=dict)
    members: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_detector(self) -> DetectorRule:
        made = self.estimator is not None or bool(self.steps)
        if not made and not self.detector:
            raise ValueError(f"expected `detector` (one of {', '.join(_TRAINABLE)}), `estimator` or `steps`")
        if self.estimator is not None and self.steps:
            raise ValueError("expected `estimator` or `steps`, got both")
        if made and self.detector not in ("", _ESTIMATOR_DETECTOR):
            raise ValueError(f"`estimator` and `steps` belong to `{_ESTIMATOR_DETECTOR}`, got `{self.detector}`")
        if self.detector and self.detector not in _TRAINABLE:
            raise ValueError(f"unknown detector `{self.detector}`; expected one of {', '.join(_TRAINABLE)}")
        if self.warming not in (None, *(fallbacks := (NO_DETECTOR, *_MEMBERS))):
            raise ValueError(f"unknown `warming` detector `{self.warming}`; expected one of {', '.join(fallbacks)}")
        if self.members and self.detector != _ENSEMBLE:
            raise ValueError(f"`members` belong to the detector `{_ENSEMBLE}`, got `{self.detector}`")
        if self.members:
            wrong = [name for name in self.members if name not in _MEMBERS]
            if wrong or len(set(self.members)) != len(self.members) or len(self.members) < 2:
                raise ValueError(f"expected at least two different `members` of {', '.join(_MEMBERS)}")
        if self.detector in PARAMETERS:
            PARAMETERS[self.detector].checked(self.parameters)
        elif self.estimator is None and self.parameters:
            where = "its steps: move them there" if self.steps else "an `estimator`; take them out"
            raise ValueError(f"`parameters` belong to {where}")
        return self

    @property
    def choice(self) -> DetectorChoice:
        """The detector that the rule chooses."""
        steps = self.steps
        if self.estimator is not None:
            steps = (Step(estimator=self.estimator, parameters=self.parameters),)
        parameters = {"members": sorted(self.members), **self.parameters} if self.members else self.parameters
        if not steps:
            return DetectorChoice(self.detector, canonical_json(parameters), ruled=True, fallback=self.warming)
        specification = canonical_json({"steps": [step.model_dump() for step in steps]})
        return DetectorChoice(_ESTIMATOR_DETECTOR, specification, ruled=True, fallback=self.warming)


class EstimatorPolicy(Section):
    """Estimators that may be constructed and loaded.

    Attributes
    ----------
    modules
        Prefixes of the import paths that estimators may have.
    trusted_types
        Types that a stored estimator may hold, besides those that skops trusts. The default covers scikit-learn's
        forests and nearest neighbours.
    """

    modules: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")], ...] = ("sklearn.",)
    trusted_types: tuple[_ImportPath, ...] = (
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.tree._tree.Tree",
    )

    def allows(self, path: str) -> bool:
        """Return whether an estimator may have this import path."""
        return path.startswith(self.modules)


class DetectorChoice(NamedTuple):
    """The detector of a sensor: its name, its parameters as canonical JSON, and whether a rule chose it.

    ``fallback`` names the fallback until there are enough windows: ``none`` means no fallback, None the setting's.
    """

    detector: str
    specification: str
    ruled: bool
    fallback: str | None = None


def canonical_json(value: object) -> str:
    """Return the JSON text of a value; equal values have equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
