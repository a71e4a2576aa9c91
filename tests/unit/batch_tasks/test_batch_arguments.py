from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from batch_tasks.arguments import parse_data, parse_task, run_task
from batch_tasks.maintenance import main as maintenance
from sensorwatch.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = ["--run", "score-20261120T100000Z", "--shard", "12", "--end", "2026-11-20T10:00:00+00:00"]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in (None, "azure")}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_a_command_line_describes_a_task() -> None:
    task = parse_task("score", "", [*LINE, "--start", "2026-11-20T10:55:00+01:00"])
    assert (task.run_id, task.task_id, task.kind, task.shard) == (
        "score-20261120T100000Z",
        "score-000012",
        "score",
        12,
    )
    assert task.start is not None
    assert task.start.isoformat() == "2026-11-20T09:55:00+00:00"
    assert task.end.isoformat() == "2026-11-20T10:00:00+00:00"


def test_the_start_may_be_left_out() -> None:
    assert parse_task("train", "", LINE).start is None


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--shard", "x", "expected an integer of at least 0, got `x`"),
        ("--shard", "-1", "expected an integer of at least 0, got `-1`"),
        ("--end", "noon", "expected a time like 2026-11-20T10:00:00Z, got `noon`"),
        ("--end", "2026-11-20T10:00:00", "expected a time like"),
        ("--start", "2026-11-20T11:00:00Z", "is after --end"),
    ],
)
def test_a_wrong_argument_is_named(option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_task("score", "", [*LINE, f"{option}={value}"])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_step_that_is_done_prints_its_summary_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_task(lambda: "shard 12: done") == 0
    assert capsys.readouterr().out == "shard 12: done\n"


def test_a_known_error_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    def step() -> None:
        raise TransientError("the database is away")

    assert run_task(step) == 1
    assert capsys.readouterr().err == "TransientError: the database is away\n"


def test_an_unexpected_error_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_task(lambda: 1 / 0) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["train", "score"])
def test_a_task_without_settings_says_which_are_missing(kind: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", f"batch_tasks.{kind}", *LINE],
        env={name: os.environ[name] for name in ("PATH",) if name in os.environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "SettingsError: DATABASE_URL: missing" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_task_keeps_numerical_libraries_to_one_thread() -> None:
    code = "import os, batch_tasks; print(os.environ['OMP_NUM_THREADS'], os.environ['OPENBLAS_NUM_THREADS'])"
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "3"}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout == "3 1\n"


def test_a_command_line_names_a_data_file() -> None:
    assert parse_data(["--data=readings/hour.csv", "--run", "r", "--shard", "12"]) == ("readings/hour.csv", "r", 12)
    assert parse_data(["--data", "hour.csv"]) == ("hour.csv", None, None)
    assert parse_data(LINE) is None
    with pytest.raises(SystemExit):
        parse_data(["--data", "hour.csv", "--end", "2026-11-20T10:00:00Z"])


def test_a_maintenance_task_needs_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    for given, got in (([], "nothing"), (["learn", *LINE], "learn")):
        assert maintenance(given) == 2
        assert capsys.readouterr().err == f"expected train or score as the first argument, got `{got}`\n"
