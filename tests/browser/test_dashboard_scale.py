"""A hundred thousand sensors, and one with a million windows."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from dashboard_data import watched_context
from flow_steps import END
from local_stack import ROOT, settings_file
from playwright.sync_api import Browser, Page, Response, expect

from local.npm import install
from local.stack import Stack
from sensorwatch.store import tables

pytestmark = pytest.mark.browser
pytest_plugins = ("browser_fixtures",)

SENSORS = 100_000
WINDOWS = 1_000_000
_TAGS = 5
_STATES = "CASE {n} % 20 WHEN 0 THEN 'failed' WHEN 1 THEN 'warming' ELSE 'ready' END"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose database was filled by hand."""
    install(ROOT / "local" / "azurite")
    install(ROOT / "web")
    folder = tmp_path_factory.mktemp("large")
    with Stack(ROOT, settings_file(folder, SWEEP_SCHEDULE="0 0 0 1 1 *"), folder) as stack:
        fill(stack.settings.values["DATABASE_URL"])
        yield stack


def fill(url: str) -> None:
    """Put sensors into the catalogue, and windows below the first of them."""
    newest = int(END.timestamp())
    numbers = "WITH RECURSIVE Numbers(N) AS (SELECT 0 UNION ALL SELECT N + 1 FROM Numbers WHERE N < {last}) "
    states = _STATES.format(n="N")
    sensors = (
        f"{numbers.format(last=SENSORS - 1)} INSERT INTO {tables.sensors.name} (SensorId, Shard, Device, Tag, "
        "DeviceLength, TagLength, FirstSeen, LastWindow, State, Reason, TrainedUntil, ModelVersion) "
        f"SELECT N, N / 1000, 'device-' || (N / {_TAGS}), 'tag-' || (N % {_TAGS}), LENGTH('device-' || (N / {_TAGS})), "
        f"5, {newest - 86_400} * 1000000, {newest}, {states}, '', {newest}, '' FROM Numbers"
    )
    windows = (
        f"{numbers.format(last=WINDOWS - 1)} INSERT INTO {tables.sensor_windows.name} "
        "(Shard, TS, SensorId, Readings, Total, Minimum, Maximum, SumOfSquares) "
        f"SELECT 0, {newest} - 5 * ({WINDOWS - 1} - N), 0, 1, V, V, V, V * V "
        "FROM (SELECT N, 50.0 + (N % 17280) / 1000.0 + (N * 7919 % 101) / 50.0 AS V FROM Numbers)"
    )
    engine = sa.create_engine(url, connect_args={"timeout": 60})
    with engine.begin() as connection:
        connection.exec_driver_sql(sensors)
        connection.exec_driver_sql(windows)
    engine.dispose()


@pytest.fixture
def large_page(chromium: Browser, large: Stack) -> Iterator[Page]:
    complaints: list[str] = []
    context = watched_context(chromium, large, complaints)
    yield context.new_page()
    context.close()
    assert complaints == []


def test_the_first_content_is_there_within_a_second(large_page: Page) -> None:
    page = large_page
    marks = """() => ({
        content: performance.getEntriesByName("first-content")[0].startTime,
        paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
        requests: performance.getEntriesByType("resource").length,
    })"""
    rounds = []
    for _ in range(7):
        page.goto("about:blank")
        page.goto("/#/")
        expect(page.locator(".tile dd").first).to_have_text("100,000")
        rounds.append(page.evaluate(marks))
    content = [each["content"] for each in rounds]
    print(f"first content after {statistics.median(content):.0f} ms (median of 7), best {min(content):.0f} ms")
    # A busy machine adds to most rounds, and takes from none.
    assert min(each["paint"] for each in rounds) < 1000
    assert min(content) < 1000
    assert max(each["requests"] for each in rounds) < 45


def test_a_million_windows_are_drawn_and_zoomed_without_sending_them(large_page: Page) -> None:
    page = large_page
    sizes: list[int] = []

    def measure(response: Response) -> None:
        if "/windows" in response.url:
            sizes.append(int(response.headers["content-length"]))

    page.on("response", measure)
    page.goto("/#/sensors/0")
    chart = page.locator(".chart[data-points]")
    chart.wait_for()
    expect(page.locator(".readout")).to_contain_text("1,000,000 windows", timeout=60_000)
    assert 100 < int(str(chart.get_attribute("data-points"))) < 6000
    expect(page.locator(".chart canvas")).to_be_visible()
    frames = """() => new Promise((done) => {
      const chart = document.querySelector(".chart");
      const times = [];
      let steps = 0;
      const step = () => {
        const begin = performance.now();
        const key = steps % 2 ? "ArrowLeft" : "ArrowRight";
        chart.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        times.push(performance.now() - begin);
        if (++steps < 40) requestAnimationFrame(step); else done(times);
      };
      step();
    })"""
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Zoom in").click()
    times = page.evaluate(frames)
    print(f"a step of panning takes {statistics.median(times):.1f} ms of the page's time (median of {len(times)})")
    assert statistics.median(times) < 16
    expect(page.locator(".readout")).not_to_contain_text("1,000,000 windows", timeout=60_000)
    assert max(sizes) < 400_000


@contextmanager
def one_window_more(url: str) -> Iterator[None]:
    """Give the first sensor a window after its newest, and take it away again."""
    newest = int(END.timestamp())
    move = f"UPDATE {tables.sensors.name} SET LastWindow = ? WHERE SensorId = 0"
    engine = sa.create_engine(url, connect_args={"timeout": 60})
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO {tables.sensor_windows.name} (Shard, TS, SensorId, Readings, Total, Minimum, Maximum, "
            "SumOfSquares) VALUES (0, ?, 0, 1, 77, 77, 77, 5929)",
            (newest + 5,),
        )
        connection.exec_driver_sql(move, (newest + 5,))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DELETE FROM {tables.sensor_windows.name} WHERE TS > ?", (newest,))
            connection.exec_driver_sql(move, (newest,))
        engine.dispose()


def test_only_newer_windows_are_read_when_they_come(large_page: Page, large: Stack) -> None:
    page = large_page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/windows" in request.url else None)
    page.goto("/#/sensors/0")
    expect(page.locator(".readout")).to_contain_text("1,000,000 windows", timeout=60_000)
    points = int(str(page.locator(".chart").get_attribute("data-points")))
    with one_window_more(large.settings.values["DATABASE_URL"]):
        expect(page.locator(".readout")).to_contain_text("1,000,001 windows", timeout=60_000)
        expect(page.locator(".chart")).to_have_attribute("data-points", str(points + 1))
        assert ["from=" in url for url in asked] == [False, True]


def test_every_sensor_can_be_reached_by_pages_and_by_search(large_page: Page) -> None:
    page = large_page
    page.goto("/#/sensors")
    expect(page.locator("tbody tr")).to_have_count(100)
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_role("link", name="device-20 / tag-0", exact=True)).to_be_visible()
    page.get_by_label("Search").fill("device-19999")
    expect(page.locator("tbody tr")).to_have_count(_TAGS)
    page.goto("/#/")
    expect(page.locator(".heat tbody tr")).to_have_count(50)
