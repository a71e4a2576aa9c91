"""Machines on the whole stack: the timer submits, the pool trains and scores, risks become alerts; nothing twice."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import StackFactory
from local_stack import wait_until

from local.stack import Stack
from sensorwatch.alerts.handling import AlertFilter
from sensorwatch.machines.fleet import HALF_DAY_SECONDS
from sensorwatch.machines.generator import generate_fleet
from sensorwatch.machines.writing import write_data_sets
from sensorwatch.tasks.records import Kind, RunSummary

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]

DAYS = 120
MACHINES = 12


def fired(stack: Stack, kind: Kind) -> RunSummary:
    """Fire the timer twice, and return the one run of this kind when it has ended."""
    store = stack.product.store
    for _ in range(2):
        stack.fire("maintenance")
    wait_until(lambda: store.runs(kind), f"the timer to submit {kind}")
    wait_until(lambda: store.runs(kind)[0].ended_at is not None, f"{store.runs(kind)[0].run_id} to end", 240)
    (run,) = store.runs(kind)
    return run


def test_the_timer_trains_and_scores_machines_and_firing_again_changes_nothing(
    make_stack: StackFactory, tmp_path: Path
) -> None:
    end = int(datetime.now(UTC).timestamp()) // HALF_DAY_SECONDS * HALF_DAY_SECONDS
    fleet = generate_fleet(MACHINES, DAYS, end - DAYS * 86_400, 18)
    write_data_sets(fleet, tmp_path / "data", "parquet")
    stack = make_stack(
        MACHINES_PER_SHARD="5",
        MAINTENANCE_MODEL="tree",
        MAINTENANCE_TEST_DAYS="30",
        # A due time lies in every half-day of UTC, by summer and by winter time.
        MAINTENANCE_TIME_ZONE="Europe/Berlin",
        MAINTENANCE_TIMES="01:00 02:00 13:00 14:00",
    )
    store = stack.product.store
    stack.product.machines.ingest(tmp_path / "data")

    trained = fired(stack, "machines-train")
    assert (trained.tasks["succeeded"], trained.window_end.timestamp()) == (1, end)
    scored = fired(stack, "machines-score")
    assert scored.tasks["succeeded"] == 3
    risks = [store.risks(machine) for machine in range(1, MACHINES + 1)]
    assert all(each[-1].end >= end for each in risks)
    warned = Counter(
        (str(risk.machine_id), f"failure risk of {risk.component}")
        for each in risks
        for risk in each
        if risk.warns and end - HALF_DAY_SECONDS <= risk.end <= end
    )
    open_ones = store.handled_alerts(AlertFilter(kind="failure-risk", unresolved=True))
    named = store.sensors_by_id({each.alert.sensor_id for each in open_ones})
    sure = {key for key, warnings in warned.items() if warnings == 2}
    assert sure
    assert sure <= {tuple(sensor.key) for sensor in named.values()}

    before = store.alerts()
    said = [str(each) for each in stack.product.machines.submit_due()]
    assert said[0] == "nothing is due"
    # A due time that has passed meanwhile is the only thing that may be new.
    if said[1].endswith("was already submitted"):
        assert store.alerts() == before
        assert [store.risks(machine) for machine in range(1, MACHINES + 1)] == risks
        assert [len(store.runs(kind)) for kind in ("machines-train", "machines-score")] == [1, 1]
