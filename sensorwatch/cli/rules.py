"""Commands ``sensorwatch rules`` and ``calendar``: alert rules and planned downtime."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text
from sensorwatch.cli.unmatched import unmatched_patterns
from sensorwatch.config.file import Configuration, parse_configuration
from sensorwatch.config.stored import read_configuration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sensorwatch.alerts.preview import SensorPreview
    from sensorwatch.app import Product

__all__ = ["register"]

_FileArgument = Annotated[
    Path | None, typer.Argument(help="Configuration file; default: the setting CONFIGURATION_FILE.", show_default=False)
]
_COUNTS = ("anomalies", "suppressed", "would_be_suppressed", "alerts", "would_be_alerts")


def register(app: typer.Typer) -> None:
    """Register the commands."""
    rules = typer.Typer(help="Check alert rules, and preview the alerts of changed rules.")
    rules.command("check")(check)
    rules.command("preview")(preview)
    app.add_typer(rules, name="rules")
    app.command()(calendar)


def check(context: typer.Context, file: _FileArgument = None, as_json: JsonOption = False) -> None:
    """Check alert rules, and count the sensors that each applies to; exit code 1 if there are mistakes."""
    product = context.ensure_object(CommandContext).product
    configuration = _configuration(product, file)
    policy = product.policy_of(configuration)
    now = int(product.clock().timestamp())
    policy.downtime.periods(now, now + 1)
    keys = [sensor.key for sensor in product.store.sensors()]
    decided = Counter(policy.rule_position(key) for key in keys)
    rows = [
        {
            "rule": policy.section.rule_name(i),
            "device": rule.device,
            "tag": rule.tag,
            "enabled": rule.enabled,
            "sensors": decided[i],
            "matching": sum(rule.matches(key) for key in keys),
        }
        for i, rule in enumerate(policy.section.rules)
    ]
    unmatched = unmatched_patterns(configuration, product.store.silences(), keys)
    if as_json:
        print_json(
            {
                "rules": rows,
                "maintenance": len(policy.downtime.entries),
                "without_rule": decided[None],
                "unmatched": unmatched,
            }
        )
        return
    print_table("Rules", rows, empty="No rules: the settings apply to all sensors.")
    typer.echo(f"{decided[None]} sensors without a rule; {len(policy.downtime.entries)} downtime entries.")
    for row in rows:
        if row["matching"] and not row["sensors"]:
            typer.echo(f"{row['rule']}: never applies, because earlier rules match all of its sensors.")
        elif not row["matching"]:
            typer.echo(f"{row['rule']}: matches no known sensor.")
    for text in unmatched:
        if not text.startswith("alerts.rules."):
            typer.echo(f"{text}: matches no known sensor.")


def preview(
    context: typer.Context,
    file: _FileArgument = None,
    days: Annotated[float, typer.Option(min=0.01, max=366, help="Number of days to look back.")] = 7,
    sensors: Annotated[int, typer.Option(min=0, help="Maximum number of sensors to show, largest changes first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Compare the alerts of the rules in a file with those of the current rules, for past days. Nothing is stored."""
    from sensorwatch.alerts.preview import preview_rules

    product = context.ensure_object(CommandContext).product
    end = product.clock()
    found = preview_rules(
        store=product.store,
        in_force=product.alert_policy,
        proposed=product.policy_of(_configuration(product, file)),
        start=end - timedelta(days=days),
        end=end,
    )
    by_rule = _by_rule(found)
    changed = sorted(found, key=lambda row: (-abs(row.would_be_alerts - row.alerts), -row.alerts, row.sensor_id))
    by_sensor = [
        {**row.key._asdict(), "rule": row.rule, **{name: getattr(row, name) for name in _COUNTS}} for row in changed
    ]
    if as_json:
        print_json({"days": days, "rules": by_rule, "sensors": by_sensor})
        return
    print_table(f"The last {days:g} days by rule", by_rule, empty="No anomalies in this time.")
    if found and sensors:
        print_table("By sensor", by_sensor[:sensors], empty="")


def calendar(
    context: typer.Context,
    days: Annotated[float, typer.Option(min=0.01, max=3660, help="Number of days to look ahead.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """List current and planned downtime."""
    product = context.ensure_object(CommandContext).product
    now = int(product.clock().timestamp())
    plan = product.downtime
    rows = [
        {
            "from": utc_text(period.start),
            "to": utc_text(period.end),
            "device": plan.entries[period.entry].device,
            "tag": plan.entries[period.entry].tag,
            "why": period.why,
        }
        for period in plan.periods(now, now + int(days * 86_400))
    ]
    if as_json:
        print_json(rows)
    else:
        print_table("Downtime", rows, empty=f"No downtime in the next {days:g} days.")


def _configuration(product: Product, file: Path | None) -> Configuration:
    if file is None:
        return product.configuration
    container = product.settings.models_container
    content = read_configuration(str(file), lambda: product.blobs.get_container_client(container), required=True)
    return parse_configuration(content, str(file))


def _by_rule(rows: Sequence[SensorPreview]) -> list[Mapping[str, Any]]:
    by_rule: dict[str, Counter[str]] = {}
    for row in rows:
        counts = by_rule.setdefault(row.rule, Counter())
        counts.update({"sensors": 1, **{name: getattr(row, name) for name in _COUNTS}})
    columns = ("sensors", *_COUNTS)
    return [{"rule": rule, **{name: counts[name] for name in columns}} for rule, counts in by_rule.items()]
