"""Machines on the dashboard: from the fleet to one machine's charts, and what is said before there are any."""

from __future__ import annotations

import re

import pytest
from dashboard_data import OpenPage
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
pytest_plugins = ("browser_fixtures",)


def test_the_riskiest_machine_shows_why_and_when(open_page: OpenPage) -> None:
    page = open_page("#/machines")
    expect(page.locator("tbody tr")).to_have_count(12)
    risks = [float(text.split()[0]) for text in page.locator("td:nth-child(2)").all_inner_texts()]
    assert risks == sorted(risks, reverse=True)
    page.locator("td a.name").first.click()
    expect(page.locator(".chart[data-points]")).to_have_count(5)
    expect(page.get_by_role("row", name=re.compile("^comp")).first).to_contain_text(
        re.compile(r"comp\d was replaced|averages|error\d")
    )
    volt = page.locator("[data-chart=volt]")
    points = volt.get_attribute("data-points")
    page.get_by_role("link", name="30 days").click()
    expect(page).to_have_url(re.compile(r"#/machines/\d+\?days=30$"))
    expect(volt).not_to_have_attribute("data-points", str(points))
    volt.hover()
    expect(page.locator(".readout", has_text="UTC: volt ")).to_be_visible()
    page.get_by_text("Show as a table").first.click()
    expect(page.get_by_role("columnheader", name="comp4")).to_be_visible()


def test_before_the_first_results_the_page_says_how_to_get_them(open_page: OpenPage) -> None:
    page = open_page("#/")
    page.route("**/api/machines?*", lambda route: route.fulfill(json={"items": [], "next": None}))
    page.goto("/#/machines")
    expect(page.locator(".empty")).to_contain_text("sensorwatch maintenance run")
