"""Scoring in real time in the API."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from api_client import NOW, T0

from sensorwatch.alerts.records import AlertChanges
from sensorwatch.ingestion.records import Partition
from sensorwatch.realtime.latency_histogram import LatencyHistogram
from sensorwatch.realtime.records import ModelAnswer, ModelUse, RefusedVersion, ServedWindow, ServingCounts
from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from api_client import Api

pytest_plugins = ["api_fixtures"]

AT = "2026-11-20T10:15:00Z"


def test_without_scoring_in_real_time_the_api_has_no_figures_of_it(api: Api) -> None:
    empty: dict[str, object] = {"partitions": [], "models": [], "refused": [], "windows": []}
    assert api.client.get("/api/serving").json() == empty


def test_counts_models_refusals_and_answers_are_there(api: Api) -> None:
    store = api.product.store
    store.sensor_ids([SensorKey("d0", "t")])
    counts = ServingCounts(received=3, scored=1, not_in_time=2)
    use = ModelUse("own", "ocsvm", NOW, "v1", NOW, 4, 2, 0, 1, LatencyHistogram(Counter({3: 2}), 0.02, 0.015))
    store.add_serving({Partition("readings", "serve", "0"): counts}, [use], NOW)
    store.refuse_version(RefusedVersion("own", 0, "v2", "damaged", NOW))
    answers = {"own": ModelAnswer(90.0, "v1", 0.01), "other": ModelAnswer(10.0, "v3", 0.02), "late": None}
    window = ServedWindow(0, T0, 2, 1.5, 90.0, "own", "first", "v1", answers, NOW)
    store.publish_served([window], [], [], [], lambda _: AlertChanges([], [], []))
    answer = api.client.get("/api/serving").json()
    assert [answer["partitions"][0][name] for name in ("partition_id", "received", "scored", "not_in_time")] == [
        *("0", 3, 1, 2)
    ]
    (model,) = answer["models"]
    assert (model["uses"], model["timeouts"], model["disagreement_rate"], model["mean_ms"]) == (4, 2, 0.25, 10.0)
    assert answer["refused"] == [
        {"model": "own", "shard": 0, "version": "v2", "reason": "damaged", "refused_at": AT},
    ]
    (found,) = answer["windows"]
    assert (found["ts"], found["winner"], found["disagreement"]) == (AT, "own", True)
    assert (found["device"], found["tag"]) == ("d0", "t")
    assert found["answers"]["other"] == {"score": 10.0, "version": "v3", "seconds": 0.02}
    assert found["answers"]["late"] is None
