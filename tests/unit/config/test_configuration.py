from __future__ import annotations

import json

import pytest

from sensorwatch.config.detectors import EstimatorPolicy
from sensorwatch.config.file import Configuration, configuration_name, parse_configuration
from sensorwatch.detectors.factory import detectors
from sensorwatch.errors import SettingsError
from sensorwatch.sensors.records import SensorKey

RULES = """
detectors:
  - device: press-*
    tag: vibration
    steps:
      - estimator: sklearn.preprocessing.StandardScaler
      - estimator: sklearn.svm.OneClassSVM
        parameters: {nu: 0.01}
  - device: 7
    detector: ocsvm_sklearn
  - tag: temp*
    estimator: sklearn.ensemble.IsolationForest
    parameters: {n_estimators: 50}
  - device: "press-[12]"
    detector: ocsvm
"""


def chosen(text: str, device: str, tag: str) -> tuple[str, object, bool]:
    choice = parse_configuration(text, "sensorwatch.yaml").choice(SensorKey(device, tag), "ocsvm")
    return choice.detector, json.loads(choice.specification), choice.ruled


@pytest.mark.parametrize("nothing", ["", "# nothing\n", "{}", "---\n"])
def test_an_empty_file_means_the_defaults(nothing: str) -> None:
    assert parse_configuration(nothing, "sensorwatch.yaml") == Configuration()
    assert chosen(nothing, "press-1", "vibration") == ("ocsvm", {}, False)


def test_the_first_rule_that_matches_decides() -> None:
    scaler = {"estimator": "sklearn.preprocessing.StandardScaler", "parameters": {}}
    svm = {"estimator": "sklearn.svm.OneClassSVM", "parameters": {"nu": 0.01}}
    forest = {"estimator": "sklearn.ensemble.IsolationForest", "parameters": {"n_estimators": 50}}
    assert chosen(RULES, "press-1", "vibration") == ("sklearn", {"steps": [scaler, svm]}, True)
    assert chosen(RULES, "press-1", "temperature") == ("sklearn", {"steps": [forest]}, True)
    assert chosen(RULES, "press-1", "pressure") == ("ocsvm", {}, True)
    assert chosen(RULES, "press-3", "pressure") == ("ocsvm", {}, False)


def test_a_number_as_a_name_is_its_text() -> None:
    assert chosen(RULES, "7", "temperature")[0] == "ocsvm_sklearn"


def test_patterns_are_case_sensitive() -> None:
    assert chosen(RULES, "Press-1", "Vibration") == ("ocsvm", {}, False)


def test_the_order_of_parameters_makes_no_difference() -> None:
    one = "detectors: [{estimator: sklearn.svm.OneClassSVM, parameters: {nu: 0.1, gamma: 1}}]"
    other = "detectors: [{parameters: {gamma: 1, nu: 0.1}, estimator: sklearn.svm.OneClassSVM}]"
    key = SensorKey("a", "b")
    choices = {parse_configuration(text, "x").choice(key, "ocsvm") for text in (one, other)}
    assert len(choices) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("detectors: 3", "f.yaml: detectors: expected a list; got `3`"),
        ("alert: 1", "f.yaml: alert: unknown key `alert`; correct or remove it"),
        ("- a", "mapping with the sections detectors, estimators, serving, alerts, maintenance and machines; got"),
        ("serving: {models: {own: {detector: ocsvm}}}", "`own` is the name of the sensors' primary models"),
        ("serving: {models: {Own: {detector: ocsvm}}}", "String should match pattern"),
        (
            "serving: {models: {a: {estimator: os.system}}}",
            "serving.models.a: expected an estimator of an allowed module (sklearn.), got `os.system`",
        ),
        ("serving: {rules: [{models: [a]}]}", "rules.0: unknown model `a`; expected one of own"),
        ("serving: {rules: [{models: [own, own]}]}", "expected every model once, got own, own"),
        ("serving: {rules: [{models: []}]}", "at least 1 item"),
        ("serving: {rules: [{weights: {own: 2}}]}", "`weights` belong to the decider `weighted`, got `majority`"),
        ("serving: {rules: [{decider: weighted, weights: {a: 2}}]}", "weights of models that do not answer: a"),
        ("serving: {rules: [{decider: best}]}", "'majority', 'weighted', 'first' or 'confidence'"),
        ("serving: {rules: [{deadline_ms: 0}]}", "greater than 0"),
        ("detectors: [{detector: nonsense}]", "detectors.0: unknown detector `nonsense`; expected one of "),
        (
            "detectors: [{detector: auto, warming: auto}]",
            "unknown `warming` detector `auto`; expected one of none,",
        ),
        ("detectors: [{tag: x}]", "detectors.0: expected `detector` (one of "),
        ("detectors: [{detector: ocsvm, tga: x}]", "detectors.0.tga: unknown key `tga`"),
        ("detectors: [{detector: ocsvm, device: '[a'}]", "detectors.0.device: expected a shell-style pattern"),
        ("detectors: [{detector: ocsvm, device: ''}]", "detectors.0.device: String should have at least 1 character"),
        ("detectors: [{detector: ocsvm, parameters: {nu: 1}}]", "`parameters` belong to an `estimator`"),
        (
            "detectors: [{estimator: os.system}]",
            "f.yaml: detectors.0: expected an estimator of an allowed module (sklearn.), got `os.system`",
        ),
        (
            "detectors: [{steps: [{estimator: posix.x}]}]",
            "expected an estimator of an allowed module (sklearn.), got `posix.x`",
        ),
        ("detectors: [{estimator: sklearn}]", "detectors.0.estimator: String should match pattern"),
        ("detectors: [{estimator: sklearn.svm.SVC, detector: ocsvm}]", "belong to `sklearn`, got `ocsvm`"),
        ("detectors: [{estimator: sklearn.svm.SVC, steps: [{estimator: sklearn.svm.SVC}]}]", "got both"),
        ("detectors: [{steps: [{estimator: sklearn.svm.SVC}], parameters: {a: 1}}]", "its steps: move them there"),
        ("detectors: [{steps: [{estimator: sklearn.svm.SVC, parameters: {a: 2020-01-01}}]}]", "valid JSON value"),
        ("a: 1\na: 2", "f.yaml: expected YAML, got: the key `a` is there twice"),
        ("a: [", "f.yaml: expected YAML, got: while parsing"),
        ("!!python/object/apply:os.system ['ls']", "f.yaml: expected YAML, got: could not determine a constructor"),
        (b"\xff\xfe\xfa", "f.yaml: expected text in UTF-8"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str | bytes, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_configuration(text, "f.yaml")
    assert message in str(raised.value)
    assert str(raised.value).startswith("f.yaml: ")


def test_every_mistake_has_a_line() -> None:
    with pytest.raises(SettingsError) as raised:
        parse_configuration("detectors: [{detector: x}, {detector: y}]\nz: 1", "f.yaml")
    assert len(str(raised.value).splitlines()) == 3


def test_estimators_of_another_module_can_be_allowed() -> None:
    text = "detectors: [{estimator: ours.models.Odd}]\nestimators: {modules: [ours., sklearn.]}"
    assert chosen(text, "a", "b")[0] == "sklearn"


def test_a_module_whose_name_only_begins_alike_is_not_allowed() -> None:
    assert not EstimatorPolicy().allows("sklearn_evil.Estimator")


def test_rules_may_name_the_detectors_that_can_be_trained() -> None:
    assert detectors()
    for name in detectors():
        assert chosen(f"detectors: [{{detector: {name}}}]", "a", "b")[0] == name
    with pytest.raises(SettingsError, match=f"expected one of {', '.join(sorted(detectors()))};"):
        parse_configuration("detectors: [{detector: onnx}]", "f.yaml")


def test_a_stored_configurations_name_follows_from_its_content() -> None:
    assert configuration_name(b"a") == configuration_name(b"a") != configuration_name(b"b")
