"""Predictive maintenance: ``python -m batch_tasks.maintenance train|score --run RUN --shard N --end TIME``.

``train`` trains the model of the whole fleet, ``score`` applies it to one shard of machines.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from batch_tasks.arguments import parse_task, run_task, task_product
from sensorwatch.app.spans import observed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.machines.score import MachineScoring
    from sensorwatch.machines.train import MachineTraining
    from sensorwatch.tasks.records import Kind, TaskSpec

__all__ = ["main"]

_KINDS: dict[str, Kind] = {"train": "machines-train", "score": "machines-score"}
_DESCRIPTIONS = {
    "train": "Train the model that predicts failures of machines' components.",
    "score": "Score one shard of machines, and open alerts for their components' warnings.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in _KINDS:
        sys.stderr.write(f"expected train or score as the first argument, got `{given[0] if given else 'nothing'}`\n")
        return 2
    step = given[0]
    task = parse_task(_KINDS[step], _DESCRIPTIONS[step], given[1:])
    return run_task(lambda: _train(task) if step == "train" else _score(task))


def _train(task: TaskSpec) -> MachineTraining:
    machines = task_product().machines
    with observed(task):
        return machines.train(task.start, task.end)


def _score(task: TaskSpec) -> MachineScoring:
    machines = task_product().machines
    days = machines.adapters.settings.maintenance_rescore_days
    with observed(task):
        return machines.score(task.shard, task.start or task.end - timedelta(days=days), task.end)


if __name__ == "__main__":
    sys.exit(main())
