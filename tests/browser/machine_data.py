"""Machines for the browser tests: a generated fleet, with a model and risks over 45 days."""

from __future__ import annotations

from pathlib import Path

from machine_files import small_files

from local.stack import Stack
from sensorwatch.machines.score import score_machines

__all__ = ["add_machines"]

_SCORED_SECONDS = 45 * 86_400


def add_machines(stack: Stack, folder: Path) -> None:
    """Take in a fleet, train on it, and score its last days; alerts are left to the sensors."""
    steps = stack.product.machines
    steps.ingest(small_files(folder))
    steps.train(None, None, "tree")
    end = steps.data.newest()
    assert end
    score_machines(
        0,
        end - _SCORED_SECONDS,
        end,
        shard_machines=stack.product.settings.machines_per_shard,
        store=stack.product.store,
        data=steps.data,
        registry=steps.models,
    )
