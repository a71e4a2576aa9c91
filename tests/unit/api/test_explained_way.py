"""An explanation's whole way: from a fault in scored windows to what the API, the command line and sinks say."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
from api_client import NOW, T0, Api
from fakes.models import FakeStore, task
from fakes.tasks import FakePredictionFiles

from sensorwatch.alerts.message import alert_message, facts
from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.publish import publish
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.detectors.explanation import parse_explanation
from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.models.scoring.score import score
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train
from sensorwatch.tasks.prediction_files import parse_predictions
from sensorwatch.tasks.prediction_schema import ANOMALOUS, NORMAL

if TYPE_CHECKING:
    import pyarrow as pa

pytest_plugins = ["api_fixtures"]

POLICY = AlertPolicy(AlertDefaults(AlertRules(anomalous_windows=2, recent_windows=3, quiet_seconds=60)))
QUIET, FAULTY = 0, 1
TRAINED, NEW, FAULT = 600, 60, 3


class Fleet:
    """Two sensors, of which one has a fault in its last windows, with models of a detector."""

    def __init__(self, api: Api, detector: str) -> None:
        self.store, self.files, self.registry = FakeStore(), FakePredictionFiles(), api.registry
        random = np.random.default_rng(4)
        for sensor in (QUIET, FAULTY):
            values = 20 + np.sin(np.arange(TRAINED + NEW) / 40) + random.normal(0, 0.2, TRAINED + NEW)
            if sensor == FAULTY:
                values[-FAULT:] += 9
            self.store.add(sensor, values.tolist(), end=NOW)
        self._start = NOW.fromtimestamp(T0 - 5 * NEW, NOW.tzinfo)
        train(
            task("train", self._start),
            store=self.store,
            registry=self.registry,
            detector_name=detector,
            training_seconds=5 * TRAINED,
            needed=TrainingWindows(100),
            now=self._start,
        )

    def score(self) -> pa.Table:
        """Score as a task does that broke off before it was noted as done."""
        self.store.completed.clear()
        done = score(task("score", NOW, self._start), store=self.store, registry=self.registry, predictions=self.files)
        assert done.file is not None
        return self.files.read(done.file)


def publish_all(api: Api, predictions: pa.Table) -> None:
    api.add_sensors(("press-1", "quiet"), ("press-1", "faulty"))
    publish("scored", predictions, store=api.product.store, policy=POLICY)


def test_a_fault_is_explained_wherever_it_is_shown(api: Api) -> None:
    fleet = Fleet(api, "auto")
    predictions = fleet.score()
    rows = predictions.to_pylist()
    assert {row["prediction"] for row in rows} == {NORMAL, ANOMALOUS}
    for row in rows:
        assert (row["explanation"] is not None) == (row["prediction"] == ANOMALOUS)
        assert row["expected_low"] <= row["expected_value"] <= row["expected_high"]
    publish_all(api, predictions)
    found = api.get("/api/anomalies", sensor_id=FAULTY)["items"]
    newest = found[0]
    assert newest["ts"] == "2026-11-20T10:15:00Z"
    assert newest["expected_low"] < newest["expected_value"] < newest["expected_high"] < newest["value"]
    told = newest["explanation"]
    assert f"{newest['value']:.0f}"[:2] in told
    assert " was expected; the " in told

    whole = api.get(f"/api/sensors/{FAULTY}/anomalies/{T0}")
    assert {key: whole[key] for key in newest} == newest
    assert whole["detector"] == "auto"
    assert whole["deviation"] == pytest.approx(newest["value"] - newest["expected_value"])
    fired = [member for member in whole["members"] if member["fired"]]
    assert fired
    assert all(member["score"] >= 50 for member in fired)
    assert [member["score"] for member in whole["members"]] == sorted(
        (member["score"] for member in whole["members"]), reverse=True
    )
    pattern = whole["pattern"]
    assert (pattern["found_by"], pattern["windows"], pattern["ts"][-1]) == ("kmeans", 96, T0)
    assert pattern["value"]
    assert all(17 < value < 23 for value in pattern["value"])
    assert len(pattern["ts"]) == len(pattern["value"]) <= 96

    (alert,) = api.get("/api/alerts")["items"]
    assert alert["explanation"] in {each["explanation"] for each in found}
    (told_outside,) = api.product.store.pending_notifications()
    message = alert_message(told_outside, None)
    # The alert's worst window may be a later one than those that it was told with.
    told_with = message.payload["explanation"]
    assert told_with in {each["explanation"] for each in found}
    assert ("Why", told_with) in facts(message.payload)


def test_publishing_and_scoring_again_changes_nothing(api: Api) -> None:
    fleet = Fleet(api, "auto")
    predictions = fleet.score()
    assert fleet.score().equals(predictions)
    publish_all(api, predictions)
    before = api.get("/api/anomalies")["items"]
    publish("again", predictions, store=api.product.store, policy=POLICY)
    assert api.get("/api/anomalies")["items"] == before


SIGNS = {
    "ocsvm": "the value is outside its usual range",
    "range": "the value is outside its usual range",
    "ewma": "the value is far from its recent average",
    "shift": "the level has shifted",
    "kmeans": "the last 96 windows are unlike any usual pattern",
}


@pytest.mark.parametrize("detector", SIGNS)
def test_a_detector_alone_says_what_it_can(api: Api, detector: str) -> None:
    publish_all(api, Fleet(api, detector).score())
    newest = api.get("/api/anomalies", sensor_id=FAULTY)["items"][0]
    whole = api.get(f"/api/sensors/{FAULTY}/anomalies/{T0}")
    (member,) = whole["members"]
    assert (member["name"], member["fired"], member["score"]) == (detector, True, math.floor(newest["score"]))
    assert newest["explanation"].endswith(f"{SIGNS[detector]}.")
    assert (whole["expected_value"] is None) == (detector != "ewma")
    assert (whole["deviation"] is None) == (detector != "ewma")
    assert (whole["expected_low"] is None) == (detector in {"shift", "kmeans"})
    assert (whole["pattern"] is None) == (detector != "kmeans")


def test_a_file_without_the_columns_is_published_like_before(api: Api) -> None:
    fleet = Fleet(api, "ewma")
    fleet.score()
    (name, content) = next(iter(fleet.files.files.items()))
    table = fleet.files.parse(name, content)
    nothing = table.drop_columns(["expected_value", "explanation"])
    publish_all(api, _read_back(nothing))
    newest = api.get("/api/anomalies", sensor_id=FAULTY)["items"][0]
    assert newest["expected_value"] is None
    assert newest["explanation"].endswith("was expected.")
    whole = api.get(f"/api/sensors/{FAULTY}/anomalies/{T0}")
    assert (whole["detector"], whole["members"], whole["pattern"]) == (None, [], None)


def _read_back(table: pa.Table) -> pa.Table:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return parse_predictions("old.parquet", sink.getvalue())


def test_a_damaged_explanation_is_refused_with_what_it_says(api: Api) -> None:
    fleet = Fleet(api, "ewma")
    table = fleet.score()
    place = table.schema.get_field_index("explanation")
    broken = table.set_column(place, "explanation", [["{"] * table.num_rows])
    with pytest.raises(InvalidInputError, match="expected an explanation as JSON, got"):
        publish_all(api, broken)


def test_a_window_that_is_not_anomalous_has_nothing_to_explain(api: Api) -> None:
    publish_all(api, Fleet(api, "ewma").score())
    problem = api.problem(f"/api/sensors/{FAULTY}/anomalies/{T0 + 5}", 404)
    assert "no anomaly of sensor 1" in problem["detail"]


def test_a_changed_window_is_explained_again(api: Api) -> None:
    fleet = Fleet(api, "auto")
    first = {row["ts"]: row for row in fleet.score().to_pylist() if row["sensor_id"] == QUIET}
    end = T0 - 5 * 20
    assert first[end]["explanation"] is None
    fleet.store.change(QUIET, NOW.fromtimestamp(end, NOW.tzinfo), 60.0)
    later = task("score", NOW.fromtimestamp(T0 + 60, NOW.tzinfo), NOW)
    done = score(later, store=fleet.store, registry=fleet.registry, predictions=fleet.files)
    assert done.file is not None
    (again,) = [row for row in fleet.files.read(done.file).to_pylist() if row["ts"] == end]
    assert again["rescored"]
    why = parse_explanation(again["explanation"])
    assert any(member.fired for member in why.members)


def stored_windows(api: Api, fleet: Fleet) -> None:
    """Put the fleet's windows into the database."""
    windows = [
        Window(sensor_id, end, 1, value, value, value, value * value)
        for sensor_id, series in fleet.store.windows.items()
        for end, (value, _) in series.items()
    ]
    counts = IngestCounts(len(windows), len(windows), 0, 0, 0)
    partition = Partition("readings", "$Default", "0")
    api.add_sensors(("press-1", "quiet"), ("press-1", "faulty"))
    api.product.store.commit_ingest(partition, None, OffsetCheckpoint(len(windows), NOW), windows, counts)


def since(windows: int) -> dict[str, str]:
    return {"from": NOW.fromtimestamp(T0 - 5 * windows, NOW.tzinfo).isoformat()}


def test_a_chart_has_the_expected_value_of_every_window(api: Api) -> None:
    fleet = Fleet(api, "auto")
    stored_windows(api, fleet)
    answer = api.get(f"/api/sensors/{FAULTY}/windows", **since(NEW))
    assert len(answer["ts"]) == NEW
    columns = [answer[name] for name in ("expected_low", "expected_value", "expected_high")]
    assert [len(column) for column in columns] == [NEW] * 3
    assert all(low <= value <= high for low, value, high in zip(*columns, strict=True))
    scored = {row["ts"]: row for row in fleet.score().to_pylist() if row["sensor_id"] == FAULTY}
    # The chart begins to follow the sensor two hours before what it shows; by then it knows what scoring knew.
    for ts, value in zip(answer["ts"][:-FAULT], answer["expected_value"], strict=False):
        assert value == pytest.approx(scored[ts]["expected_value"], abs=0.05)
    thin = api.get(f"/api/sensors/{FAULTY}/windows", points=40)
    assert len(thin["ts"]) <= 40
    assert len(thin["expected_value"]) == len(thin["ts"])
    assert thin["expected_value"][-1] == pytest.approx(answer["expected_value"][-1], abs=0.05)


def test_a_range_of_training_is_a_band_without_a_line(api: Api) -> None:
    stored_windows(api, Fleet(api, "range"))
    answer = api.get(f"/api/sensors/{QUIET}/windows")
    assert set(answer["expected_value"]) == {None}
    assert len(set(answer["expected_low"])) == 1
    assert None not in answer["expected_low"]


def test_too_many_windows_are_shown_without_what_was_expected(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorwatch.api.windows._MOST_EXPECTED", 100)
    stored_windows(api, Fleet(api, "ewma"))
    whole = api.get(f"/api/sensors/{QUIET}/windows")
    assert whole["windows_in_range"] > 100
    assert set(whole["expected_value"]) == set(whole["expected_low"]) == {None}
    assert whole["expected_left_out"]
    fewer = api.get(f"/api/sensors/{QUIET}/windows", **since(100))
    assert None not in fewer["expected_value"]
    assert not fewer["expected_left_out"]
