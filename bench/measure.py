"""Measurement of several alternatives in turns, so that other load on the machine affects all of them alike."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["RESULTS", "Result", "Size", "compare", "merge_results", "prepared_spared", "print_line", "show"]

RESULTS = Path(".local/bench.json")
_console = Console(width=140)


@dataclass(frozen=True, slots=True)
class Size:
    """Amount of work: ``readings`` in each of ``rounds`` rounds."""

    readings: int
    rounds: int


@dataclass(slots=True)
class Result:
    """Result of an alternative.

    Attributes
    ----------
    name
        Name of the alternative.
    rates
        Items per second, one rate per round.
    remark
        Differences from the other alternatives.
    skipped
        Reason why it was not measured; empty if it was.
    """

    name: str
    rates: list[float] = field(default_factory=list)
    remark: str = ""
    skipped: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.rates) if self.rates else 0.0

    def as_json(self) -> dict[str, Any]:
        if self.skipped:
            return {"skipped": self.skipped}
        return {
            "median": round(self.median),
            "least": round(min(self.rates)),
            "most": round(max(self.rates)),
            "rounds": len(self.rates),
        }


def compare(
    ways: Mapping[str, Callable[[], object]], done: int, rounds: int, clock: Callable[[], float] = time.process_time
) -> list[Result]:
    """Measure alternatives, each of them once per round.

    Parameters
    ----------
    ways
        Alternatives by name.
    done
        Number of items that one call processes.
    rounds
        Number of rounds.
    clock
        Clock in seconds; CPU time of the process by default.
    """
    results = [Result(name) for name in ways]
    with prepared_spared():
        for _ in range(rounds):
            for result, way in zip(results, ways.values(), strict=True):
                began = clock()
                way()
                result.rates.append(done / max(clock() - began, 1e-9))
    return results


@contextmanager
def prepared_spared() -> Iterator[None]:
    """Exclude existing objects from garbage collection during a measurement."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def show(title: str, results: Sequence[Result], unit: str, ours: str) -> None:
    """Print a table of medians, ranges and ratios.

    Parameters
    ----------
    title
        Title of the table.
    results
        Results of the alternatives.
    unit
        Unit of the rates.
    ours
        Name of our alternative, whose ratio to each of the others is shown.
    """
    table = Table(title=title, title_justify="left")
    for column in ("", unit, "range", "our ratio"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_column("remark", max_width=70)
    own = next(result for result in results if result.name == ours)
    for result in results:
        if result.skipped:
            table.add_row(result.name, "-", "", "", f"skipped: {result.skipped}")
            continue
        table.add_row(
            result.name,
            f"{result.median:,.0f}",
            f"{min(result.rates):,.0f} to {max(result.rates):,.0f}",
            "" if result is own else f"{own.median / result.median:.2f} x",
            result.remark,
        )
    _console.print(table)


def print_line(text: str) -> None:
    """Print a line."""
    _console.print(text)


def merge_results(figures: Mapping[str, object], path: Path) -> None:
    """Add figures to a file, which keeps those of other benchmarks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(kept | dict(figures), indent=1, sort_keys=True) + "\n", encoding="utf-8")
