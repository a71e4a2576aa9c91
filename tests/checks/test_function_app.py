"""The function app as Azure sees it: indexed and invoked by Microsoft's own worker library."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fakes.ingestion import FakeDeadLetters
from fakes.scheduling import FakePool
from functions_worker import Message, StatusResult, TypedData, Worker, assert_success, worker

from sensorwatch.app import Product
from sensorwatch.errors import SettingsError, TransientError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings import load_settings
from sensorwatch.tasks.prediction_files import predictions_to_bytes
from sensorwatch.tasks.prediction_schema import prediction_schema

ROOT = Path(__file__).parents[2]
TEMPLATE: dict[str, str] = json.loads((ROOT / "local.settings.json.template").read_text())["Values"]
TRIGGERS = {
    "ingest": "eventHubTrigger",
    "train": "timerTrigger",
    "score": "timerTrigger",
    "maintenance": "timerTrigger",
    "sweep": "timerTrigger",
    "housekeeping": "timerTrigger",
    "publish": "blobTrigger",
    "api": "httpTrigger",
}
ARRIVAL = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)
NOW = ARRIVAL + timedelta(minutes=10)


@pytest.fixture(scope="module")
def app() -> Iterator[Worker]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("BLOB_TRIGGER_SOURCE", "SERVING_CONSUMER_GROUP"):
            patch.delenv(name, raising=False)
        with worker(ROOT) as indexed:
            yield indexed


@pytest.fixture
def letters() -> FakeDeadLetters:
    return FakeDeadLetters()


@pytest.fixture
def pool() -> FakePool:
    """A pool whose tasks succeeded eight days ago, as soon as they were submitted."""
    return FakePool(lambda: NOW - timedelta(days=8), succeeds=True)


@pytest.fixture
def product(
    app: Worker, letters: FakeDeadLetters, pool: FakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Product]:
    """The product's product on an empty SQLite file; only what would need a network is replaced."""
    product = Product(load_settings(TEMPLATE | {"DATABASE_URL": f"sqlite:///{tmp_path}/sensorwatch.db"}), lambda: NOW)
    product.__dict__.update(dead_letters=letters, pool=pool)
    for name, module in list(sys.modules.items()):
        if name.startswith("functions.") and hasattr(module, "get_product"):
            monkeypatch.setattr(module, "get_product", lambda: product)
    yield product
    if "store" in product.__dict__:
        product.store.dispose()


# ---- indexing --------------------------------------------------------------------------------------------------------


def test_every_function_is_found_with_its_trigger(app: Worker) -> None:
    assert {name: app.trigger(name)["type"] for name in app.functions} == TRIGGERS


@pytest.mark.parametrize("function", TRIGGERS)
def test_binding_names_are_ones_the_host_accepts(app: Worker, function: str) -> None:
    bindings = app.bindings(function)
    assert bindings
    for binding in bindings:
        assert binding["name"] == "$return" or re.fullmatch("[a-zA-Z][a-zA-Z0-9]{0,127}", binding["name"])


@pytest.mark.parametrize("function", TRIGGERS)
def test_every_setting_a_binding_names_is_in_the_template(app: Worker, function: str) -> None:
    bindings = app.bindings(function)
    assert bindings
    for binding in bindings:
        named = set(re.findall("%([^%]*)%", json.dumps(binding)))
        connection = binding.get("connection")
        assert named | ({connection} if connection else set()) <= TEMPLATE.keys()


def test_events_come_in_batches_as_bytes_and_are_tried_until_they_go_through(app: Worker) -> None:
    trigger = app.trigger("ingest")
    assert (trigger["cardinality"], trigger["dataType"]) == ("MANY", "BINARY")
    retries = app.functions["ingest"].retry_options
    assert (retries.retry_strategy, retries.max_retry_count) == ("exponential_backoff", -1)
    assert timedelta() < retries.minimum_interval < retries.maximum_interval


def test_no_timer_fires_just_because_the_host_starts(app: Worker) -> None:
    timers = [name for name, trigger in TRIGGERS.items() if trigger == "timerTrigger"]
    assert timers
    assert not any(app.trigger(name)["runOnStartup"] for name in timers)


def test_http_functions_ask_for_a_key(app: Worker) -> None:
    assert app.trigger("api")["authLevel"] == "FUNCTION"


def test_only_where_app_service_signs_people_in_does_the_host_ask_for_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for mode, level in (("entra", "ANONYMOUS"), ("local", "FUNCTION"), ("key", "FUNCTION"), ("Entra", "FUNCTION")):
        monkeypatch.setenv("API_AUTHENTICATION", mode)
        with worker(ROOT) as other:
            assert other.trigger("api")["authLevel"] == level


def test_every_path_and_method_is_the_apis() -> None:
    assert json.loads((ROOT / "host.json").read_text())["extensions"]["http"]["routePrefix"] == ""
    with worker(ROOT) as other:
        trigger = other.trigger("api")
    assert trigger["route"] == "{*path}"
    assert set(trigger["methods"]) >= {"GET", "POST", "PUT", "DELETE", "PATCH"}


def test_scoring_in_real_time_is_there_when_it_has_a_consumer_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVING_CONSUMER_GROUP", "serving")
    with worker(ROOT) as other:
        assert set(other.functions) == {*TRIGGERS, "serve"}
        trigger = other.trigger("serve")
        assert trigger["consumerGroup"] == "serving"
        expected = other.trigger("ingest") | {"consumerGroup": "serving"}
        assert {key: trigger[key] for key in expected} == expected


@pytest.mark.parametrize("source", ["EventGrid", "LogsAndContainerScan"])
def test_a_setting_says_how_the_host_learns_of_prediction_files(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setenv("BLOB_TRIGGER_SOURCE", source)
    with worker(ROOT) as other:
        assert other.trigger("publish")["source"] == source


def test_a_wrong_blob_trigger_source_fails_indexing_by_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOB_TRIGGER_SOURCE", "Polling")
    with pytest.raises(AssertionError, match="Polling"), worker(ROOT):
        pytest.fail("the app was indexed")


# ---- event hub -------------------------------------------------------------------------------------------------------


def reading(value: float, device: int = 1, tag: int = 1) -> bytes:
    return json.dumps({"TS": "2026-11-20T10:00:00Z", "Device": device, "Tag": tag, "Value": value}).encode()


def object_context(partition: str) -> TypedData:
    return TypedData(json=json.dumps({"PartitionId": partition, "EventHubName": "readings"}))


def text_context(partition: str) -> TypedData:
    return TypedData(string=json.dumps({"PartitionId": partition, "EventHubName": "readings"}))


def deliver(
    app: Worker,
    bodies: Sequence[bytes],
    *,
    enqueued: str | None = "2026-11-20T10:00:00.1234567Z",
    context: Callable[[str], TypedData] = object_context,
    function: str = "ingest",
) -> Any:
    """Deliver a batch of partition 0 whose sequence numbers start at 100, to ``ingest`` or another function."""
    properties = [
        {"SequenceNumber": 100 + index, "Offset": str(index), "PartitionKey": None, "EnqueuedTimeUtc": enqueued}
        for index in range(len(bodies))
    ]
    metadata = {"PartitionContext": context("0"), "SystemPropertiesArray": TypedData(json=json.dumps(properties))}
    return app.invoke(function, TypedData(collection_bytes=Message(bytes=list(bodies))), metadata)


def test_a_batch_becomes_windows_and_what_is_unusable_becomes_dead_letters(
    app: Worker, product: Product, letters: FakeDeadLetters
) -> None:
    assert_success(deliver(app, [reading(1.0), b"", b"\x00\xff\xfe garbage", reading(3.0)]))
    (status,) = product.store.ingest_status()
    assert status.counts._asdict() == {"received": 4, "accepted": 2, "late": 0, "duplicate": 0, "invalid": 2}
    assert [letter.body for letter in letters.read()] == [b"", b"\x00\xff\xfe garbage"]
    (value,) = product.store.read_windows(0, None, NOW).value
    assert value == 2.0


def test_a_batch_of_nothing_but_garbage_does_not_fail(app: Worker, product: Product) -> None:
    assert_success(deliver(app, [b"", b"\xff" * 10, b"[]", b"{"]))
    (status,) = product.store.ingest_status()
    assert status.counts.invalid == status.counts.received == 4


def test_an_empty_batch_changes_nothing(app: Worker, product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_success(deliver(app, []))
    assert "store" not in product.__dict__
    monkeypatch.setenv("SERVING_CONSUMER_GROUP", "serving")
    with worker(ROOT) as other:
        assert_success(deliver(other, [], function="serve"))


def test_a_batch_delivered_twice_counts_once(app: Worker, product: Product) -> None:
    for _ in range(2):
        assert_success(deliver(app, [reading(1.0), reading(2.0)]))
    (status,) = product.store.ingest_status()
    assert (status.counts.accepted, status.counts.duplicate) == (2, 2)


@pytest.mark.parametrize("context", [object_context, text_context], ids=["object", "text"])
@pytest.mark.parametrize("enqueued", ["2026-11-20T10:00:00.25Z", "2026-11-20T10:00:00.25"], ids=["aware", "naive"])
def test_partition_and_time_are_read_in_every_form(
    app: Worker, product: Product, context: Callable[[str], TypedData], enqueued: str
) -> None:
    assert_success(deliver(app, [reading(1.0)], context=context, enqueued=enqueued))
    (status,) = product.store.ingest_status()
    assert status.partition == ("readings", "$Default", "0")
    assert status.checkpoint == (100, ARRIVAL + timedelta(milliseconds=250))


def test_an_event_whose_duplicates_could_not_be_recognised_is_refused(app: Worker, product: Product) -> None:
    response = deliver(app, [reading(1.0)], enqueued=None)
    assert response.result.status == StatusResult.Failure
    assert "enqueued time" in response.result.exception.message
    assert product.store.ingest_status() == []


def test_a_transient_error_is_left_to_the_retries(app: Worker, product: Product) -> None:
    def away(*_: object) -> None:
        raise TransientError("the database is away")

    product.__dict__["_ingest"] = away
    response = deliver(app, [reading(1.0)])
    assert response.result.status == StatusResult.Failure
    assert "the database is away" in response.result.exception.message


# ---- timers ----------------------------------------------------------------------------------------------------------


def fire(app: Worker, timer: str, *, past_due: bool = False) -> None:
    request = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": past_due}
    assert_success(app.invoke(timer, TypedData(json=json.dumps(request))))


def test_a_training_timer_fired_twice_submits_one_job(app: Worker, product: Product, pool: FakePool) -> None:
    assert_success(deliver(app, [reading(1.0)]))
    fire(app, "train")
    fire(app, "train", past_due=True)
    (run,) = product.store.runs()
    assert list(pool.runs) == [run.run_id]
    assert run.tasks["planned"] == 1


def test_a_scoring_timer_submits_nothing_before_there_are_models(app: Worker, product: Product, pool: FakePool) -> None:
    assert_success(deliver(app, [reading(1.0)]))
    fire(app, "score")
    assert product.store.runs() == []
    assert pool.runs == {}


def test_the_sweep_closes_a_run_whose_job_is_done(app: Worker, product: Product) -> None:
    assert_success(deliver(app, [reading(1.0)]))
    fire(app, "train")
    fire(app, "sweep")
    (run,) = product.store.runs()
    assert (run.ended_at, run.tasks["succeeded"]) == (NOW, 1)


def test_housekeeping_deletes_old_jobs_and_keeps_what_they_did(app: Worker, product: Product, pool: FakePool) -> None:
    assert_success(deliver(app, [reading(1.0)]))
    fire(app, "train")
    fire(app, "sweep")
    fire(app, "housekeeping")
    assert pool.runs == {}
    assert len(product.store.runs()) == 1


# ---- blobs -----------------------------------------------------------------------------------------------------------


def upload(app: Worker, name: str, content: bytes) -> Any:
    metadata = {
        "BlobTrigger": TypedData(string=f"predictions/{name}"),
        "Uri": TypedData(json=json.dumps(f"http://127.0.0.1:10000/devstoreaccount1/predictions/{name}")),
        "Properties": TypedData(json=json.dumps({"ContentLength": len(content)})),
        "Metadata": TypedData(json="{}"),
        "name": TypedData(string=name),
    }
    return app.invoke("publish", TypedData(bytes=content), metadata)


def prediction_file() -> bytes:
    """Return four windows of sensor 0 of which the last three are anomalous."""
    import pyarrow as pa

    end = int(ARRIVAL.timestamp())
    rows = [
        {
            "sensor_id": 0,
            "device": "1",
            "tag": "1",
            "ts": end + 5 * index,
            "value": 1.0,
            "prediction": -1 if index else 1,
            "score": 90.0 if index else 10.0,
            "severity": "high" if index else "normal",
            "expected_low": 0.0,
            "expected_high": 0.5,
            "model_version": "20261120T090000Z-0011223344556677",
            "rescored": False,
        }
        for index in range(4)
    ]
    return predictions_to_bytes(pa.Table.from_pylist(rows, schema=prediction_schema()), "parquet")


def test_a_prediction_file_delivered_twice_opens_one_alert(app: Worker, product: Product) -> None:
    assert_success(deliver(app, [reading(1.0)]))
    assert [sensor.sensor_id for sensor in product.store.sensors()] == [0]
    for _ in range(2):
        assert_success(upload(app, "run=score-20261120T100500Z/shard=000000.parquet", prediction_file()))
    assert len(product.store.anomalies()) == 3
    (alert,) = product.store.alerts(open_only=True)
    assert (alert.sensor_id, alert.anomalies, alert.severity) == (0, 3, "high")
    assert product.store.pending_notifications() == []


def test_a_blob_that_is_no_prediction_file_fails_by_name(app: Worker, product: Product) -> None:
    name = "run=score-20261120T100500Z/shard=000000.parquet"
    response = upload(app, name, b"not parquet")
    assert response.result.status == StatusResult.Failure
    assert name in response.result.exception.message
    assert product.store.unpublished([name]) == [name]


# ---- HTTP ------------------------------------------------------------------------------------------------------------


def get(app: Worker, path: str, **query: str) -> tuple[int, Any]:
    request = Message(
        method="GET",
        url=f"http://127.0.0.1:7071/{path}?{urlencode(query)}",
        headers={"accept": "application/json"},
        params={"path": path},
        query=query,
        body=TypedData(bytes=b""),
    )
    response = app.invoke("api", TypedData(http=request))
    assert_success(response)
    answer = response.return_value.http
    kind = "application/json" if int(answer.status_code) == 200 else "application/problem+json"
    assert answer.headers["content-type"] == kind
    return int(answer.status_code), json.loads(answer.body.bytes)


def test_health_is_good_when_the_database_is_reachable(app: Worker, product: Product) -> None:
    status, body = get(app, "api/health")
    assert (status, body["status"]) == (200, "healthy")


def test_health_gives_the_reason_when_the_database_is_not_one(app: Worker, product: Product, tmp_path: Path) -> None:
    (tmp_path / "sensorwatch.db").write_bytes(b"something else" * 100)
    status, body = get(app, "api/health")
    assert (status, body["status"]) == (503, 503)
    assert body["detail"].startswith("DATABASE_URL: ")


def test_a_wrong_setting_is_answered_with_its_name(
    app: Worker, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Product:
        raise SettingsError("WINDOW_SECONDS: must divide 86400")

    monkeypatch.setattr(sys.modules["functions.api"], "get_product", refuse)
    assert get(app, "api/sensors") == (
        503,
        {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "WINDOW_SECONDS: must divide 86400",
        },
    )


def test_ingested_readings_are_visible(app: Worker, product: Product) -> None:
    assert get(app, "api/ingest-status") == (200, {"partitions": []})
    assert_success(deliver(app, [reading(1.0), b""], enqueued="2026-11-20T10:00:00Z"))
    _, body = get(app, "api/ingest-status")
    assert [(each["partition_id"], each["accepted"], each["invalid"]) for each in body["partitions"]] == [("0", 1, 1)]


def test_parameters_arrive_as_they_were_sent(app: Worker, product: Product) -> None:
    product.store.sensor_ids([SensorKey("pump 1+2 & ü", "t"), SensorKey("other", "t")])
    status, body = get(app, "api/sensors", device="pump 1+2 & ü")
    assert (status, [sensor["device"] for sensor in body["items"]]) == (200, ["pump 1+2 & ü"])
    assert get(app, "api/sensors", limit="0")[0] == 400
    assert get(app, "api/ü")[0] == 404
