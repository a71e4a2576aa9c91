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
      models:                        # challengers, trained beside the sensors' primary models
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
``DETECTOR``. The sections ``alerts`` and ``maintenance`` are described in :mod:`sensorwatch.config.alerts`, the
section ``machines`` in :mod:`sensorwatch.config.machines`.
Whatever else the file may hold one day has a section, and so a field here, of its own.

A Batch task reads the very file that its run was planned with: :func:`configuration_name` names its content, which is
stored under that name beside the models.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError, model_validator

from sensorwatch.config.alerts import AlertSection
from sensorwatch.config.detectors import NO_PARAMETERS, DetectorChoice, DetectorRule, EstimatorPolicy
from sensorwatch.config.machines import MachineSection
from sensorwatch.config.parameters import describe
from sensorwatch.config.serving import ServingSection
from sensorwatch.errors import SettingsError
from sensorwatch.sensors.downtime_section import Maintenance
from sensorwatch.sensors.patterns import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.sensors.records import SensorKey

__all__ = [
    "STORED_PREFIX",
    "Configuration",
    "configuration_name",
    "embed_calendars",
    "parse_configuration",
    "parse_document",
]

STORED_PREFIX = "stored:"
"""What the setting ``CONFIGURATION_FILE`` begins with where it names a stored configuration instead of a file."""

"""The specification of a detector that takes no parameters, or is given none."""

"""What the rules for scoring in real time call the model that batch scoring uses too."""

"""The detectors that a rule may name; a test compares them with the factory, which is too heavy to load here."""

"""Those that an ensemble may have."""


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
        >>> from sensorwatch.sensors.records import SensorKey
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
