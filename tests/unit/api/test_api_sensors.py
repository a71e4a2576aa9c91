"""The API: sensors, page by page."""

from __future__ import annotations

import pytest
from api_client import NOW, Api

from sensorwatch.sensors.records import TrainingOutcome

pytest_plugins = ["api_fixtures"]


def test_sensors_are_listed_by_state_page_by_page(api: Api) -> None:
    api.add_sensors(*((str(device), "t") for device in (1, 2, 3)))
    trained = [TrainingOutcome(i, "ready", "", NOW, "v1") for i in (0, 1)]
    api.product.store.record_training([*trained, TrainingOutcome(2, "failed", "no spread", None, "")])
    found = api.pages("/api/sensors", state="ready", limit=1)
    assert [[sensor["device"] for sensor in page] for page in found] == [["1"], ["2"]]
    states = {"no-data": 0, "warming": 0, "ready": 2, "stale": 0, "failed": 1}
    assert api.get("/api/sensors", state="ready", limit=1)["states"] == states
    (failed,) = api.get("/api/sensors", device="3")["items"]
    assert (failed["state"], failed["reason"], failed["first_seen"]) == ("failed", "no spread", "2026-11-20T10:15:00Z")


def test_the_search_takes_the_beginning_of_a_device_or_a_tag_as_it_is_written(api: Api) -> None:
    api.add_sensors(("pump-1", "heat"), ("Pump-2", "heat"), ("valve", "pumping"), ("50%_x", "y"), ("50ab", "y"))
    for text, expected in (("pump", ["pump-1", "valve"]), ("50%", ["50%_x"]), ("x", [])):
        assert [each["device"] for each in api.get("/api/sensors", search=text)["items"]] == expected


def test_one_sensor_and_none(api: Api) -> None:
    api.add_sensors(("a", "t"))
    assert api.get("/api/sensors/0")["device"] == "a"
    assert api.problem("/api/sensors/1", 404)["detail"] == "no sensor 1; /api/sensors lists them"


@pytest.mark.parametrize(
    ("name", "value"), [("state", "Ready"), ("limit", "0"), ("limit", "1001"), ("limit", "1e2"), ("after", "9" * 40)]
)
def test_a_wrong_parameter_is_named_with_its_value(api: Api, name: str, value: str) -> None:
    detail = api.problem("/api/sensors", 400, **{name: value})["detail"]
    assert detail.startswith(f"{name}: ")
    assert detail.endswith(f"got `{value}`")
