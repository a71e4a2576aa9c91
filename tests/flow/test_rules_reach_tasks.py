"""The rules beside the settings file decide what a task on the pool trains."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from conftest import StackFactory
from flow_steps import END, fire_and_wait, send, wait_until_ingested

from sensorwatch.simulation.fleet import Fleet, device_names, tag_names

pytestmark = pytest.mark.flow

RULES = """
detectors:
  - tag: temp*
    estimator: sklearn.ensemble.IsolationForest
    parameters: {n_estimators: 5}
"""


def test_the_tasks_of_a_run_train_by_the_rules(make_stack: StackFactory, tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "sensorwatch.yaml").write_text(RULES)
    stack = make_stack()
    fleet = Fleet(device_names(1), tag_names(2), seed=3)
    wait_until_ingested(stack, send(stack, fleet.readings(END - timedelta(minutes=20), END), readings_per_event=20))
    assert fire_and_wait(stack, "train").tasks["succeeded"] == 1
    product = stack.product
    current = product.models.current(0)
    assert current is not None
    rows = product.models.load(current).to_pylist()
    detectors = {product.store.sensors()[row["sensor_id"]].key.tag: row["detector"] for row in rows}
    assert set(detectors.values()) == {"sklearn", "ocsvm"}
    assert {tag for tag, name in detectors.items() if name == "sklearn"} == {"temperature"}
