"""The API does what its OpenAPI document says, whatever it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from api_client import NOW, SHARD_SIZE, T0
from fakes.clock import FakeClock
from fakes.models import FakeRegistry
from fakes.tasks import FakeTaskLogs
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from sensorwatch.alerts.records import Anomaly
from sensorwatch.alerts.state_machine import AlertRules, ScoredWindow, advance
from sensorwatch.api.app import create_api, create_app
from sensorwatch.app import Product
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings import load_settings
from sensorwatch.tasks.records import Run, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = 12
LOCAL = {"Host": "127.0.0.1"}
_wired: list[Product] = []


@pytest.fixture(scope="module", autouse=True)
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A small fleet with an alert, an anomaly and a run."""
    url = f"sqlite:///{tmp_path_factory.mktemp('api')}/sensorwatch.db"
    made = load_settings({"DATABASE_URL": url, "API_AUTHENTICATION": "local", "SHARD_SIZE": str(SHARD_SIZE)})
    product = Product(made, FakeClock(NOW))
    product.__dict__.update(models=FakeRegistry(), task_logs=FakeTaskLogs())
    store = product.store
    store.sensor_ids([SensorKey(f"d{i}", "t") for i in range(12)])
    windows = [ScoredWindow(T0 + 5 * i, 90.0, "high", True) for i in range(3)]
    rules = AlertRules(anomalous_windows=2, recent_windows=3, quiet_seconds=60)
    found = [Anomaly(0, each.end, 20.0, each.score, each.severity, 1.0, 9.0, "v1") for each in windows]
    store.publish(found, [], [0], lambda states: advance(states, {0: windows}, rules))
    task = TaskSpec("score-20261120T101500Z", "score-000000", "score", 0, None, NOW)
    store.begin_run(Run(task.run_id, "score", NOW, (task,)), NOW)
    _wired.append(product)
    yield product
    _wired.clear()
    store.dispose()


SCHEMA = schemathesis.openapi.from_dict(create_api(lambda: _wired[-1]).openapi())
SCHEMA.app = create_app(lambda: _wired[-1])
OPERATIONS: dict[str, Any] = {}
for found in SCHEMA.get_all_operations():
    operation: Any = found.ok()  # type: ignore[union-attr]
    OPERATIONS[operation.label] = operation


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_as_documented(label: str) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    @given(OPERATIONS[label].as_strategy())
    def check(case: Any) -> None:
        # What a schema can't say is refused as well: a made-up cursor, a time in the year 8975.
        case.call_and_validate(headers=LOCAL, excluded_checks=[positive_data_acceptance])

    check()
