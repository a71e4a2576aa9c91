"""Commands ``sensorwatch deadletters``: show and replay readings that could not be used."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table
from sensorwatch.ingestion.decode import element_at
from sensorwatch.ingestion.replay import Selection

if TYPE_CHECKING:
    from sensorwatch.ingestion.records import DeadLetter

__all__ = ["register"]

_SHOWN_CHARACTERS = 120

_DayOption = Annotated[
    str | None,
    typer.Option("--day", help="Only readings that the event hub received on this day (UTC), such as 2026-11-20."),
]
_ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only readings with this reason, such as late.")]
_PartitionOption = Annotated[
    str | None, typer.Option("--partition", help="Only readings of the partition with this id.")
]

_commands = typer.Typer(no_args_is_help=True, help="Show and replay readings that could not be used.")


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_commands, name="deadletters")


@_commands.command("list")
def list_letters(
    context: typer.Context,
    day: _DayOption = None,
    reason: _ReasonOption = None,
    partition: _PartitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the numbers of dead letters and of replayed ones, by day, partition and reason."""
    product = context.ensure_object(CommandContext).product
    letters: Counter[tuple[str, str, str]] = Counter()
    replayed: Counter[tuple[str, str, str]] = Counter()
    for letter, state in product.dead_letters_with_state(Selection(day, reason, partition)):
        key = (_day(letter), letter.partition.partition_id, letter.reason)
        letters[key] += 1
        replayed[key] += state == "replayed"
    rows = [
        {"day": key[0], "partition": key[1], "reason": key[2], "letters": letters[key], "replayed": replayed[key]}
        for key in sorted(letters)
    ]
    if as_json:
        print_json(rows)
    else:
        print_table("Dead letters", rows, empty="No dead letters.")


@_commands.command()
def show(
    context: typer.Context,
    day: _DayOption = None,
    reason: _ReasonOption = None,
    partition: _PartitionOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number, ordered by day and partition.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show dead letters with their errors; with --json, the whole body of the event is included."""
    product = context.ensure_object(CommandContext).product
    found = islice(product.dead_letters_with_state(Selection(day, reason, partition)), limit)
    rows = [
        {
            "enqueued_time": letter.enqueued_time,
            "partition": letter.partition.partition_id,
            "sequence_number": letter.sequence_number,
            "index": letter.index,
            "reason": letter.reason,
            "detail": letter.detail,
            "state": state,
            "body": _text(letter.body) if as_json else _cut(_text(element_at(letter.body, letter.index))),
        }
        for letter, state in found
    ]
    if as_json:
        print_json(rows)
    else:
        print_table("Dead letters", rows, empty="No dead letters.")


@_commands.command()
def replay(
    context: typer.Context,
    day: _DayOption = None,
    reason: _ReasonOption = None,
    partition: _PartitionOption = None,
    accept_late: Annotated[bool, typer.Option("--accept-late", help="Accept late readings.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Include readings that an earlier replay could not use.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show how many would be replayed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ingest dead letters again with the current settings. Repeating the command ingests nothing twice."""
    product = context.ensure_object(CommandContext).product
    outcome = product.replay_dead_letters(
        Selection(day, reason, partition), accept_late=accept_late, again=again, dry_run=dry_run
    )
    counts = outcome.counts
    row = {
        "letters_would_be_taken" if dry_run else "letters_taken": outcome.taken,
        "taken_before": outcome.before,
        "waiting": outcome.waiting,
        **({} if dry_run else counts._asdict()),
    }
    if as_json:
        print_json(row)
    else:
        print_table("Replay", [row], empty="")


def _day(letter: DeadLetter) -> str:
    return letter.enqueued_time.astimezone(UTC).date().isoformat()


def _text(body: bytes) -> str:
    return body.decode(errors="backslashreplace")


def _cut(text: str) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"
