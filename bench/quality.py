"""Quality of each detector on the synthetic benchmark: mean VUS-PR, by behaviour and by fault."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sensorwatch.detectors.factory import detectors
from sensorwatch.evaluation.comparison import DetectorFigures, compare
from sensorwatch.evaluation.scored_series import score_series
from sensorwatch.evaluation.synthetic import SEED, TRAINING_SHARE, synthetic_benchmark
from sensorwatch.simulation.behaviours import BEHAVIOURS
from sensorwatch.simulation.faults import FAULTS

_HOLD = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate the named detectors, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="DETECTOR", help=f"{', '.join(detectors())} (default: all)")
    parser.add_argument(
        "--repeats", type=int, default=2, help="number of series of each fault in each behaviour (default: 2)"
    )
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in detectors()]
    if unknown:
        parser.error(f"no such detector: {', '.join(unknown)}; choose from {', '.join(detectors())}")
    series = synthetic_benchmark(given.seed, given.repeats)
    figures = [
        compare(series, score_series(detectors()[name], series, TRAINING_SHARE), hold=_HOLD)
        for name in given.names or detectors()
    ]
    figures.sort(key=lambda each: -each.vus_pr)
    names = [each.name for each in series]
    console = Console(width=160)
    console.print(_totals(figures, len(series)))
    console.print(_by_kind("Mean VUS-PR by behaviour", figures, names, BEHAVIOURS, " in {} "))
    console.print(_by_kind("Mean VUS-PR by fault", figures, names, FAULTS, "{} in "))


def _totals(figures: Sequence[DetectorFigures], n_series: int) -> Table:
    table = Table(title=f"Synthetic benchmark, {n_series} series", title_justify="left")
    table.add_column("detector")
    for column in (
        "VUS-PR",
        "AUC-PR",
        "range precision",
        "range recall",
        "false alarms/day",
        "found",
        "NAB",
        "alarms",
        "CPU s",
    ):
        table.add_column(column, justify="right")
    for each in figures:
        table.add_row(
            each.detector,
            f"{each.vus_pr:.3f}",
            f"{each.auc_pr:.3f}",
            f"{each.range_precision:.3f}",
            f"{each.range_recall:.3f}",
            f"{each.alarms.false_alarms_per_day:.2f}",
            f"{each.alarms.detected} of {each.alarms.anomalies}",
            f"{each.nab_score:.1f}",
            f"{each.nab_alarm_score:.1f}",
            f"{each.cpu_seconds:.1f}",
        )
    return table


def _by_kind(
    title: str, figures: Sequence[DetectorFigures], names: Sequence[str], kinds: Sequence[str], pattern: str
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("detector")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for each in figures:
        cells = []
        for kind in kinds:
            marked = pattern.format(kind)
            values = [part.vus_pr for part, name in zip(each.series, names, strict=True) if marked in name]
            cells.append(f"{statistics.mean(values):.3f}")
        table.add_row(each.detector, *cells)
    return table


if __name__ == "__main__":
    main()
