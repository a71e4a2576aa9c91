"""Starting and stopping the stack, as a person at a terminal does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from conftest import StackFactory
from flow_steps import END, counts
from local_stack import ROOT, settings_file, wait_until

pytestmark = pytest.mark.flow


# As a shell starts a background job: with SIGINT ignored.
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")


@contextmanager
def up(folder: Path, *, before: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run ``make up``'s command; killed at the end if it still runs."""
    file = settings_file(folder)
    command = [*before, sys.executable, "-m", "local", "up", "--data", str(folder), "--settings", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("number", "before"), [(signal.SIGINT, ()), (signal.SIGINT, IN_BACKGROUND), (signal.SIGTERM, ())]
)
def test_every_process_stops_when_asked(tmp_path: Path, number: signal.Signals, before: Sequence[str]) -> None:
    with up(tmp_path, before=before) as process:
        assert "The stack is up" in next_line(process)
        started = children(process)
        assert len(started) >= 4
        process.send_signal(number)
        # The supervisor kills what has not stopped after four seconds; a busy machine takes longer to do so.
        assert process.wait(timeout=60) == 0
        assert psutil.wait_procs(started, timeout=0)[1] == []


def test_no_server_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with up(tmp_path) as process:
        assert "The stack is up" in next_line(process)
        started = children(process)
        process.kill()
        assert psutil.wait_procs(started, timeout=60)[1] == []


def test_a_server_that_ends_is_restarted_with_a_message(tmp_path: Path) -> None:
    with up(tmp_path) as process:
        assert "The stack is up" in next_line(process)
        broker = next(child for child in children(process) if "local.eventhubs" in child.cmdline())
        broker.kill()
        assert next_line(process).startswith("Next, in another terminal: ")
        assert next_line(process).startswith("event-hubs is being restarted: it ended with exit code -9")
        wait_until(
            lambda: any("local.eventhubs" in child.cmdline() for child in children(process)), "the broker to be back"
        )


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("AzureWebJobsStorage", "blob"),
        ("EventHub", "hubs"),
        ("BATCH_ACCOUNT_URL", "batch"),
        ("Host.LocalHttpPort", "http"),
    ],
)
def test_a_port_in_use_is_named_with_its_setting_and_nothing_is_started(tmp_path: Path, setting: str, key: str) -> None:
    from local.settings_file import read_local_settings

    file = settings_file(tmp_path)
    settings = read_local_settings(file)
    port = {
        "blob": settings.blob_port,
        "hubs": settings.event_hubs_port,
        "batch": settings.batch_port,
        "http": settings.http_port,
    }[key]
    command = [sys.executable, "-m", "local", "up", "--data", str(tmp_path), "--settings", str(file)]
    with socket.create_server(("127.0.0.1", port)):
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 3
    assert ended.stderr == (
        f"port {port} can't be used (Address already in use): stop the program that listens there, or change "
        f"{setting} in local.settings.json\n"
    )
    assert not (tmp_path / "logs").exists()


def test_every_command_of_the_command_line_answers_in_tables_and_in_json(make_stack: StackFactory) -> None:
    stack = make_stack()
    environment = {**os.environ, **stack.settings.values}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", "from sensorwatch.cli import main; main()", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    truth = stack.data / "truth.ndjson"
    simulated = ("simulate", "--devices", "1", "--tags", "2", "--readings-per-event", "20", "--minutes", "20")
    until = f"{END:%Y-%m-%dT%H:%M:%S}"
    sent = json.loads(run(*simulated, "--end", until, "--anomalies", "1", "--truth", str(truth), "--json"))
    assert (sent["sent"], sent["anomalies"], len(truth.read_text().splitlines())) == (2400, 5, 5)
    # It has waited, as the hub is on this machine.
    assert sent["ingested"] == counts(stack)._asdict()
    assert sent["ingested"] == {"received": 2400, "accepted": 2400, "late": 0, "duplicate": 0, "invalid": 0}
    assert sent["rejected"] == []
    assert "succeeded" in run("train", "--wait", "--json")
    # Within the same minute it is the same run; after that nothing is due.
    again = run("train")
    assert "nothing is due: the models are as new as the readings" in again or "was already submitted" in again
    assert "score" in run("score", "--wait")
    assert {sensor["state"] for sensor in json.loads(run("sensors", "--json"))} == {"ready"}
    for command in ("sensors", "jobs", "models", "anomalies", "alerts", "ingest-status", "doctor"):
        assert run(command)
        json.loads(run(command, "--json"))
    exported = stack.data / "windows.csv"
    assert "wrote 240 windows" in run("export", "press-1", "temperature", str(exported))
    assert exported.read_text().startswith("TS,Device,Tag,Value,Readings,Score,Severity,ExpectedLow,ExpectedHigh,")
    run_id = json.loads(run("jobs", "--json"))[-1]["run_id"]
    assert json.loads(run("jobs", run_id, "--json"))[0]["state"] == "succeeded"
