"""Benchmark of a fleet on the local Batch service: ``python -m bench.fleet [--sensors 1000 10000 100000]``.

For each size there is a SQLite store with an hour of 5-second windows per sensor (720) for training and a minute (12)
for scoring, Azurite and the Batch service. The product plans and submits the runs, and its tasks run as processes, one
per shard of 1,000 sensors. CPU and peak memory are taken from the tasks' logs. Wall time is the time from submission to
the end of the last task.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.fleet_data import WINDOW_SECONDS, add_windows
from local.settings_file import write_settings_file
from local.stack import Stack
from sensorwatch.app import Product
from sensorwatch.errors import SensorwatchError
from sensorwatch.store import open_store

if TYPE_CHECKING:
    from sensorwatch.tasks.records import Kind

ROOT = Path(__file__).parents[1]
SHARD_SIZE = 1_000
TRAINING_WINDOWS = 720
SCORED_WINDOWS = 12
MOST_MEMORY_MIB = 1.5 * 1024
POLL_SECONDS = 0.2
COST = re.compile(r"cpu ([\d.]+) s, peak memory (\d+) MiB")


@dataclass(frozen=True)
class Stage:
    """Figures of a run; CPU per sensor in microseconds."""

    sensors: int
    kind: str
    tasks: int
    wall_seconds: float
    cpu_seconds: float
    cpu_per_sensor: float
    cpu_a_task: float
    most_memory_mib: float
    written_bytes: int


class Fleet:
    """A fleet of one size in its own folder.

    Parameters
    ----------
    folder
        Folder of the data; deleted first.
    sensors
        Number of sensors.
    detector
        Detector of all sensors.
    console
        Output.
    """

    def __init__(self, folder: Path, sensors: int, detector: str, console: Console) -> None:
        self._folder = folder
        self._sensors = sensors
        self._detector = detector
        self._console = console
        shutil.rmtree(folder, ignore_errors=True)
        self._database = folder / "sensorwatch.db"
        self._trained_until = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
        self._stack = Stack(ROOT, self._write_settings(), folder, report=console.print)

    def run(self) -> list[Stage]:
        """Create the windows, train and score; return the figures of both runs."""
        self._fill()
        scored_until = self._trained_until + timedelta(seconds=SCORED_WINDOWS * WINDOW_SECONDS)
        try:
            for server in ("azurite", "batch"):
                self._stack.start_server(server)
            self._stack.product.prepare(pool=True)
            trained = self._stage("train", self._trained_until, "models_container")
            scored = self._stage("score", scored_until, "predictions_container")
        finally:
            self._stack.stop()
        return [trained, scored]

    def _fill(self) -> None:
        store = open_store(f"sqlite:///{self._database}", shard_size=SHARD_SIZE)
        begun = time.perf_counter()
        rows = add_windows(
            store,
            self._database,
            sensors=self._sensors,
            shard_size=SHARD_SIZE,
            last=self._trained_until + timedelta(seconds=SCORED_WINDOWS * WINDOW_SECONDS),
            windows=TRAINING_WINDOWS + SCORED_WINDOWS,
        )
        store.dispose()
        self._console.print(
            f"{self._sensors:,} sensors: {rows:,} windows in {self._database.stat().st_size / 1e9:.2f} GB, "
            f"written in {time.perf_counter() - begun:.0f} s"
        )

    def _stage(self, kind: Kind, until: datetime, container: str) -> Stage:
        settings = self._stack.product.settings
        settled = until + timedelta(seconds=settings.settle_seconds + 1)
        # The clock is the time at which the windows have just settled, as for the timer.
        product = Product(settings, clock=lambda: settled)
        begun = time.perf_counter()
        submission = product.submit_due(kind)
        if submission.run_id is None:
            raise SensorwatchError(f"{kind}: nothing was due")
        while not (status := product.pool.status(submission.run_id)).completed:
            time.sleep(POLL_SECONDS)
        wall = time.perf_counter() - begun
        failed = [result for result in status.results if not result.succeeded]
        if failed:
            raise SensorwatchError(f"{failed[0].task_id} of {submission.run_id} failed: {failed[0].detail}")
        costs = np.array([self._cost(submission.run_id, result.task_id) for result in status.results])
        product.store.record_results(submission.run_id, status.results)
        product.store.end_run(submission.run_id, settled)
        blobs = product.blobs.get_container_client(getattr(settings, container)).list_blobs()
        cpu, memory = costs[:, 0], costs[:, 1]
        stage = Stage(
            self._sensors,
            kind,
            len(costs),
            round(wall, 1),
            round(float(cpu.sum()), 1),
            round(float(cpu.sum()) / self._sensors * 1e6, 1),
            round(float(np.median(cpu)), 2),
            float(memory.max()),
            sum(blob.size for blob in blobs),
        )
        product.store.dispose()
        self._console.print(f"{kind}: {stage}", soft_wrap=True)
        return stage

    def _cost(self, run_id: str, task_id: str) -> tuple[float, float]:
        # Logs are read from blob storage, as those on a node are deleted with it.
        logs = self._stack.product.blobs.get_container_client(self._stack.product.settings.task_logs_container)
        log = logs.download_blob(f"{run_id}/{task_id}/stderr.txt").readall().decode()
        found = COST.search(log)
        if found is None:
            raise SensorwatchError(f"{task_id} of {run_id}: its log has no line with its costs: {log[-500:]}")
        return float(found[1]), float(found[2])

    def _write_settings(self) -> Path:
        file = self._folder / "local.settings.json"
        blob, hubs, batch, http = free_ports(4)
        template = json.loads((ROOT / "local.settings.json.template").read_text())["Values"]
        values = {
            "DATABASE_URL": f"sqlite:///{self._database.resolve()}",
            "AzureWebJobsStorage": azurite_connection(blob),
            "EventHub": template["EventHub"].replace(":5673", f":{hubs}"),
            "BATCH_ACCOUNT_URL": f"http://127.0.0.1:{batch}",
            "SHARD_SIZE": str(SHARD_SIZE),
            "DETECTOR": self._detector,
            "SERVING_CONSUMER_GROUP": "",
        }
        write_settings_file(file, ROOT / "local.settings.json.template", values=values, http_port=http)
        return file


def free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def azurite_connection(port: int) -> str:
    # Azurite's documented account, with the same key in every installation.
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    return (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};"
        f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )


def table_of(stages: list[Stage]) -> Table:
    """Return the figures as a table."""
    table = Table(
        "sensors", "stage", "tasks", "wall s", "CPU s", "CPU µs/sensor", "CPU s/task", "peak MiB", "MB written"
    )
    for stage in stages:
        table.add_row(
            f"{stage.sensors:,}",
            stage.kind,
            str(stage.tasks),
            f"{stage.wall_seconds:.1f}",
            f"{stage.cpu_seconds:.1f}",
            f"{stage.cpu_per_sensor:,.0f}",
            f"{stage.cpu_a_task:.2f}",
            f"{stage.most_memory_mib:.0f}",
            f"{stage.written_bytes / 1e6:.1f}",
        )
    return table


def problems(stages: list[Stage]) -> list[str]:
    """Return the problems: too much memory, and CPU per sensor that grows with the fleet."""
    found = [
        f"{stage.sensors:,} sensors, {stage.kind}: a task took {stage.most_memory_mib:.0f} MiB"
        for stage in stages
        if stage.most_memory_mib > MOST_MEMORY_MIB
    ]
    for kind in ("train", "score"):
        costs = [stage.cpu_per_sensor for stage in stages if stage.kind == kind]
        middle = (max(costs) + min(costs)) / 2
        if max(costs) > 1.2 * middle:
            found.append(f"{kind}: CPU per sensor from {min(costs):.0f} to {max(costs):.0f} µs, expected ±20 %")
    return found


def main() -> int:
    """Run the benchmark and write its figures; return 1 if there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--detector", default="ocsvm", help="detector of all sensors (default: ocsvm)")
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT / ".local" / "bench-fleet",
        help="folder of the data; deleted before and after",
    )
    parser.add_argument("--json", type=Path, default=ROOT / ".local" / "bench-fleet.json")
    options = parser.parse_args()
    console = Console(width=120)
    stages: list[Stage] = []
    for sensors in options.sensors:
        folder = options.data / str(sensors)
        stages += Fleet(folder, sensors, options.detector, console).run()
        shutil.rmtree(folder)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(stage) for stage in stages], indent=2) + "\n")
    console.print(table_of(stages))
    found = problems(stages)
    for problem in found:
        console.print(Text.assemble(("Problem:", "red"), f" {problem}"))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
