"""Properties of every page: accessible, usable on a phone, there after a reload, sparing with the server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from dashboard_data import PICTURES, OpenPage
from local_stack import ROOT
from playwright.sync_api import Page, Response, expect

from local.npm import install
from local.stack import Stack

pytestmark = pytest.mark.browser
pytest_plugins = ("browser_fixtures",)

AXE = ROOT / "tests" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = (
    *("overview", "alerts", "alert", "incidents", "incident", "sensors", "sensor", "jobs", "job", "models", "model"),
    *("machines", "machine", "serving"),
)


def address_of(page_name: str, stack: Stack) -> str:
    """Return a page's address, with something to show."""
    store = stack.product.store
    match page_name:
        case "overview":
            return "#/"
        case "alerts":
            return "#/alerts?state=all"
        case "alert":
            return f"#/alerts/{store.alerts()[-1].alert_id}"
        case "incidents":
            return "#/incidents?state=all"
        case "incident":
            return f"#/incidents/{store.incidents()[0].incident_id}"
        case "sensor":
            return f"#/sensors/{store.alerts()[-1].sensor_id}"
        case "job":
            run = store.runs("score")[0]
            return f"#/jobs/{run.run_id}?task={store.tasks(run.run_id)[0].spec.task_id}&stream=stdout"
        case "model":
            return "#/models/0"
        case "machine":
            return f"#/machines/{store.machine_page(1)[0].machine_id}"
        case _:
            return f"#/{page_name}"


def settled(page: Page) -> None:
    """Wait until everything that the page loads at first is there."""
    page.locator("main h1").wait_for()
    expect(page.get_by_text("Loading…")).to_have_count(0)
    expect(page.locator(".chart:not([data-points])")).to_have_count(0, timeout=30_000)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(name: str, theme: str, dashboard: Stack, open_page: OpenPage) -> None:
    install(ROOT / "tests" / "browser")
    # Tests see what the page's own rules for scripts would keep out.
    page = open_page(address_of(name, dashboard), color_scheme=theme, bypass_csp=True)
    settled(page)
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [
        (each["id"], each["help"], [node["html"] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == [], json.dumps(serious, indent=2)


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_need_not_scroll_sideways(name: str, dashboard: Stack, open_page: OpenPage) -> None:
    page = open_page(address_of(name, dashboard), viewport={"width": 360, "height": 740}, has_touch=True)
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Menu").click()
    expect(page.locator("#nav").get_by_role("link", name="Incidents")).to_be_visible()


@pytest.mark.parametrize("name", PAGES)
def test_each_page_survives_a_reload_and_can_be_pictured(
    name: str, dashboard: Stack, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(address_of(name, dashboard))
    settled(page)
    title, heading = page.title(), page.locator("main h1").inner_text()
    page.reload()
    settled(page)
    assert (page.title(), page.locator("main h1").inner_text()) == (title, heading)
    assert title.endswith(" Sensorwatch")
    folder = Path(PICTURES or tmp_path)
    picture = page.screenshot(path=folder / f"dashboard-{name}.png")
    assert len(picture) > 10_000, "the picture is as good as empty"


def test_the_back_button_goes_back(open_page: OpenPage) -> None:
    page = open_page("#/")
    page.get_by_role("link", name="Sensors", exact=True).click()
    page.get_by_role("link", name="ready", exact=False).first.click()
    expect(page.get_by_role("link", name="ready", exact=False).first).to_have_attribute("aria-current", "true")
    page.locator("td a.name").first.click()
    expect(page.locator(".chart[data-points]")).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile(r"#/sensors\?state=ready$"))
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_a_zoomed_chart_survives_a_reload(dashboard: Stack, open_page: OpenPage) -> None:
    page = open_page(address_of("sensor", dashboard))
    settled(page)
    page.get_by_role("button", name="Zoom in").click()
    page.locator(".chart").press("ArrowRight")
    expect(page).to_have_url(re.compile(r"from=\d+&to=\d+"))
    address = page.url
    page.reload()
    settled(page)
    assert page.url == address
    page.locator(".chart").press("0")
    expect(page).to_have_url(re.compile(r"#/sensors/\d+$"))


def test_polling_asks_only_for_what_has_changed(open_page: OpenPage) -> None:
    page = open_page("#/models")
    answers: list[int] = []

    def seen(response: Response) -> None:
        if "/api/models" in response.url:
            answers.append(response.status)

    page.on("response", seen)
    page.goto("/#/jobs")
    page.goto("/#/models")
    settled(page)
    page.wait_for_event("response", lambda response: "/api/models" in response.url, timeout=40_000)
    assert set(answers) == {304}


def test_a_hidden_page_asks_for_nothing(open_page: OpenPage) -> None:
    page = open_page("#/jobs")
    settled(page)
    asked: list[str] = []
    hide = """(hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    expect(page.locator(".live")).to_have_text("Paused")
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(7000)
    assert asked == []
    page.evaluate(hide, False)
    expect(page.locator(".live")).to_have_text("Live")
    assert asked


def test_the_chosen_theme_is_kept(open_page: OpenPage) -> None:
    page = open_page("#/", color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(background) != light
    page.reload()
    assert page.evaluate(background) != light


def test_times_are_the_viewers_and_utc_on_hover(open_page: OpenPage) -> None:
    page = open_page("#/jobs", timezone_id="Asia/Kolkata")
    settled(page)
    shown = page.locator("td time").first
    moment = shown.get_attribute("datetime")
    minutes = page.evaluate("(moment) => new Date(moment).getMinutes()", moment)
    assert f":{minutes:02d}:" in shown.inner_text()
    assert str(shown.get_attribute("title")).endswith(" UTC")
    assert str(moment)[14:16] != f"{minutes:02d}", "half an hour lies between them"


def test_estimators_that_cannot_be_loaded_are_reported(open_page: OpenPage, dashboard: Stack) -> None:
    page = open_page("#/jobs")
    settled(page)
    page.route("**/api/**", lambda route: route.fulfill(status=200, body="not json"))
    page.locator("#nav").get_by_role("link", name="Models").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.unroute("**/api/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="Shard 0")).to_be_visible()
