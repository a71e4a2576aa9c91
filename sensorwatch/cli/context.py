"""Settings and output, common to all commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sensorwatch.app import Product
from sensorwatch.errors import SettingsError
from sensorwatch.settings import read_settings_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CommandContext", "JsonOption", "print_json", "print_table", "utc_text"]

_DEFAULT_FILE = Path("local.settings.json")
_UNBOUNDED_WIDTH = 100_000

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class CommandContext:
    """Settings of a command, read and connected on first use.

    Attributes
    ----------
    settings_file
        Settings file; None for ``local.settings.json`` if it exists.
    environment
        Environment variables. Values that are not empty override those of the file.
    """

    settings_file: Path | None
    environment: Mapping[str, str]

    @cached_property
    def values(self) -> dict[str, str]:
        """Settings as texts, from the file and the environment.

        Raises
        ------
        SettingsError
            The settings file is missing or invalid.
        """
        file = self.settings_file or _DEFAULT_FILE
        from_file = read_settings_file(file) if self.settings_file or file.exists() else {}
        return {**from_file, **{key: value for key, value in self.environment.items() if value}}

    @cached_property
    def product(self) -> Product:
        """Adapters and use cases for these settings.

        Raises
        ------
        SettingsError
            A setting is missing or invalid.
        """
        from sensorwatch.telemetry.exporting import set_up

        try:
            product = Product.from_environment(self.values)
        except SettingsError as exc:
            if self.settings_file or _DEFAULT_FILE.exists():
                raise
            raise SettingsError(
                f"{exc}\nThere is no {_DEFAULT_FILE.absolute()}: name the settings file with --settings FILE or the "
                "environment variable SENSORWATCH_SETTINGS"
            ) from None
        set_up(product.settings, "sensorwatch-cli")
        return product


def print_json(value: object) -> None:
    """Print a value as JSON, with times in ISO 8601."""
    typer.echo(json.dumps(value, indent=2, default=_json_default))


def print_table(title: str, rows: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    """Print rows as a table that is never truncated.

    Parameters
    ----------
    title
        Title of the table.
    rows
        Rows with equal keys, which become the column titles.
    empty
        Text that is printed if there are no rows.
    """
    if not rows:
        typer.echo(empty)
        return
    # Names are data: a string would be read as markup, in which `[/]` and `:warning:` mean something.
    table = Table(title=Text(title, "table.title"), title_justify="left", box=SIMPLE_HEAD)
    for key, value in rows[0].items():
        number = isinstance(value, (int, float))
        table.add_column(Text(key.replace("_", " ")), justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    unbounded = Console(width=_UNBOUNDED_WIDTH)
    needed = Measurement.get(unbounded, unbounded.options, table).maximum
    Console(width=max(Console().width, needed)).print(table)


def utc_text(seconds: int) -> str:
    """Return seconds since 1970-01-01T00:00:00Z as ISO 8601 text in UTC."""
    return _iso(datetime.fromtimestamp(seconds, UTC))


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json_default(value: object) -> str:
    return _iso(value) if isinstance(value, datetime) else str(value)


def _cell(value: object) -> str:
    if value is None:
        return "–"  # noqa: RUF001
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
