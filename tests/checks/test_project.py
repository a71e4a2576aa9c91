"""The project itself: one version, checks that mean the same everywhere, and tests on every supported Python."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import yaml
from typer.testing import CliRunner

from sensorwatch import __version__
from sensorwatch.cli.app import app

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_command_line_shows_the_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert CliRunner().invoke(app, ["--version"]).output == f"{__version__}\n"
    checks = json.loads(CliRunner().invoke(app, ["doctor", "--json"], env={"DATABASE_URL": "wrong"}).stdout)
    assert (checks[0]["name"], checks[0]["detail"]) == ("sensorwatch", __version__)
    assert [check["name"] for check in checks if not check["well"]] == ["settings"]


def test_the_hooks_run_what_make_check_runs() -> None:
    rule = text_of("Makefile").split("\ncheck: dev", 1)[1].split("\n\n", 1)[0]
    commands = [line.strip() for line in rule.splitlines()[1:]]
    (repository,) = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    assert len(commands) >= 4
    assert [hook["entry"] for hook in repository["hooks"]] == [
        command.replace("$(BIN)", ".venv/bin") for command in commands
    ]


def test_every_supported_python_is_tested_declared_and_let_through() -> None:
    workflow = yaml.safe_load(text_of(".github/workflows/test.yml"))
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    start = "Programming Language :: Python :: "
    declared = [each.removeprefix(start) for each in PROJECT["classifiers"] if each.startswith(f"{start}3.")]
    minors = [int(version.partition(".")[2]) for version in tested]
    assert tested == declared
    assert PROJECT["requires-python"] == f">=3.{min(minors)},<3.{max(minors) + 1}"
    assert f"(3, {min(minors)}) <= sys.version_info[:2] <= (3, {max(minors)})" in text_of("Makefile")
    assert f"(3, {min(minors)}) <= sys.version_info[:2] <= (3, {max(minors)})" in text_of("sensorwatch/cli/doctor.py")


def test_the_dev_container_has_a_supported_python_and_makes_what_exists() -> None:
    container = json.loads(text_of(".devcontainer/devcontainer.json"))
    version = re.search(r"python:(3\.\d+)-", container["image"])
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["classifiers"]
    targets = container["postCreateCommand"].split()[1:]
    assert targets
    assert [target for target in targets if f"\n{target}: " not in text_of("Makefile")] == []


def test_the_security_page_supports_the_version_that_is_released() -> None:
    major_minor = __version__.rpartition(".")[0]
    assert f"| {major_minor}.x | yes |" in text_of("SECURITY.md")
