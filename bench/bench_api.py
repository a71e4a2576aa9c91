"""Benchmark of the API on the local Functions host, with a large fleet.

``python -m bench.bench_api`` creates 100,000 sensors, a million anomalies and 50,000 alerts. It requests first and deep
pages, with and without filters, a hundred times each after one warm-up request. Milliseconds are the time that the
client waits; CPU is the CPU time of the host's process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.api_data import SHARD_SIZE, seed
from bench.fleet import azurite_connection, free_ports
from local.settings_file import write_settings_file
from local.stack import Stack

ROOT = Path(__file__).parents[1]
TARGET_P95_MS = 100.0
DEEP_PAGES = 40

LISTS: dict[str, str] = {
    "sensors": "/api/sensors",
    "sensors, state=stale": "/api/sensors?state=stale",
    "sensors, device": "/api/sensors?device=device-77",
    "sensors, tag": "/api/sensors?tag=tag-3",
    "sensors, search": "/api/sensors?search=device-99",
    "sensors, search finds nothing": "/api/sensors?search=zzz",
    "anomalies": "/api/anomalies",
    "anomalies, severity=critical": "/api/anomalies?severity=critical",
    "anomalies, sensor": "/api/anomalies?sensor_id=77",
    "anomalies, device": "/api/anomalies?device=device-77",
    "anomalies, tag": "/api/anomalies?tag=tag-3",
    "anomalies, no such device": "/api/anomalies?device=none",
    "anomalies, suppressed": "/api/anomalies?suppressed=true",
    "anomalies, not suppressed": "/api/anomalies?suppressed=false",
    "anomalies, range": "/api/anomalies?from=2026-11-10T00:00:00Z&to=2026-11-11T00:00:00Z",
    "alerts": "/api/alerts",
    "alerts, state=open": "/api/alerts?state=open",
    "alerts, state=acknowledged": "/api/alerts?state=acknowledged",
    "alerts, severity=critical": "/api/alerts?severity=critical",
    "alerts, kind=flatline": "/api/alerts?kind=flatline",
    "alerts, device": "/api/alerts?device=device-77",
    "alerts, tag": "/api/alerts?tag=tag-3",
    "incidents": "/api/incidents",
    "jobs": "/api/jobs",
    "jobs, kind=train": "/api/jobs?kind=train",
    "fleet-map": "/api/fleet-map",
}
SINGLE: dict[str, str] = {
    "overview": "/api/overview",
    "health": "/api/health",
    "one sensor": "/api/sensors/77",
    "windows, a day": "/api/sensors/0/windows?from=2026-11-19T10:15:00Z&to=2026-11-20T10:15:00Z",
}
WHOLE_HISTORY = "windows, all of them"


@dataclass(frozen=True, slots=True)
class Figures:
    """Percentiles of a request's duration, as seen by the client, and of the host's CPU time."""

    name: str
    page: str
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_p50_ms: float
    cpu_p95_ms: float


class Host:
    """A local stack with a prepared database, and a client of its Functions host."""

    def __init__(self, folder: Path) -> None:
        self._stack = Stack(ROOT, _settings(folder), folder, report=lambda _: None)

    def __enter__(self) -> Host:
        self._stack.start()
        self._client = httpx.Client(base_url=self._stack.host_url, timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._stack.stop()

    def measure(self, name: str, page: str, url: str, times: int) -> Figures:
        """Measure a request.

        Parameters
        ----------
        name, page
            Name of the request and of the page, for the table.
        url
            URL of the request, relative to the host.
        times
            Number of measured requests, after one warm-up request.
        """
        self._client.get(url).raise_for_status()
        waits, cpu = [], []
        for _ in range(times):
            before, began = self._cpu_seconds(), time.perf_counter()
            self._client.get(url).raise_for_status()
            waits.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (self._cpu_seconds() - before))
        waited, worked = (statistics.quantiles(each, n=100, method="inclusive") for each in (waits, cpu))
        return Figures(name, page, waited[49], waited[94], waited[98], worked[49], worked[94])

    def deep(self, url: str) -> str:
        """Return the URL of a later page of a list; the last page if there are few."""
        address = httpx.URL(url)
        for _ in range(DEEP_PAGES):
            after = self._client.get(address).json()["next"]
            if after is None:
                break
            address = address.copy_merge_params({"after": after})
        return str(address)

    def _cpu_seconds(self) -> float:
        pid = self._stack.servers["functions-host"].pid
        threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
        return sum(int(file.read_text().split()[0]) for file in threads) / 1e9


def _settings(folder: Path) -> Path:
    blob, hubs, batch, http = free_ports(4)
    template = ROOT / "local.settings.json.template"
    never = "0 0 0 1 1 *"
    values = {
        "DATABASE_URL": f"sqlite:///{(folder / 'sensorwatch.db').resolve()}",
        "AzureWebJobsStorage": azurite_connection(blob),
        "EventHub": json.loads(template.read_text())["Values"]["EventHub"].replace(":5673", f":{hubs}"),
        "BATCH_ACCOUNT_URL": f"http://127.0.0.1:{batch}",
        "SHARD_SIZE": str(SHARD_SIZE),
        "TRAIN_SCHEDULE": never,
        "SCORE_SCHEDULE": never,
        "SWEEP_SCHEDULE": never,
        "HOUSEKEEPING_SCHEDULE": never,
    }
    file = folder / "local.settings.json"
    write_settings_file(file, template, values=values, http_port=http)
    return file


def figures(host: Host, times: int, only: str) -> Iterator[Figures]:
    """Yield the figures of each list's first and deep pages, and of the other requests of the dashboard.

    Parameters
    ----------
    host
        The running stack.
    times
        Number of requests of each kind.
    only
        Text that the names of the requests must contain.
    """
    for name, url in LISTS.items():
        if only in name:
            yield host.measure(name, "first", url, times)
            yield host.measure(name, "deep", host.deep(url), times)
    for name, url in SINGLE.items():
        if only in name:
            yield host.measure(name, "", url, times)
    if only in WHOLE_HISTORY:
        yield host.measure(WHOLE_HISTORY, "", "/api/sensors/0/windows", 5)


def main() -> int:
    """Run the benchmark and write its figures; return 1 if the 95th percentile of a list exceeds the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=100_000)
    parser.add_argument("--anomalies", type=int, default=1_000_000)
    parser.add_argument("--alerts", type=int, default=50_000)
    parser.add_argument("--windows", type=int, default=1_000_000, help="windows of the first sensor")
    parser.add_argument("--times", type=int, default=100, help="requests of each kind")
    parser.add_argument("--only", default="", help="run only requests whose name contains this text")
    parser.add_argument(
        "--data", type=Path, default=ROOT / ".local" / "bench-api", help="folder of the data; deleted before and after"
    )
    parser.add_argument("--json", type=Path, default=ROOT / ".local" / "bench-api.json")
    options = parser.parse_args()
    console = Console(width=120)
    shutil.rmtree(options.data, ignore_errors=True)
    options.data.mkdir(parents=True)
    seed(
        options.data / "sensorwatch.db",
        sensors=options.sensors,
        anomalies=options.anomalies,
        alerts=options.alerts,
        windows=options.windows,
    )
    title = f"{options.sensors:,} sensors, {options.times} requests of each kind"
    table = Table("request", "page", "p50 ms", "p95 ms", "p99 ms", "CPU p50", "CPU p95", title=title)
    found = []
    load = [os.getloadavg()[0]]
    with Host(options.data) as host:
        for each in figures(host, options.times, options.only):
            found.append(each)
            numbers = (each.p50_ms, each.p95_ms, each.p99_ms, each.cpu_p50_ms, each.cpu_p95_ms)
            table.add_row(each.name, each.page, *(f"{number:.1f}" for number in numbers))
            load.append(os.getloadavg()[0])
    shutil.rmtree(options.data)
    options.json.write_text(json.dumps([asdict(each) for each in found], indent=2) + "\n")
    console.print(table)
    console.print(f"Load average, {os.cpu_count()} cores, with this benchmark: {min(load):.1f} to {max(load):.1f}")
    slow = [each for each in found if each.name in LISTS and each.p95_ms > TARGET_P95_MS]
    for each in slow:
        console.print(f"[red]Over {TARGET_P95_MS:.0f} ms:[/red] {each.name}, {each.page} page: {each.p95_ms:.0f}")
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
