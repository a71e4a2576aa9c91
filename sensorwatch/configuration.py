"""``sensorwatch.yaml``: which detector a sensor gets, which estimators may be made and loaded, and what alerts.

::

    detectors:                       # the first rule that matches a sensor decides
      - device: press-*              # shell-style patterns, case-sensitive; left out: any
        tag: vibration
        steps:                       # a pipeline
          - estimator: sklearn.preprocessing.StandardScaler
          - estimator: sklearn.svm.OneClassSVM
            parameters: {nu: 0.01}
      - tag: temperature
        estimator: sklearn.ensemble.IsolationForest
        parameters: {n_estimators: 50}
      - tag: pressure
        detector: ensemble
        members: [range, ewma, ar_season]
      - tag: level
        detector: auto
        parameters: {new_normal_seconds: 3600}
      - tag: visitors
        detector: ar_season
        parameters: {time_zone: Europe/Zurich}
      - device: "*"
        detector: ocsvm
        warming: none                # what stands in until there are windows enough; left out: WARMING_DETECTOR
    serving:                         # scoring in real time
      models:                        # further models, trained beside the sensors' own ones
        forest: {estimator: sklearn.ensemble.IsolationForest}
      rules:                         # the first that matches a sensor decides
        - tag: vibration
          models: [own, forest]      # those that answer
          decider: majority
          deadline_ms: 50
    estimators:
      modules: [sklearn.]            # where estimators may come from
      trusted_types: []              # what stored estimators may hold beside what skops knows itself

A file that is missing or empty means these defaults: no rules, so every sensor gets the detector of the setting
``DETECTOR``. The sections ``alerts`` and ``maintenance`` are described in :mod:`sensorwatch.alerting.sections`, the
section ``machines`` in :mod:`sensorwatch.component_rules`.
Whatever else the file may hold one day has a section, and so a field here, of its own.

A Batch task reads the very file that its run was planned with: :func:`configuration_name` names its content, which is
stored under that name beside the models.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import Field, JsonValue, ValidationError, model_validator

from sensorwatch.alerting.sections import AlertSection, Maintenance
from sensorwatch.component_rules import MachineSection
from sensorwatch.detector_parameters import PARAMETERS, describe
from sensorwatch.errors import SettingsError
from sensorwatch.sensor_patterns import Section, SensorPattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.records import SensorKey

__all__ = [
    "NO_DETECTOR",
    "NO_PARAMETERS",
    "OWN_MODEL",
    "STORED_PREFIX",
    "Configuration",
    "DetectorChoice",
    "DetectorRule",
    "EstimatorPolicy",
    "ServingRule",
    "ServingSection",
    "Step",
    "canonical_json",
    "configuration_name",
    "embed_calendars",
    "parse_configuration",
    "parse_document",
]

STORED_PREFIX = "stored:"
"""What the setting ``CONFIGURATION_FILE`` begins with where it names a stored configuration instead of a file."""

NO_DETECTOR = "none"
NO_PARAMETERS = "{}"
"""The specification of a detector that takes no parameters, or is given none."""

OWN_MODEL = "own"
"""What the rules for scoring in real time call the model that batch scoring uses too."""

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
"""The detectors that a rule may name; a test holds them to the registry, which is too heavy to be loaded here."""

_MEMBERS = ("ar_season", "ewma", "kmeans", "ocsvm", "ocsvm_sklearn", "pca_maha", "range", "shift", "variation")
"""Those that an ensemble may have."""

_ENSEMBLE = "ensemble"
_ESTIMATOR_DETECTOR = "sklearn"
_IMPORT_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"
_MODEL_NAME = r"^[a-z][a-z0-9-]{0,31}$"

_ImportPath = Annotated[str, Field(pattern=_IMPORT_PATH)]
_Parameters = dict[Annotated[str, Field(min_length=1)], JsonValue]


class Step(Section):
    """One estimator of a pipeline: its import path, and its keyword arguments."""

    estimator: _ImportPath
    parameters: _Parameters = Field(default_factory=dict)


class DetectorRule(SensorPattern):
    """A rule: sensors whose device and tag match the patterns get this detector with these parameters.

    ``warming`` is the one that they have until there are windows enough for it: a detector without parameters, or
    ``none``; left out, what the settings say.
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
        if self.warming not in (None, *(stand_ins := (NO_DETECTOR, *_MEMBERS))):
            raise ValueError(f"unknown `warming` detector `{self.warming}`; expected one of {', '.join(stand_ins)}")
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
        """The detector that the rule gives."""
        steps = self.steps
        if self.estimator is not None:
            steps = (Step(estimator=self.estimator, parameters=self.parameters),)
        parameters = {"members": sorted(self.members), **self.parameters} if self.members else self.parameters
        if not steps:
            return DetectorChoice(self.detector, canonical_json(parameters), ruled=True, warming=self.warming)
        specification = canonical_json({"steps": [step.model_dump() for step in steps]})
        return DetectorChoice(_ESTIMATOR_DETECTOR, specification, ruled=True, warming=self.warming)


class EstimatorPolicy(Section):
    """What may be made and loaded.

    Attributes
    ----------
    modules
        Beginnings of the import paths that estimators may have.
    trusted_types
        Types that a stored estimator may hold beside those that skops trusts itself. The default is what
        scikit-learn's forests and neighbours are made of.
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


class ServingRule(SensorPattern):
    """A rule: in real time, these models answer for sensors whose device and tag match the patterns.

    Attributes
    ----------
    models
        Names of models; ``own`` is the sensor's own, which batch scoring uses.
    decider
        Which of the answers that arrive in time counts.
    weights
        Weights of models for the decider ``weighted``; 1 where left out.
    deadline_ms
        How long a batch of readings waits for answers; None: as the setting says.
    """

    models: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)] = (OWN_MODEL,)
    decider: Literal["majority", "weighted", "first", "confidence"] = "majority"
    weights: dict[str, Annotated[float, Field(gt=0, le=1e6)]] = Field(default_factory=dict)
    deadline_ms: Annotated[float, Field(gt=0, le=60_000)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ServingRule:
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"expected every model once, got {', '.join(self.models)}")
        if self.weights and self.decider != "weighted":
            raise ValueError(f"`weights` belong to the decider `weighted`, got `{self.decider}`")
        if unknown := sorted(set(self.weights) - set(self.models)):
            raise ValueError(f"weights of models that do not answer: {', '.join(unknown)}")
        return self


class ServingSection(Section):
    """Scoring in real time: further models by name, and which sensors are scored by which."""

    models: dict[Annotated[str, Field(pattern=_MODEL_NAME)], DetectorRule] = Field(default_factory=dict)
    rules: tuple[ServingRule, ...] = ()

    @model_validator(mode="after")
    def _known_models(self) -> ServingSection:
        if OWN_MODEL in self.models:
            raise ValueError(f"models: `{OWN_MODEL}` is what the sensors' own models are called; take another name")
        known = [OWN_MODEL, *sorted(self.models)]
        for i, rule in enumerate(self.rules):
            if unknown := sorted(set(rule.models) - set(known)):
                raise ValueError(f"rules.{i}: unknown model `{unknown[0]}`; expected one of {', '.join(known)}")
        return self

    def rule(self, key: SensorKey) -> ServingRule:
        """Return the rule that decides on a sensor; its own model alone where none matches."""
        return next((rule for rule in self.rules if rule.matches(key)), _DEFAULT_SERVING)

    def trains(self, name: str, key: SensorKey) -> bool:
        """Return whether a sensor gets a further model: its rule names it, and the model's own patterns match."""
        return name in self.rule(key).models and self.models[name].matches(key)


_DEFAULT_SERVING = ServingRule()


class DetectorChoice(NamedTuple):
    """The detector of a sensor: its name, its parameters as canonical JSON, and whether a rule says so.

    ``warming`` is the one until there are windows enough for it, ``none`` for none, None for that of the settings.
    """

    detector: str
    specification: str
    ruled: bool
    warming: str | None = None


class Configuration(Section):
    """All of ``sensorwatch.yaml``."""

    detectors: tuple[DetectorRule, ...] = ()
    estimators: EstimatorPolicy = EstimatorPolicy()
    serving: ServingSection = ServingSection()
    alerts: AlertSection = AlertSection()
    maintenance: tuple[Maintenance, ...] = ()
    machines: MachineSection = MachineSection()

    @model_validator(mode="after")
    def _allowed_modules(self) -> Configuration:
        rules = {f"detectors.{i}": rule for i, rule in enumerate(self.detectors)}
        rules |= {f"serving.models.{name}": rule for name, rule in self.serving.models.items()}
        for place, rule in rules.items():
            for path in [rule.estimator] if rule.estimator else [step.estimator for step in rule.steps]:
                if not self.estimators.allows(path):
                    allowed = ", ".join(self.estimators.modules)
                    raise ValueError(
                        f"{place}: the estimator `{path}` is of no allowed module ({allowed}); "
                        "add its beginning to estimators.modules if you trust it"
                    )
        return self

    def choice(self, key: SensorKey, default: str) -> DetectorChoice:
        """Return the detector that a sensor gets: that of the first rule that matches, or else ``default``.

        Examples
        --------
        >>> from sensorwatch.records import SensorKey
        >>> configuration = parse_configuration("detectors: [{tag: 'temp*', detector: ocsvm_sklearn}]", "example")
        >>> configuration.choice(SensorKey("press-1", "temperature"), "ocsvm").detector
        'ocsvm_sklearn'
        >>> configuration.choice(SensorKey("press-1", "vibration"), "ocsvm").detector
        'ocsvm'
        """
        for rule in self.detectors:
            if rule.matches(key):
                return rule.choice
        return DetectorChoice(default, NO_PARAMETERS, ruled=False)


def canonical_json(value: object) -> str:
    """Return a value as the one JSON text that equal values have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def configuration_name(content: bytes) -> str:
    """Return the name of a stored configuration, which says what is in it.

    Examples
    --------
    >>> configuration_name(b"")
    'stored:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    return STORED_PREFIX + hashlib.sha256(content).hexdigest()


def embed_calendars(content: bytes, read: Callable[[str], str]) -> bytes:
    r"""Return the configuration with the text of every calendar file in place of its name, so that it can travel.

    Without such files, or with mistakes, which parsing will tell, it stays as it is.

    Parameters
    ----------
    read
        Returns the text of a file by its name.

    Examples
    --------
    >>> embed_calendars(b"maintenance: [{calendar: a.ics}]", lambda name: "BEGIN:VCALENDAR")
    b'maintenance:\n- calendar_text: BEGIN:VCALENDAR\n'
    """
    try:
        document = yaml.load(content, Loader=_UniqueKeyLoader)  # noqa: S506  a safe loader
    except (yaml.YAMLError, RecursionError, ValueError):
        return content
    entries = document.get("maintenance") if isinstance(document, dict) else None
    named = [
        entry
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("calendar"), str)
    ]
    for entry in named:
        entry["calendar_text"] = read(entry.pop("calendar"))
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode() if named else content


def parse_configuration(content: str | bytes, place: str) -> Configuration:
    """Return the configuration in a YAML text.

    Parameters
    ----------
    content
        The text; bytes are UTF-8.
    place
        What to call it in messages: its file.

    Raises
    ------
    SettingsError
        One line per mistake: file, place in it, expected, got, hint.

    Examples
    --------
    >>> parse_configuration("detectors: [{detector: nonsense}]", "sensorwatch.yaml")
    Traceback (most recent call last):
    ...
    sensorwatch.errors.SettingsError: sensorwatch.yaml: detectors.0: unknown detector `nonsense`; expected one of \
ar_season, auto, ensemble, ewma, kmeans, mlp, ocsvm, ocsvm_sklearn, pca_maha, range, shift, sklearn, variation; \
got `{'detector': 'nonsense'}`
    """
    document = parse_document(content, place)
    try:
        return Configuration.model_validate({} if document is None else document)
    except ValidationError as exc:
        lines = dict.fromkeys(describe(place, error) for error in exc.errors(include_url=False))
        raise SettingsError("\n".join(lines)) from None


def parse_document(content: str | bytes, place: str) -> Any:
    """Return what a YAML text holds: plain data, in which no mapping has a key twice.

    Parameters
    ----------
    content
        The text; bytes are UTF-8.
    place
        What to call it in messages: its file.

    Raises
    ------
    SettingsError
        It is no such YAML.
    """
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506  a safe loader that also refuses double keys
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{place}: expected UTF-8, got: {exc}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise SettingsError(f"{place}: expected YAML, got: {' '.join(str(exc).split())}") from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """Plain data only, and no key twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping's values."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key `{key.value}` is there twice", key.start_mark
                )
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)
