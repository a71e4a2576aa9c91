"""Fixtures of the browser tests: Debian's Chromium, the local stack with data, and pages that must not complain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from dashboard_data import FLAGS, FRESH, HISTORY, LATE_DEVICE, OpenPage, faults, fleet, watched_context
from flow_steps import END, fire_and_wait, send, wait_until_ingested
from local_stack import ROOT, settings_file
from machine_data import add_machines
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from local.npm import install
from local.stack import Stack

_LEARNT_LATER = timedelta(minutes=10)


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with two versions of models, open alerts and an incident, and machines with risks."""
    install(ROOT / "local" / "azurite")
    install(ROOT / "web")
    folder = tmp_path_factory.mktemp("dashboard")
    # Each firing is a run of its own, whatever the minute.
    with Stack(
        ROOT,
        settings_file(
            folder,
            RUN_WINDOW_SECONDS="1",
            DETECTOR="auto",
            SERVING_CONSUMER_GROUP="serve",
            MAINTENANCE_VALIDATION_DAYS="30",
            MAINTENANCE_TEST_DAYS="30",
        ),
        folder,
    ) as stack:
        start, middle = END - FRESH - HISTORY, END - FRESH
        sent = 0
        for begin, end in ((start, middle - _LEARNT_LATER), (middle - _LEARNT_LATER, middle)):
            sent += send(stack, fleet().readings(begin, end), readings_per_event=100)
            wait_until_ingested(stack, sent)
            fire_and_wait(stack, "train")
        others = (reading for reading in fleet().readings(middle, END, faults()) if reading.device != LATE_DEVICE)
        sent += send(stack, others, readings_per_event=100)
        wait_until_ingested(stack, sent)
        fire_and_wait(stack, "score")
        (folder / "machines").mkdir()
        add_machines(stack, folder / "machines")
        yield stack


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no Chromium on the PATH; on Debian `apt-get install chromium` brings it")
    # A limit for what hangs: pages wait for their data, and the machine may be busy.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, dashboard: Stack) -> Iterator[OpenPage]:
    """A function that opens an address of the dashboard; nothing may be wrong in any of the pages at the end."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def make(address: str = "#/", **options: Any) -> Page:
        context = watched_context(chromium, dashboard, complaints, **options)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"/{address}")
        page.locator("main h1").wait_for()
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []
