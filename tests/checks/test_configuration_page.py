"""The page on sensorwatch.yaml has every section and key, and its example is valid."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel

from sensorwatch.config.alerts import AlertRule, AlertSection, Flatline, NoData
from sensorwatch.config.detectors import DetectorRule, EstimatorPolicy, Step
from sensorwatch.config.file import Configuration, parse_configuration
from sensorwatch.config.machines import ComponentRule, MachineSection
from sensorwatch.config.serving import ServingRule, ServingSection
from sensorwatch.sensors.alert_times import Times, TimeSpan
from sensorwatch.sensors.downtime import Downtime
from sensorwatch.sensors.patterns import SensorPattern

PAGE = (Path(__file__).parents[2] / "docs/reference/sensorwatch-yaml.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    "Patterns": SensorPattern,
    "detectors": DetectorRule,
    "detectors: steps": Step,
    "estimators": EstimatorPolicy,
    "serving": ServingSection,
    "serving: rules": ServingRule,
    "alerts": AlertSection,
    "alerts: rules": AlertRule,
    "alerts: times": Times,
    "alerts: spans": TimeSpan,
    "alerts: no_data": NoData,
    "alerts: flatline": Flatline,
    "maintenance": Downtime,
    "machines": MachineSection,
    "machines: components": ComponentRule,
}


def keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def test_the_page_has_every_section_with_its_keys_in_order() -> None:
    described = {}
    for section in PAGE.split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        described[heading] = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert described == {heading: keys(model) for heading, model in SECTIONS.items()}
    assert set(keys(Configuration)) == {heading for heading in SECTIONS if heading.islower() and ":" not in heading}


def test_the_example_is_valid_and_uses_every_section() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    configuration = parse_configuration(example, "the page")
    assert configuration.model_fields_set == set(Configuration.model_fields)
