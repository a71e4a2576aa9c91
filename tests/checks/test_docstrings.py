"""Docstrings of the project: plain openings, and sections that name every argument."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("sensorwatch", "functions", "batch_tasks", "local", "bench")
RELATIVE = re.compile(r"(What|How|Whether|Which|Who|Where|When|That|Of which|Those|Why)\b")
SECTION = re.compile(r"Parameters\n-+\n(.*?)(?:\n\n\w+\n-+\n|\Z)", re.DOTALL)

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def documented() -> list[tuple[str, Documented, str]]:
    """Return every node with a docstring: its place, itself, and its docstring."""
    return [
        (f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", node, text)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "node_modules" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Documented) and (text := ast.get_docstring(node))
    ]


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    return (each for each in documented() if isinstance(each[1], ast.FunctionDef | ast.AsyncFunctionDef))  # type: ignore[misc]


def arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return {argument.arg for argument in every} - {"self", "cls"}


def test_no_docstring_begins_with_a_relative_clause() -> None:
    assert len(documented()) > 2000
    assert [place for place, _, text in documented() if RELATIVE.match(text)] == []


def test_sections_of_parameters_leave_no_argument_out() -> None:
    incomplete, sections = [], 0
    for place, node, text in functions():
        if match := SECTION.search(text):
            sections += 1
            heads = [line.partition(":")[0] for line in match[1].splitlines() if line and not line.startswith(" ")]
            named = {name.strip().strip("*") for head in heads for name in head.split(",")}
            if missing := arguments(node) - named:
                incomplete.append((place, sorted(missing)))
    assert sections > 300
    assert incomplete == []
