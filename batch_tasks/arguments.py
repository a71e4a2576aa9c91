"""Arguments and exit codes of the tasks' command lines."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.errors import SensorwatchError
from sensorwatch.tasks.records import TaskSpec, task_id
from sensorwatch.telemetry.tracing import attached

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sensorwatch.app import Product
    from sensorwatch.tasks.records import Kind

__all__ = ["DataArguments", "parse_data", "parse_task", "run_task", "task_product"]

_log = logging.getLogger(__name__)

_EPILOG = """\
Settings come from the environment, as for the function app; docs/reference/settings.md lists them.
Exit codes: 0 done; 1 a known error, described on stderr; 2 wrong arguments or an unexpected error, with its traceback.
It is safe to run the same task again.
"""


class DataArguments(NamedTuple):
    """A data file to score.

    Attributes
    ----------
    place
        Path of the file, or ``CONTAINER/NAME`` of a blob.
    run_id
        Run of the prediction files; None derives it from the file's content.
    shard
        The only shard to score; None for all shards.
    """

    place: str
    run_id: str | None
    shard: int | None


def parse_data(arguments: Sequence[str] | None) -> DataArguments | None:
    """Return the data file that a command line names with ``--data``, or None.

    Parameters
    ----------
    arguments
        Command line without the program; None for that of the process. Wrong arguments exit the process with code 2.

    Examples
    --------
    >>> parse_data(["--data", "data/hour.csv"])
    DataArguments(place='data/hour.csv', run_id=None, shard=None)
    >>> parse_data(["--run", "r", "--shard", "12", "--end", "2026-11-20T10:00:00Z"])
    """
    given = sys.argv[1:] if arguments is None else arguments
    if not any(word == "--data" or word.startswith("--data=") for word in given):
        return None
    parser = argparse.ArgumentParser(
        prog="python -m batch_tasks.score --data",
        description="Score the windows of a data file and write prediction files.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="PLACE",
        help="CSV or Parquet with the columns TS, Device, Tag and Value: CONTAINER/NAME of a blob, or a path",
    )
    parser.add_argument("--run", help="id of the run of the prediction files (default: derived from the content)")
    parser.add_argument("--shard", type=_shard, help="only the sensors of this shard (default: all)")
    parsed = parser.parse_args(given)
    return DataArguments(parsed.data, parsed.run, parsed.shard)


def parse_task(kind: Kind, description: str, arguments: Sequence[str] | None) -> TaskSpec:
    """Return the task that a command line describes.

    Parameters
    ----------
    kind
        Kind of the task.
    description
        First sentence of ``--help``.
    arguments
        Command line without the program; None for that of the process. Wrong arguments exit the process with code 2.

    Examples
    --------
    >>> task = parse_task("score", "", ["--run", "r", "--shard", "12", "--end", "2026-11-20T10:00:00Z"])
    >>> task.task_id, task.end.isoformat()
    ('score-000012', '2026-11-20T10:00:00+00:00')
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m batch_tasks.{kind.replace('machines-', 'maintenance ')}",
        description=description,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", required=True, help="id of the run (the Batch job) that the task belongs to")
    parser.add_argument("--shard", required=True, type=_shard, help="number of the shard of sensors")
    parser.add_argument(
        "--start", type=_time, help="only windows that end after this time, ISO 8601 with offset (default: no bound)"
    )
    parser.add_argument(
        "--end", required=True, type=_time, help="only windows that end at or before this time, ISO 8601 with offset"
    )
    given = parser.parse_args(arguments)
    if given.start is not None and given.start > given.end:
        parser.error(f"--start {given.start.isoformat()} is after --end {given.end.isoformat()}")
    return TaskSpec(given.run, task_id(kind, given.shard), kind, given.shard, given.start, given.end)


def task_product() -> Product:
    """Return the use cases with the adapters that the environment describes, and set up telemetry."""
    from sensorwatch.app import Product
    from sensorwatch.telemetry.exporting import set_up

    product = Product.from_environment()
    set_up(product.settings, "sensorwatch-tasks")
    return product


def run_task(step: Callable[[], object]) -> int:
    """Run a task, print its summary in one line, and return the exit code (see ``--help``).

    CPU time and memory are written to the task's log.
    """
    import pyarrow as pa

    pa.set_cpu_count(1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    try:
        # The submission of the job and this task belong to one trace.
        with attached(os.environ.get("TRACEPARENT")):
            summary = step()
    except SensorwatchError as exc:
        sys.stderr.write(f"{type(exc).__name__}: {exc}\n")
        return 1
    except Exception:  # noqa: BLE001  nothing above this catches it, and the pool reports stderr
        traceback.print_exc()
        return 2
    sys.stdout.write(f"{summary}\n")
    _log.info("cpu %.2f s, peak memory %.0f MiB", time.process_time(), _peak_memory_bytes() / 2**20)
    return 0


def _peak_memory_bytes() -> int:
    """Return the peak memory of this process, in bytes."""
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _shard(text: str) -> int:
    try:
        shard = int(text)
    except ValueError:
        shard = -1
    if shard < 0:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 0, got `{text}`")
    return shard


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise argparse.ArgumentTypeError(f"expected a time like 2026-11-20T10:00:00Z, got `{text}`")
    return time.astimezone(UTC)
