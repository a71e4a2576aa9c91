"""Command ``sensorwatch doctor``: checks of the installation, with advice."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import typer

from sensorwatch import __version__
from sensorwatch.cli.context import CommandContext, JsonOption, print_json
from sensorwatch.cli.unmatched import unmatched_patterns
from sensorwatch.errors import SensorwatchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.app import Product

__all__ = ["register"]

_PACKAGES = (
    *("azure-functions", "azure-eventhub", "azure-batch", "azure-storage-blob"),
    *("scikit-learn", "pyodbc", "pandas", "pyarrow", "SQLAlchemy"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check: ``detail`` is the finding, ``advice`` the next step if the check failed."""

    name: str
    well: bool
    detail: str
    advice: str = ""


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
        checks.extend(_connections(product))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            typer.echo(f"{'ok    ' if check.well else 'FAILED'}  {check.name:<{width}}  {check.detail}")
            if check.advice:
                typer.echo(f"{'':<{width + 10}}{check.advice}")
    if not all(check.well for check in checks):
        raise typer.Exit(1)


def _python() -> Check:
    found = sys.version.split()[0]
    supported = (3, 11) <= sys.version_info[:2] <= (3, 14)
    return Check("python", supported, found, "" if supported else "use Python 3.11 to 3.14")


def _package(name: str) -> Check:
    try:
        return Check(name, True, version(name))
    except PackageNotFoundError:
        return Check(name, False, "not installed", "pip install -r requirements.txt")


def _connections(product: Product) -> list[Check]:
    local = "run `make up` to start the local stack; on Azure check"
    return [
        _try("database", product.store.check, f"run `sensorwatch init` to create the tables; {local} DATABASE_URL"),
        _try(
            "storage",
            lambda: _containers(product),
            f"run `sensorwatch init` to create the containers; {local} AzureWebJobsStorage",
        ),
        _try("event hub", lambda: _event_hub(product), f"{local} EventHub and EVENT_HUB_NAME"),
        _try("batch pool", lambda: _pool(product), f"{local} BATCH_ACCOUNT_URL and BATCH_POOL_ID"),
        _try(
            "configuration",
            lambda: _configuration(product),
            "correct the file; a running host keeps the former one in force",
        ),
        _patterns(product),
    ]


def _try(name: str, check: Callable[[], str], advice: str) -> Check:
    try:
        return Check(name, True, check())
    except SensorwatchError as exc:
        return Check(name, False, str(exc), advice)


def _configuration(product: Product) -> str:
    configuration = product.configuration
    return (
        f"{product.settings.configuration_file}: {len(configuration.detectors)} detector rules, "
        f"{len(configuration.alerts.rules)} alert rules, {len(configuration.downtimes)} downtime entries"
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
    return Check("patterns", True, f"{len(unmatched)} match no sensor: {'; '.join(unmatched)}", advice)


def _containers(product: Product) -> str:
    from sensorwatch.azure.blobs import translate_blob_errors
    from sensorwatch.errors import NotFoundError

    with translate_blob_errors():
        present = {container.name for container in product.blobs.list_containers()}
    missing = sorted(set(product.containers) - present)
    if missing:
        raise NotFoundError(f"missing containers: {', '.join(missing)}")
    return f"{len(product.containers)} containers"


def _pool(product: Product) -> str:
    problems = product.pool.problems()
    if problems:
        raise SensorwatchError("; ".join(problems))
    return f"pool {product.settings.batch_pool_id} is ready"


def _event_hub(product: Product) -> str:
    with product.sender() as sender:
        return f"{len(sender.partition_ids())} partitions"
