"""The API as clients meet it: through the Functions host, over HTTP."""

from __future__ import annotations

import contextlib
import json
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from host_process import Process
from local_stack import ROOT, pick_port, wait_until

from sensorwatch.alerts.records import Anomaly
from sensorwatch.alerts.state_machine import AlertRules, ScoredWindow, advance
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.wire

AT = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
END = int(AT.timestamp())
NOT_ASKED = ("ingest", "publish", "train", "score", "maintenance", "sweep", "housekeeping", "serve")
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, azurite: str) -> Iterator[httpx.Client]:
    """A client of the host, which has no function to run but the API."""
    folder = tmp_path_factory.mktemp("api")
    port = pick_port()
    settings = json.loads((ROOT / "local.settings.json.template").read_text())["Values"]
    settings |= {"AzureWebJobsStorage": azurite, "DATABASE_URL": f"sqlite:///{folder}/sensorwatch.db"}
    settings |= {f"AzureWebJobs.{name}.Disabled": "true" for name in NOT_ASKED}
    _seed(settings["DATABASE_URL"])
    arguments = ("--app", str(ROOT), "--port", str(port))
    process = Process("local.functions_host", *arguments, log=folder / "host.log", environment=settings)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        wait_until(lambda: _answers(client, process), "the host to run", 60)
        yield client
    assert process.end(signal.SIGTERM) == 0


def _seed(url: str) -> None:
    """Two sensors, the first with three anomalous windows, of which two opened an alert."""
    store = open_store(url, shard_size=1000)
    store.sensor_ids([SensorKey("pump", "heat"), SensorKey("pump", "flow")])
    windows = [ScoredWindow(END - 10 + 5 * i, 90.0, "high", True) for i in range(3)]
    found = [Anomaly(0, each.end, 20.0, each.score, each.severity, 1.0, 9.0, "v1") for each in windows]
    rules = AlertRules(anomalous_windows=2, recent_windows=3, quiet_seconds=60)
    store.publish(found, [], [0], lambda states: advance(states, {0: windows}, rules))
    values = [Window(0, END - 10 + 5 * i, 1, 20.0 + i, 20.0 + i, 20.0 + i, (20.0 + i) ** 2) for i in range(3)]
    counts = IngestCounts(received=3, accepted=3, late=0, duplicate=0, invalid=0)
    store.commit_ingest(Partition("readings", "$Default", "0"), None, OffsetCheckpoint(3, AT), values, counts)
    store.dispose()


def _answers(client: httpx.Client, process: Process) -> bool:
    assert process.process.poll() is None, process.log_text()
    with contextlib.suppress(httpx.TransportError):
        return bool(client.get("/admin/host/status").json().get("state") == "Running")
    return False


def test_health_includes_the_lag(site: httpx.Client) -> None:
    health = site.get("/api/health").json()
    assert health["status"] == "healthy"
    assert [lag["partition_id"] for lag in health["watermark_lag_seconds"]["partitions"]] == ["0"]


def test_sensors_come_page_by_page_with_an_etag(site: httpx.Client) -> None:
    first = site.get("/api/sensors", params={"limit": 1})
    assert [sensor["tag"] for sensor in first.json()["items"]] == ["heat"]
    second = site.get("/api/sensors", params={"limit": 1, "after": first.json()["next"]}).json()
    assert ([sensor["tag"] for sensor in second["items"]], second["next"]) == (["flow"], None)
    same = site.get("/api/sensors", params={"limit": 1}, headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])


def test_windows_come_as_columns(site: httpx.Client) -> None:
    windows = site.get("/api/sensors/0/windows").json()
    assert (windows["ts"], windows["value"]) == ([END - 10, END - 5, END], [20.0, 21.0, 22.0])


def test_an_alert_is_acknowledged_from_the_apps_own_pages_only(site: httpx.Client) -> None:
    (alert,) = site.get("/api/alerts", params={"state": "open"}).json()["items"]
    path = f"/api/alerts/{alert['alert_id']}/acknowledge"
    body = json.dumps({"comment": "on my way"})
    own = str(site.base_url).rstrip("/")
    refused = {
        415: {"Content-Type": "text/plain", "Origin": own},
        403: JSON | {"Origin": "https://elsewhere.example"},
    }
    for status, headers in refused.items():
        answer = site.post(path, content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert site.get(f"/api/alerts/{alert['alert_id']}").json()["state"] == "open"
    for _ in range(2):
        done = site.post(path, content=body, headers=JSON | {"Origin": own}).json()
        assert (done["state"], done["acknowledged_by"]) == ("acknowledged", "local")
    assert [entry["comment"] for entry in done["history"]].count("on my way") == 1


@pytest.mark.parametrize(
    ("path", "status"), [("/api/nothing", 404), ("/api/sensors/9", 404), ("/api/jobs?limit=0", 400)]
)
def test_wrong_requests_are_answered_with_a_problem(site: httpx.Client, path: str, status: int) -> None:
    answer = site.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_another_host_name_gets_nothing(site: httpx.Client) -> None:
    assert site.get("/api/sensors", headers={"Host": "sensors.example"}).status_code == 400


def test_the_dashboard_is_at_the_root(site: httpx.Client) -> None:
    page = site.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.content == (ROOT / "web" / "index.html").read_bytes()


@pytest.mark.parametrize("path", ["/", "/api/sensors"])
def test_head_is_get_without_the_content(site: httpx.Client, path: str) -> None:
    whole, head = site.get(path), site.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length"):
        assert head.headers[name] == whole.headers[name]


def test_the_hosts_own_pages_are_still_there(site: httpx.Client) -> None:
    names = {function["name"] for function in site.get("/admin/functions").json()}
    assert names >= {"api", *NOT_ASKED}
