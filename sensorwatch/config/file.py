"""The file ``sensorwatch.yaml``: detectors by sensor, trusted estimators, real-time scoring, alerts and downtime.

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
        warming: none                # fallback until there are enough windows; left out: WARMING_DETECTOR
    serving:                         # scoring in real time
      models:                        # challengers, trained beside the sensors' primary models
        forest: {estimator: sklearn.ensemble.IsolationForest}
      rules:                         # the first rule that matches a sensor decides
        - tag: vibration
          models: [own, forest]      # the models that answer
          decider: majority
          deadline_ms: 50
    estimators:
      modules: [sklearn.]            # import paths of estimators must start with one of these
      trusted_types: []              # types that stored estimators may hold, besides those that skops trusts

A file that is missing or empty has no rules: every sensor gets the detector of the setting ``DETECTOR``. The sections
``alerts`` and ``maintenance`` are described in :mod:`sensorwatch.config.alerts`, the section ``machines`` in
:mod:`sensorwatch.config.machines`. A new section is a new field of :class:`Configuration`.

A Batch task reads the file that its run was planned with: the content is stored beside the models, under the name that
:func:`configuration_name` derives from it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from sensorwatch.config.alerts import AlertSection
from sensorwatch.config.detectors import NO_PARAMETERS, DetectorChoice, DetectorRule, EstimatorPolicy
from sensorwatch.config.machines import MachineSection
from sensorwatch.config.parameters import describe
from sensorwatch.config.serving import ServingSection
from sensorwatch.errors import SettingsError
from sensorwatch.sensors.downtime import Downtime
from sensorwatch.sensors.patterns import Section
from sensorwatch.settings.text_files import decode_text

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
"""Prefix of the setting ``CONFIGURATION_FILE`` that marks a stored configuration instead of a file."""


class Configuration(Section):
    """All of ``sensorwatch.yaml``."""

    detectors: tuple[DetectorRule, ...] = ()
    estimators: EstimatorPolicy = EstimatorPolicy()
    serving: ServingSection = ServingSection()
    alerts: AlertSection = AlertSection()
    downtimes: tuple[Downtime, ...] = Field(default=(), alias="maintenance")
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
                        f"{place}: expected an estimator of an allowed module ({allowed}), got `{path}`; "
                        "add the beginning of its path to estimators.modules if you trust it"
                    )
        return self

    def choice(self, key: SensorKey, default: str) -> DetectorChoice:
        """Return the detector of a sensor: that of the first rule that matches, otherwise ``default``.

        Parameters
        ----------
        key
            The sensor.
        default
            Name of a detector, without parameters.

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
    """Return the name under which a configuration is stored: a hash of its content.

    Examples
    --------
    >>> configuration_name(b"")
    'stored:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    return STORED_PREFIX + hashlib.sha256(content).hexdigest()


def embed_calendars(content: bytes, read: Callable[[str], str]) -> bytes:
    r"""Return the configuration with the texts of calendar files in place of their names, so that tasks can read it.

    A configuration without calendar files is returned unchanged, and so is one with mistakes: parsing reports those.

    Parameters
    ----------
    content
        A YAML text in UTF-8.
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
        Name of the file, for messages.

    Raises
    ------
    SettingsError
        The text has mistakes: one line each, with the place, the value, what was expected and a hint.

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
    """Return the plain data of a YAML text in which no mapping has a key twice.

    Parameters
    ----------
    content
        The text; bytes are UTF-8.
    place
        Name of the file, for messages.

    Raises
    ------
    SettingsError
        The text is not UTF-8, not YAML, or has a key twice.
    """
    try:
        text = decode_text(content) if isinstance(content, bytes) else content
    except ValueError as exc:
        raise SettingsError(f"{place}: {exc}") from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506  a safe loader that also refuses double keys
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise SettingsError(f"{place}: expected YAML, got: {' '.join(str(exc).split())}") from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """Loader of plain data that refuses a key given twice: the second value would win silently."""

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
