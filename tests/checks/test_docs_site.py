"""The pages that are rendered from the code leave nothing out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from sensorwatch.api.app import create_api
from sensorwatch.cli.app import app

ROOT = Path(__file__).parents[2]


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs/_hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_line_page_has_every_command() -> None:
    module = hook("command_line")
    text = module.on_page_markdown((ROOT / "docs/reference/command-line.md").read_text(encoding="utf-8"))
    commands: Any = typer.main.get_command(app)
    names = list(commands.commands)
    names += [f"{name} {part}" for name in names for part in getattr(commands.commands[name], "commands", {})]
    assert names
    assert [name for name in names if f"## `sensorwatch {name}`\n" not in text] == []


def test_the_api_page_has_every_operation_and_schema() -> None:
    module = hook("http_api")
    text = module.on_page_markdown((ROOT / "docs/reference/http-api.md").read_text(encoding="utf-8"))
    document = create_api(lambda: None).openapi()  # type: ignore[arg-type, return-value]
    operations = [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]
    schemas = list(document["components"]["schemas"])
    assert operations
    assert schemas
    assert [operation for operation in operations if f"#### {operation}\n" not in text] == []
    assert [schema for schema in schemas if f"### {schema} {{" not in text] == []
