"""The pages hold what the code says: settings, requirements, targets, commands, links and paths."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from sensorwatch.cli.app import app
from sensorwatch.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
REQUIREMENTS = [
    "requirements.txt",
    "requirements-local.txt",
    "requirements-onnx.txt",
    "requirements-otlp.txt",
    "requirements-dev.txt",
    "requirements-bench.txt",
    "requirements-infra.txt",
]
# Variables that are no settings: of command line, tests, Functions host, App Service and drivers.
OTHER_VARIABLES = {
    "FUNCTIONS_WORKER_RUNTIME",
    "SENSORWATCH_SETTINGS",
    "SENSORWATCH_TEST_MSSQL",
    "TYPE_CHECKING",
    "WEBSITE_AUTH_ENABLED",
}
# Those of a deployment: what azd and the workflow know is written there and nowhere else.
DEPLOYMENT = [ROOT / "infra/main.parameters.json", *sorted((ROOT / ".github/workflows").glob("*.yml"))]
MADE_LATER = ("local.settings.json", ".venv/", ".local/", ".azurite/", "local/azurite/node_modules", "web/node_modules")
# What would tie a page to one machine.
UNWANTED = ("/work/", "/root/", "/home/", "/Users/", "C:\\")

_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?:^|/bin/|\$ )sensorwatch((?: +[^\s|;&#]+)*)")
_MAKE = re.compile(r"(?:^|\$ )make((?: +[A-Za-z_]+=\S+)*(?: +[a-z-]+)*)")


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = ROOT / request.param
    return path


def code_in(page: Path) -> Iterator[str]:
    """Yield every inline piece of code and every line of a block, with spaces at the ends removed."""
    text = page.read_text(encoding="utf-8")
    for block in _FENCE.findall(text):
        yield from (line.strip() for line in block.splitlines())
    yield from (code.strip() for code in _INLINE.findall(_FENCE.sub("", text)))


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of the rows whose first cell is one piece of code."""
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]
    return [row for row in rows if re.fullmatch("`[^`]+`", row[0])]


# ---- settings --------------------------------------------------------------------------------------------------------


def shown(default: object) -> str:
    if isinstance(default, datetime):
        return f"`{default.isoformat().replace('+00:00', 'Z')}`"
    if isinstance(default, bool):
        return f"`{default}`".lower()
    return "none" if default is None else f"`{default}`"


def test_the_settings_page_has_every_setting_with_its_default_and_meaning_in_order() -> None:
    expected = [
        [f"`{field.alias}`", "required" if field.is_required() else shown(field.default), field.description]
        for field in Settings.model_fields.values()
    ]
    assert table_rows((ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")) == expected


def test_the_settings_page_names_what_the_host_fills_in() -> None:
    bound = {name for file in (ROOT / "functions").glob("*.py") for name in re.findall("%([A-Z_]+)%", file.read_text())}
    text = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    (paragraph,) = (part for part in text.split("\n\n") if "knows no defaults" in part)
    assert set(re.findall("`([A-Z_]+)`", paragraph)) == bound


def test_pages_name_settings_that_exist(page: Path) -> None:
    known = {field.alias for field in Settings.model_fields.values()} | OTHER_VARIABLES
    known |= {name for file in DEPLOYMENT for name in re.findall("[A-Z][A-Z0-9_]+", file.read_text(encoding="utf-8"))}
    named = {code for code in code_in(page) if re.fullmatch("[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", code)}
    assert sorted(named - known) == []


# ---- ingestion -------------------------------------------------------------------------------------------------------


def test_the_ingestion_page_explains_every_reason_for_a_rejection_and_no_other() -> None:
    product = [*(ROOT / "sensorwatch").glob("*.py"), *(ROOT / "sensorwatch/steps").glob("*.py")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in product)
    reasons = set(re.findall(r'Rejected(?:Error)?\(\s*"([a-z0-9-]+)"', sources))
    sections = (ROOT / "docs/concepts/ingestion.md").read_text(encoding="utf-8").split("\n## ")
    (section,) = (section for section in sections if section.startswith("Readings that can't be used\n"))
    assert sorted(row[0].strip("`") for row in table_rows(section)) == sorted(reasons)


# ---- requirements ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_every_requirement_is_explained_and_no_explanation_is_stale(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    required = [match[0] for line in lines if (match := re.match(r"[A-Za-z0-9][\w.-]*", line))]
    sections = (ROOT / "docs/design/dependencies.md").read_text(encoding="utf-8").split("\n## ")
    (section,) = (section for section in sections if section.startswith(f"{file}\n"))
    rows = table_rows(section)
    assert [name.strip("`") for name, _ in rows] == required
    assert all(len(reason) > len("Types of .") for _, reason in rows)


def test_the_worker_library_is_explained() -> None:
    (pinned,) = re.findall(r"^FUNCTIONS_RUNTIME := ([\w-]+)==", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"| `{pinned}` |" in (ROOT / "docs/design/dependencies.md").read_text(encoding="utf-8")


# ---- what a person types ---------------------------------------------------------------------------------------------


@cache
def commands() -> Any:
    return typer.main.get_command(app)


def options_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall("^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = [word for code in code_in(page) for words in _MAKE.findall(code) for word in words.split()]
    named = {word for word in typed if "=" not in word}
    assert sorted(named - targets) == []


def test_commands_and_their_options_exist(page: Path) -> None:
    for code in code_in(page):
        for words in _COMMAND.findall(code):
            check_command([word.strip("[]") for word in words.split()], code)


def check_command(words: list[str], code: str) -> None:
    root = commands()
    names = [word for word in words if word in root.commands]
    plain = [word for word in words if re.fullmatch("[a-z][a-z-]*", word)]
    assert names or not plain, f"`{code}` names no command; there are {sorted(root.commands)}"
    known = options_of(root) | {"--help", "-h"}
    for command in [root.commands[name] for name in names[:1]]:
        parts = getattr(command, "commands", {})
        chosen = [parts[word] for word in words if word in parts] or list(parts.values())
        known |= {option for part in [command, *chosen] for option in options_of(part)}
    unknown = [word for word in words if re.match("--?[a-z]", word) and word.partition("=")[0] not in known]
    assert not unknown, f"`{code}`: no such option: {unknown}"


def test_every_command_has_a_help_text() -> None:
    assert [name for name, command in commands().commands.items() if not command.help] == []


def test_modules_that_are_run_exist(page: Path) -> None:
    ours = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    named = {name for code in code_in(page) for name in re.findall(r"python3? -m ([\w.]+)", code)}
    missing = [name for name in named if name.partition(".")[0] in ours and importlib.util.find_spec(name) is None]
    assert missing == []


# ---- links and paths -------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if re.match("[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(linked), f"{target}: no such heading"


@cache
def file_names() -> frozenset[str]:
    tops = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return frozenset(path.name for top in tops for path in top.rglob("*.py") if "node_modules" not in path.parts)


def test_paths_exist(page: Path) -> None:
    tops = {path.name for path in ROOT.iterdir() if path.is_dir()}
    paths = {code.partition(":")[0] for code in code_in(page) if re.fullmatch(r"[\w.][\w./-]*(:\d+)?", code)}
    missing = []
    for path in paths:
        if path.startswith(MADE_LATER):
            continue
        in_tree = "/" in path and path.partition("/")[0] in tops
        file = path.endswith((".py", ".toml", ".md", ".template")) or path.startswith("requirements")
        if (in_tree or file) and not (ROOT / path).exists() and path not in file_names():
            missing.append(path)
    assert missing == []


def test_pages_know_no_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [text_ for text_ in UNWANTED if text_ in text] == []
