"""The pages hold what the code says: settings, requirements, targets, commands, links and paths."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import typer
import yaml

from sensorwatch.cli.app import app
from sensorwatch.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
REQUIREMENTS = [
    "requirements.txt",
    "requirements-local.txt",
    "requirements-onnx.txt",
    "requirements-otlp.txt",
    "requirements-dev.txt",
    "requirements-docs.txt",
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
MADE_LATER = (
    "local.settings.json",
    "stream.py",
    ".venv/",
    "build/",
    ".local/",
    ".azurite/",
    "local/azurite/node_modules",
    "web/node_modules",
)
# What would tie a page to one machine.
UNWANTED = ("/work/", "/root/", "/home/", "/Users/", "C:\\")

_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"[\w.][\w./-]*(:\d+)?")
_COMMAND = re.compile(r"(?:^|/bin/|\$ )sensorwatch((?: +[^\s|;&#]+)*)")
_MAKE = re.compile(r"(?:^|\$ )make((?: +[A-Za-z_]+=\S+)*(?: +[a-z-]+)*)")


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_in(page: Path) -> Iterator[str]:
    """Yield every inline piece of code and every line of a block, with spaces at the ends removed."""
    for block in _FENCE.findall(text_of(page)):
        yield from (line.strip() for line in block.splitlines())
    yield from (code.strip() for code in _INLINE.findall(_FENCE.sub("", text_of(page))))


def code_on_pages() -> list[tuple[str, str]]:
    """List (page's name, piece of code) over all pages."""
    return [(page.relative_to(ROOT).as_posix(), code) for page in PAGES for code in code_in(page)]


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
    assert table_rows(text_of(ROOT / "docs/reference/settings.md")) == expected


def test_the_settings_page_names_what_the_host_fills_in() -> None:
    bound = {name for file in (ROOT / "functions").glob("*.py") for name in re.findall("%([A-Z_]+)%", file.read_text())}
    text = text_of(ROOT / "docs/reference/settings.md")
    (paragraph,) = (part for part in text.split("\n\n") if "knows no defaults" in part)
    assert set(re.findall("`([A-Z_]+)`", paragraph)) == bound


def test_pages_name_settings_that_exist() -> None:
    known = {field.alias for field in Settings.model_fields.values()} | OTHER_VARIABLES
    known |= {name for file in DEPLOYMENT for name in re.findall("[A-Z][A-Z0-9_]+", file.read_text(encoding="utf-8"))}
    named = [found for found in code_on_pages() if re.fullmatch("[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", found[1])]
    assert named
    assert [(page, name) for page, name in named if name not in known] == []


# ---- ingestion -------------------------------------------------------------------------------------------------------


def test_the_ingestion_page_explains_every_reason_for_a_rejection_and_no_other() -> None:
    product = (ROOT / "sensorwatch").rglob("*.py")
    sources = "\n".join(path.read_text(encoding="utf-8") for path in product)
    reasons = set(re.findall(r'Rejected(?:Error)?\(\s*"([a-z0-9-]+)"', sources))
    sections = text_of(ROOT / "docs/concepts/ingestion.md").split("\n## ")
    (section,) = (section for section in sections if section.startswith("Readings that can't be used\n"))
    assert sorted(row[0].strip("`") for row in table_rows(section)) == sorted(reasons)


# ---- requirements ----------------------------------------------------------------------------------------------------


def test_every_requirement_is_explained_and_no_explanation_is_stale() -> None:
    sections = text_of(ROOT / "docs/design/dependencies.md").split("\n## ")
    for file in REQUIREMENTS:
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        required = [match[0] for line in lines if (match := re.match(r"[A-Za-z0-9][\w.-]*", line))]
        (section,) = (section for section in sections if section.startswith(f"{file}\n"))
        rows = table_rows(section)
        assert required, file
        assert [name.strip("`") for name, _ in rows] == required, file
        assert [name for name, reason in rows if len(reason) <= len("Types of .")] == [], file


def test_every_requirements_file_is_explained() -> None:
    assert sorted(path.name for path in ROOT.glob("requirements*.txt")) == sorted(REQUIREMENTS)


def test_the_worker_library_is_explained() -> None:
    (pinned,) = re.findall(r"^FUNCTIONS_RUNTIME := ([\w-]+)==", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"| `{pinned}` |" in text_of(ROOT / "docs/design/dependencies.md")


# ---- what a person types ---------------------------------------------------------------------------------------------


@cache
def commands() -> Any:
    return typer.main.get_command(app)


def options_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_make_targets_exist() -> None:
    targets = set(re.findall("^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = [
        (page, word)
        for page, code in code_on_pages()
        for words in _MAKE.findall(code)
        for word in words.split()
        if "=" not in word
    ]
    assert typed
    assert [(page, word) for page, word in typed if word not in targets] == []


def test_commands_and_their_options_exist() -> None:
    typed = [
        (page, code, [word.strip("[]") for word in words.split()])
        for page, code in code_on_pages()
        for words in _COMMAND.findall(code)
    ]
    assert typed
    wrong = [(page, code, offence) for page, code, words in typed if (offence := offence_of(words))]
    assert wrong == []


def offence_of(words: list[str]) -> str | None:
    """Say what is wrong with the words after ``sensorwatch``; None if nothing is."""
    root = commands()
    names = [word for word in words if word in root.commands]
    if not names and any(re.fullmatch("[a-z][a-z-]*", word) for word in words):
        return f"names no command; there are {sorted(root.commands)}"
    known = options_of(root) | {"--help", "-h"}
    for command in [root.commands[name] for name in names[:1]]:
        parts = getattr(command, "commands", {})
        chosen = [parts[word] for word in words if word in parts] or list(parts.values())
        known |= {option for part in [command, *chosen] for option in options_of(part)}
    unknown = [word for word in words if re.match("--?[a-z]", word) and word.partition("=")[0] not in known]
    return f"no such option: {unknown}" if unknown else None


def test_every_command_has_a_help_text() -> None:
    assert commands().commands
    assert [name for name, command in commands().commands.items() if not command.help] == []


def test_modules_that_are_run_exist() -> None:
    ours = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    named = [
        (page, name)
        for page, code in code_on_pages()
        for name in re.findall(r"python3? -m ([\w.]+)", code)
        if name.partition(".")[0] in ours
    ]
    assert named
    assert [(page, name) for page, name in named if importlib.util.find_spec(name) is None] == []


# ---- links and paths -------------------------------------------------------------------------------------------------


@cache
def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    links = [
        (page, target)
        for page in PAGES
        for target in _LINK.findall(_FENCE.sub("", text_of(page)))
        if not re.match("[a-z]+:", target)
    ]
    assert links
    broken = []
    for page, target in links:
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append((page.relative_to(ROOT).as_posix(), target))
    assert broken == []


@cache
def file_names() -> frozenset[str]:
    tops = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return frozenset(path.name for top in tops for path in top.rglob("*.py") if "node_modules" not in path.parts)


def test_paths_exist() -> None:
    tops = {path.name for path in ROOT.iterdir() if path.is_dir()}
    named = [(page, code.partition(":")[0]) for page, code in code_on_pages() if _PATH.fullmatch(code)]
    checked = [
        (page, path)
        for page, path in named
        if not path.startswith(MADE_LATER)
        and (
            ("/" in path and path.partition("/")[0] in tops)
            or path.endswith((".py", ".toml", ".md", ".template"))
            or path.startswith("requirements")
        )
    ]
    assert checked
    missing = [(page, path) for page, path in checked if not (ROOT / path).exists() and path not in file_names()]
    assert missing == []


def test_pages_know_no_machine() -> None:
    assert PAGES
    assert [(page.name, text) for page in PAGES for text in UNWANTED if text in text_of(page)] == []


# ---- the site --------------------------------------------------------------------------------------------------------


def pages_in(part: Any) -> list[str]:
    if isinstance(part, str):
        return [part]
    return [page for inner in (part.values() if isinstance(part, dict) else part) for page in pages_in(inner)]


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml without making what its tags name."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def test_the_navigation_has_every_page_once() -> None:
    document = yaml.load(text_of(ROOT / "mkdocs.yml"), Loader=_Loader)
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert pages
    in_navigation = pages_in(document["nav"])
    assert sorted(set(pages) - set(in_navigation)) == [], "add these pages to `nav` in mkdocs.yml"
    assert sorted(in_navigation) == sorted(pages)
