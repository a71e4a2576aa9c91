"""From an alert that appears to a model that is taken back, with the mouse and with the keyboard alone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from dashboard_data import HOSTILE, LATE_DEVICE, OpenPage, fleet
from flow_steps import END, counts, fire_and_wait, send, wait_until_ingested
from playwright.sync_api import Page, expect

from local.stack import Stack
from sensorwatch.simulation.anomalies import InjectedAnomaly

pytestmark = pytest.mark.browser
pytest_plugins = ("browser_fixtures",)


def row(page: Page, sensor: str) -> str:
    """Wait for a sensor's alert in the list; return its id."""
    found = page.locator("tr[data-alert]", has_text=sensor).first
    found.wait_for()
    return str(found.get_attribute("data-alert"))


@pytest.mark.timeout(240)
def test_an_alert_appears_and_is_handled_and_the_model_is_taken_back(dashboard: Stack, open_page: OpenPage) -> None:
    page = open_page("#/alerts")
    expect(page.locator("tr[data-alert]", has_text=LATE_DEVICE)).to_have_count(0)

    # The fault comes while the inbox is open.
    fault = InjectedAnomaly(LATE_DEVICE, "pressure", "level-shift", END - timedelta(minutes=6), END)
    late = [r for r in fleet().readings(END - timedelta(minutes=20), END, [fault]) if r.device == LATE_DEVICE]
    before = counts(dashboard)
    sent = send(dashboard, late, readings_per_event=100)
    wait_until_ingested(dashboard, before.received - before.duplicate + sent)
    fire_and_wait(dashboard, "score")
    name = f"{LATE_DEVICE} / pressure"
    expect(page.get_by_role("link", name=name)).to_be_visible(timeout=60_000)

    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    chart = page.locator(".chart")
    expect(chart).to_have_attribute("data-points", re.compile(r"[1-9]\d+"))
    assert red_pixels(page) > 20, "the chart shows no anomaly"
    expect(chart).to_have_attribute("aria-label", re.compile(r"[1-9]\d* anomalous"))

    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".sub")).to_contain_text("acknowledged")
    page.get_by_role("button", name="Mute").click()
    page.get_by_label("8 hours").check()
    page.get_by_label("Reason").fill("a spare part is ordered")
    page.get_by_role("dialog").get_by_role("button", name="Mute").click()
    expect(page.locator(".sub")).to_contain_text("muted")
    page.get_by_role("button", name="Feedback").click()
    page.get_by_text("Confirmed", exact=True).click()
    page.get_by_role("dialog").get_by_label("Comment").fill("a bearing <b>")
    page.get_by_role("button", name="Send feedback").click()
    history = page.locator(".history")
    expect(history).to_contain_text("confirmed: a bearing <b>")
    expect(history).to_contain_text("a spare part is ordered")
    page.get_by_label("Comment").fill("see you tomorrow")
    page.get_by_role("button", name="Add comment").click()
    expect(history).to_contain_text("see you tomorrow")

    alert_id = page.url.rpartition("/")[2]
    handled = dashboard.product.store.alert(alert_id)
    assert handled.handling.feedback == "confirmed"
    assert handled.handling.silenced_why == "a spare part is ordered"

    roll_back(page, dashboard)


def roll_back(page: Page, stack: Stack) -> None:
    """Put the older version of the shard's models in use, then the newer one again."""
    before = stack.product.models.current(0)
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("link", name="Shard 0").click()
    page.get_by_role("button", name="Roll back to").last.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    assert stack.product.models.current(0) == before
    page.get_by_role("button", name="Roll back to").last.click()
    dialog.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("status")).to_contain_text("again")
    expect(page.locator("tbody tr").last).to_contain_text("in use")
    after = stack.product.models.current(0)
    assert before
    assert after
    assert after.version < before.version


def test_the_inbox_needs_no_mouse(dashboard: Stack, open_page: OpenPage) -> None:
    page = open_page("#/alerts")
    alert_id = row(page, "pump-2")
    press = page.keyboard.press
    press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Acknowledge")
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)

    for _ in range(30):
        press("j")
        if page.evaluate("document.activeElement.closest('tr')?.dataset.alert") == alert_id:
            break
    press("a")
    expect(page.locator(f"tr[data-alert='{alert_id}']")).to_have_count(0)
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.matches('tr[data-alert] a')"), "the focus has left the list"

    page.goto("/#/alerts?state=acknowledged")
    expect(page.locator(f"tr[data-alert='{alert_id}']")).to_be_visible()
    while page.evaluate("document.activeElement.closest('tr')?.dataset.alert") != alert_id:
        press("j")
    press("s")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("Tab")
    page.keyboard.type("keys only")
    press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(f"tr[data-alert='{alert_id}']")).to_have_count(0)

    page.goto("/#/alerts?state=silenced")
    expect(page.locator(f"tr[data-alert='{alert_id}']")).to_be_visible()
    while page.evaluate("document.activeElement.closest('tr')?.dataset.alert") != alert_id:
        press("j")
    press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("pump-2 / temperature")
    press("f")
    press("ArrowDown")
    press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    press("c")
    page.keyboard.type("written without a mouse")
    press("Tab")
    press("Enter")
    expect(page.locator(".history")).to_contain_text("written without a mouse")
    handled = dashboard.product.store.alert(alert_id).handling
    assert (handled.silenced_why, handled.feedback) == ("keys only", "expected")


def test_several_alerts_are_acknowledged_at_once(dashboard: Stack, open_page: OpenPage) -> None:
    page = open_page("#/alerts")
    ids = [row(page, f"press-1 / {tag}") for tag in ("pressure", "vibration")]
    for alert_id in ids:
        page.locator(f"tr[data-alert='{alert_id}'] input").check()
    page.get_by_role("button", name="Acknowledge").click()
    for alert_id in ids:
        expect(page.locator(f"tr[data-alert='{alert_id}']")).to_have_count(0)
        assert dashboard.product.store.alert(alert_id).handling.acknowledged_by


def test_names_are_shown_and_never_run(open_page: OpenPage) -> None:
    page = open_page("#/")
    name = f"{HOSTILE} / temperature"
    expect(page.get_by_role("rowheader", name=HOSTILE)).to_be_visible()
    # The overview lists the newest alerts only, which this one need not be among.
    for address in ("#/sensors", "#/alerts?state=all"):
        page.goto(f"/{address}")
        expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", name="Newest anomalous windows")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def red_pixels(page: Page) -> int:
    """Count the pixels of the chart that have the colour of anomalies."""
    return int(
        page.evaluate(
            """async () => {
              const { colour } = await import("/web/js/theme.js");
              const wanted = colour("--chart-anomaly").match(/\\d+/g).slice(0, 3).map(Number);
              const canvas = document.querySelector(".chart canvas");
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              let found = 0;
              for (let i = 0; i < data.length; i += 4)
                if (wanted.every((value, part) => Math.abs(data[i + part] - value) < 12)) found += 1;
              return found;
            }"""
        )
    )
