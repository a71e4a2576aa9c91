"""Scoring of one shard's windows: ``python -m batch_tasks.score --run RUN --shard N [--start TIME] --end TIME``.

With ``--data``, scoring of a data file's windows: ``python -m batch_tasks.score --data CONTAINER/NAME``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from batch_tasks.arguments import parse_data, parse_task, run_task, task_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.models.scoring.score import ScoreSummary
    from sensorwatch.models.scoring.score_file import DataScoring

__all__ = ["main"]

_DESCRIPTION = (
    "Score the new windows of one shard's sensors and those that changed since scoring, and write a prediction file. "
    "With --data PLACE, score the windows of a data file; see --data PLACE --help."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task that the arguments describe; return the exit code."""
    data = parse_data(arguments)
    if data is not None:

        def data_step() -> DataScoring:
            return task_product().score_data(data.place, run_id=data.run_id, shard=data.shard)

        return run_task(data_step)
    task = parse_task("score", _DESCRIPTION, arguments)

    def step() -> ScoreSummary:
        return task_product().score(task)

    return run_task(step)


if __name__ == "__main__":
    sys.exit(main())
