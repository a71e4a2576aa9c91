"""Training of one shard's sensors: ``python -m batch_tasks.train --run RUN --shard N --end TIME``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from batch_tasks.arguments import parse_task, run_task, task_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.models.training.train import TrainSummary

__all__ = ["main"]

_DESCRIPTION = "Train the sensors of one shard that have windows newer than their model, and publish their models."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task that the arguments describe; return the exit code."""
    task = parse_task("train", _DESCRIPTION, arguments)

    def step() -> TrainSummary:
        return task_product().train(task)

    return run_task(step)


if __name__ == "__main__":
    sys.exit(main())
