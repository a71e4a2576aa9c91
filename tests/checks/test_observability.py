"""The metrics of the code, the page, the alert rules and the workbook are the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from sensorwatch.tasks.records import Kind
from sensorwatch.telemetry.metrics import METRICS

ROOT = Path(__file__).parents[2]
NAMES = {metric.name for metric in METRICS}


def test_the_page_has_every_metric_with_its_kind_unit_and_meaning_in_order() -> None:
    sections = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8").split("\n## ")
    (section,) = (section for section in sections if section.startswith("Metrics\n"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:3] == "| `"]
    assert rows == [
        [
            f"`{metric.name}`",
            metric.kind,
            f"`{metric.unit}`",
            ", ".join(f"`{name}`" for name in metric.attributes),
            metric.meaning,
        ]
        for metric in METRICS
    ]


def test_names_are_unique() -> None:
    assert len(NAMES) == len(METRICS)


def test_the_alert_rules_and_the_workbook_ask_for_metrics_that_there_are() -> None:
    for name in ("infra/workbook.json", "infra/modules/alerts.bicep"):
        asked = set(re.findall(r'"(sensorwatch\.[a-z_.]+[a-z])\\?"', (ROOT / name).read_text(encoding="utf-8")))
        assert asked
        assert asked <= NAMES


def test_the_page_names_every_span() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "sensorwatch").rglob("*.py"))
    kinds = {step for kind in get_args(Kind) for step in (kind, f"submit {kind}")}
    names = set(re.findall(r'span\(\s*"([a-z ]+)"', text)) | kinds
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    assert names >= {"send", "ingest", "serve", "publish", "deliver"}
    assert [name for name in names if f"`{name}`" not in page] == []
