"""Command ``sensorwatch doctor``: checks of the installation, with advice."""

from __future__ import annotations

import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import typer

from sensorwatch import __version__
from sensorwatch.cli.context import CommandContext, JsonOption, print_json
from sensorwatch.cli.doctor_checks import Check, connection_checks, readings_check, run_together
from sensorwatch.cli.unmatched import unmatched_patterns
from sensorwatch.errors import SensorwatchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.app import Product

__all__ = ["register"]

_LIMIT_SECONDS = 2.5

_PACKAGES = (
    *("azure-functions", "azure-eventhub", "azure-batch", "azure-storage-blob"),
    *("scikit-learn", "pyodbc", "pandas", "pyarrow", "SQLAlchemy"),
)


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(doctor)


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Check versions, settings and connections; for each problem, print what to do."""
    command = context.ensure_object(CommandContext)
    checks = [Check("sensorwatch", True, __version__), _python(), *(_package(name) for name in _PACKAGES)]
    try:
        product = command.product
    except SensorwatchError as exc:
        where = command.settings_file or "local.settings.json or the environment"
        checks.append(Check("settings", False, str(exc), f"correct them in {where}"))
    else:
        checks.append(Check("settings", True, "valid"))
        checks.extend(_with_product(product))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            typer.echo(f"{_mark(check)}  {check.name:<{width}}  {check.detail}")
            if check.advice:
                typer.echo(f"{'':<{width + 10}}{check.advice}")
    if not all(check.well for check in checks):
        raise typer.Exit(1)


def _mark(check: Check) -> str:
    return "FAILED" if not check.well else "warn  " if check.warns else "ok    "


def _python() -> Check:
    found = sys.version.split()[0]
    supported = (3, 11) <= sys.version_info[:2] <= (3, 14)
    return Check("python", supported, found, "" if supported else "use Python 3.11 to 3.14")


def _package(name: str) -> Check:
    try:
        return Check(name, True, version(name))
    except PackageNotFoundError:
        return Check(name, False, "not installed", "pip install -r requirements.txt")


def _with_product(product: Product) -> list[Check]:
    """Return the checks of connections, and then those of what the connected services hold."""
    connections = connection_checks(product)
    away = {check.name for check in connections if not check.well}
    checks: list[tuple[str, Callable[[], Check]]] = [("configuration", lambda: _configuration(product))]
    if "database" not in away:
        checks.append(("patterns", lambda: _patterns(product)))
        if "storage" not in away:
            checks.append(("readings", lambda: readings_check(product)))
    found = run_together([check for _, check in checks], _LIMIT_SECONDS)
    return [
        *connections,
        *(_finding(name, answer) for (name, _), answer in zip(checks, found, strict=True)),
    ]


def _finding(name: str, answer: Check | Exception | None) -> Check:
    if isinstance(answer, Check):
        return answer
    why = f"no answer within {_LIMIT_SECONDS} s" if answer is None else str(answer).partition("\n")[0]
    return Check(name, True, f"not checked: {why}", "run `sensorwatch doctor` again", warns=True)


def _configuration(product: Product) -> Check:
    try:
        configuration = product.configuration
    except SensorwatchError as exc:
        return Check(
            "configuration",
            False,
            str(exc),
            "correct the file (`sensorwatch config check`); a running host keeps the former one in force",
        )
    return Check(
        "configuration",
        True,
        f"{product.settings.configuration_file}: {len(configuration.detectors)} detector rules, "
        f"{len(configuration.alerts.rules)} alert rules, {len(configuration.downtimes)} downtime entries",
    )


def _patterns(product: Product) -> Check:
    try:
        keys = [sensor.key for sensor in product.store.sensors()]
        unmatched = unmatched_patterns(product.configuration, product.store.silences(), keys) if keys else []
    except SensorwatchError as exc:
        return Check("patterns", False, f"not checked: {str(exc).splitlines()[0]}")
    if not unmatched:
        return Check("patterns", True, "each matches a sensor" if keys else "there are no sensors yet")
    advice = "correct them, unless their sensors are yet to come; `sensorwatch sensors` lists all sensors"
    return Check("patterns", True, f"{len(unmatched)} match no sensor: {'; '.join(unmatched)}", advice, warns=True)
