"""Explanations of an anomaly that a person chooses by mouse, by keyboard or by address."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from dashboard_data import PICTURES, OpenPage
from local_stack import ROOT
from playwright.sync_api import Page, expect

from local.npm import install
from local.stack import Stack
from sensorwatch.alerts.explanation_text import explanation_text
from sensorwatch.alerts.records import Anomaly

pytestmark = pytest.mark.browser
pytest_plugins = ("browser_fixtures",)

AXE = ROOT / "tests" / "browser" / "node_modules" / "axe-core" / "axe.min.js"


def explained(stack: Stack) -> list[Anomaly]:
    """Return the anomalies of a sensor with a fault, the newest first; they are explained."""
    (sensor,) = [each for each in stack.product.store.sensors() if each.key == ("pump-2", "temperature")]
    found: list[Anomaly] = stack.product.store.anomalies(sensor.sensor_id)
    assert found
    assert all(each.explanation is not None for each in found)
    return found


def open_chart(anomaly: Anomaly, open_page: OpenPage, query: str = "", **options: object) -> Page:
    """Open the sensor's page and wait for its chart."""
    page = open_page(f"#/sensors/{anomaly.sensor_id}{query}", **options)
    page.locator("main h1").wait_for()
    expect(page.locator(".chart[data-points]")).to_be_visible()
    return page


def coloured(page: Page, name: str) -> int:
    """Return how many of the chart's pixels have a colour of the theme."""
    return int(
        page.evaluate(
            """name => {
                const probe = document.createElement("i");
                probe.style.color = `var(${name})`;
                document.body.append(probe);
                const wanted = getComputedStyle(probe).color.match(/[0-9.]+/g).slice(0, 3).map(Number);
                probe.remove();
                const canvas = document.querySelector(".chart canvas");
                const copy = new OffscreenCanvas(canvas.width, canvas.height);
                const drawn = copy.getContext("2d", { willReadFrequently: true });
                drawn.drawImage(canvas, 0, 0);
                const { data } = drawn.getImageData(0, 0, canvas.width, canvas.height);
                let count = 0;
                for (let i = 0; i < data.length; i += 4) {
                    if (data[i + 3] > 200 && wanted.every((part, j) => Math.abs(part - data[i + j]) < 12)) count += 1;
                }
                return count;
            }""",
            name,
        )
    )


def test_an_anomaly_is_explained_by_keyboard_and_by_its_address(dashboard: Stack, open_page: OpenPage) -> None:
    found = explained(dashboard)
    page = open_chart(found[0], open_page)
    assert coloured(page, "--chart-expected") > 50, "the chart shows no expected value"
    assert coloured(page, "--chart-pattern") == 0
    why = page.locator("[data-why]")
    expect(why).to_have_count(0)

    page.locator(".chart").press("n")
    expect(why).to_have_text(explanation_text(found[0]))
    assert found[0].explanation is not None
    rows = page.locator(".members tbody tr")
    expect(rows).to_have_count(len(found[0].explanation.members))
    expect(page.locator(".members tr.fired")).to_have_count(
        sum(member.fired for member in found[0].explanation.members)
    )
    expect(page.get_by_text("Nearest usual pattern")).to_be_visible()
    assert coloured(page, "--chart-pattern") > 50, "the chart shows no pattern"
    page.locator(".chart").press("p")
    expect(why).to_have_text(explanation_text(found[1]))
    expect(page).to_have_url(re.compile(f"why={found[1].end}"))

    page.reload()
    expect(why).to_have_text(explanation_text(found[1]))
    page.get_by_role("button", name="Next anomaly").click()
    expect(why).to_have_text(explanation_text(found[0]))
    page.locator(".chart").press("Escape")
    expect(why).to_have_count(0)
    expect(page).not_to_have_url(re.compile("why="))
    assert coloured(page, "--chart-pattern") == 0


def test_an_anomaly_is_explained_by_a_click_on_it_or_in_the_table(dashboard: Stack, open_page: OpenPage) -> None:
    found = explained(dashboard)
    last = found[0].end
    page = open_chart(found[0], open_page, f"?from={last - 300}&to={last + 5}")
    box = page.locator(".chart .u-over").bounding_box()
    assert box is not None
    why = page.locator("[data-why]")
    # The newest stands at the right end; where it is in height, the search finds.
    for share in range(2, 49):
        page.mouse.click(box["x"] + box["width"] * 300 / 305, box["y"] + box["height"] * share / 50)
        if why.count():
            break
    expect(why).to_contain_text("was expected; ")
    page.get_by_role("button", name="Close").click()
    expect(why).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Why .* is anomalous$")).nth(3).click()
    expect(why).to_have_text(explanation_text(found[3]))


def test_the_alert_says_why(dashboard: Stack, open_page: OpenPage) -> None:
    anomaly = explained(dashboard)[0]
    (alert,) = [each for each in dashboard.product.store.alerts() if each.sensor_id == anomaly.sensor_id]
    page = open_page(f"#/alerts/{alert.alert_id}")
    assert alert.explanation
    expect(page.locator("[data-why]")).to_have_text(alert.explanation)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_explained_anomaly_is_fit_for_everybody_and_can_be_pictured(
    theme: str, dashboard: Stack, open_page: OpenPage, tmp_path: Path
) -> None:
    install(ROOT / "tests" / "browser")
    last = explained(dashboard)[0]
    query = f"?from={last.end - 900}&to={last.end}&why={last.end}"
    page = open_chart(last, open_page, query, color_scheme=theme, bypass_csp=True)
    expect(page.locator("[data-why]")).to_be_visible()
    page.add_script_tag(path=AXE)
    violations = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [each["id"] for each in violations if each["impact"] in ("serious", "critical")]
    assert serious == [], json.dumps(violations, indent=2)
    folder = Path(PICTURES) if PICTURES and theme == "light" else tmp_path
    page.screenshot(path=folder / "dashboard-explanation.png")
    phone = open_chart(last, open_page, query, viewport={"width": 360, "height": 740}, has_touch=True)
    expect(phone.locator("[data-why]")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    phone.screenshot(path=tmp_path / "phone.png", full_page=True)
