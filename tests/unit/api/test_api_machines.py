"""Machines in the API: by risk, over time, and their events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from api_client import T0
from fakes.machines import FakeMachineData

from sensorwatch.machines.datasets import schema_of
from sensorwatch.machines.records import MachineInfo, MachineRisk, RiskReason

if TYPE_CHECKING:
    from api_client import Api

    from sensorwatch.machines.datasets import DataSet

pytest_plugins = ["api_fixtures"]

HALF_DAY = 43_200
END = T0 // HALF_DAY * HALF_DAY
WHY = (RiskReason("age", "it is old", 0.5), RiskReason("volt", "volt is high", 2.0))


@pytest.fixture
def rows(api: Api) -> FakeMachineData:
    kept = FakeMachineData()
    api.product.machines.__dict__["data"] = kept
    return kept


def add(kept: FakeMachineData, data_set: DataSet, rows: list[dict[str, object]]) -> None:
    kept.add(data_set, pa.Table.from_pylist(rows, schema_of(data_set)))


def risk(machine_id: int, component: str, value: float, end: int = END, *, warns: bool = False) -> MachineRisk:
    return MachineRisk(machine_id, component, end, value, 0.4, warns, WHY if warns else (), "v1")


def put(api: Api, *risks: MachineRisk) -> None:
    store = api.product.store
    store.put_machines([MachineInfo(each, "model3", 7.0) for each in range(6)])
    store.put_risks(risks)


def test_machines_come_by_their_newest_risk_page_by_page(api: Api) -> None:
    assert api.get("/api/machines") == {"items": [], "next": None}
    older = risk(0, "comp1", 0.99, END - HALF_DAY)
    newest = [risk(0, "comp1", 0.1), risk(1, "comp1", 0.2), risk(1, "comp2", 0.5, warns=True)]
    put(api, older, *newest, risk(2, "comp4", 0.1), risk(4, "comp1", 0.1))
    pages = api.pages("/api/machines", limit=2)
    assert [[each["machine_id"] for each in page] for page in pages] == [[1, 0], [2, 4]]
    first = pages[0][0]
    assert (first["model"], first["age"], first["model_version"]) == ("model3", 7.0, "v1")
    assert [each["component"] for each in first["components"]] == ["comp2", "comp1"]
    assert [each["text"] for each in first["components"][0]["reasons"]] == ["volt is high", "it is old"]


def test_a_machine_has_its_risks_over_time_and_its_warnings(api: Api) -> None:
    times = [END - 2 * HALF_DAY, END - HALF_DAY, END]
    put(
        api,
        *(risk(3, "comp1", 0.1 * n, at, warns=n > 0) for n, at in enumerate(times)),
        risk(3, "comp2", 0.3),
    )
    found = api.get("/api/machines/3", days=1)
    assert found["ts"] == times[1:]
    assert found["risks"] == {"comp1": [0.1, 0.2], "comp2": [None, 0.3]}
    assert [each["risk"] for each in found["warnings"]] == [0.2, 0.1]
    assert [each["component"] for each in found["machine"]["components"]] == ["comp2", "comp1"]


def test_signals_are_thinned_out_with_their_extremes_and_events_beside(api: Api, rows: FakeMachineData) -> None:
    put(api, risk(3, "comp1", 0.1))
    signals = {"volt": 170.0, "rotate": 450.0, "pressure": 100.0, "vibration": 40.0}
    telemetry: list[dict[str, object]] = [{"datetime": END - 3600 * n, "machineID": 3, **signals} for n in range(400)]
    telemetry[100]["volt"] = 250.0
    telemetry.append({"datetime": END, "machineID": 3, **signals, "rotate": 470.0})
    add(rows, "telemetry", [*telemetry, {"datetime": END, "machineID": 2, **signals, "volt": 999.0}])
    errors = [{"datetime": at, "machineID": 3, "errorID": "error2"} for at in (END, END, END - 90 * 86_400, END + 3600)]
    add(rows, "errors", errors)
    found = api.get("/api/machines/3/signals", points=64)
    assert found["readings_in_range"] == 400
    assert len(found["ts"]) <= 64
    assert found["ts"] == sorted(found["ts"])
    assert max(found["signals"]["volt"]) == 250.0
    assert found["signals"]["rotate"][-1] == 460.0
    assert [each["what"] for each in found["errors"]] == ["error2"]
    assert found["replacements"] == found["failures"] == []


def test_a_machine_that_was_not_scored_shows_what_there_is(api: Api, rows: FakeMachineData) -> None:
    put(api)
    assert api.get("/api/machines/3")["machine"]["components"] == []
    assert api.get("/api/machines/3/signals")["readings_in_range"] == 0
    assert "no machine 9" in api.problem("/api/machines/9", 404)["detail"]
    reading: dict[str, object] = {
        "datetime": END,
        "machineID": 3,
        "volt": 1.0,
        "rotate": 2.0,
        "pressure": 3.0,
        "vibration": 4.0,
    }
    add(rows, "telemetry", [reading])
    assert api.get("/api/machines/3/signals")["signals"]["pressure"] == [3.0]
