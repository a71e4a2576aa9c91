"""Syntax of bindings: settings, blob paths, routes, time spans, host.json and retry policies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.functions_host.app import RetryPolicy
from local.functions_host.binding_expressions import parse_blob_path, parse_time_span, resolve_settings
from local.functions_host.errors import HostError
from local.functions_host.host_json import EventHubOptions, read_host_json
from local.functions_host.routes import parse_route

if TYPE_CHECKING:
    from pathlib import Path


def test_settings_are_put_in_wherever_they_are_named() -> None:
    assert resolve_settings("%A%/x-%B%", {"A": "one", "B": "two"}, "function f") == "one/x-two"


def test_text_without_settings_stays_as_it_is() -> None:
    assert resolve_settings("100% sure", {}, "function f") == "100% sure"


@pytest.mark.parametrize("settings", [{}, {"HUB": ""}])
def test_a_missing_setting_is_named_with_its_function(settings: dict[str, str]) -> None:
    with pytest.raises(HostError, match=r"function ingest.*HUB"):
        resolve_settings("%HUB%", settings, "function ingest")


@pytest.mark.parametrize(
    ("path", "name", "values"),
    [
        ("predictions/{name}", "a/b.parquet", {"name": "a/b.parquet"}),
        ("predictions/{name}.csv", "a.csv", {"name": "a"}),
        ("predictions/{name}.csv", "a.parquet", None),
        ("predictions/{day}/{name}.{kind}", "2026/x.y.csv", {"day": "2026", "name": "x.y", "kind": "csv"}),
        ("predictions/in/{name}", "out/a", None),
        ("predictions/{name}", "", None),
        ("predictions/{x}-{x}", "a-a", {"x": "a"}),
        ("predictions/{x}-{x}", "a-b", None),
        ("predictions/a.b", "a.b", {}),
        ("predictions/a.b", "a_b", None),
        ("predictions", "anything/at all", {}),
    ],
)
def test_blob_path_matches_names(path: str, name: str, values: dict[str, str] | None) -> None:
    parsed = parse_blob_path(path, "function f")
    assert parsed.container == "predictions"
    assert parsed.match(name) == values


@pytest.mark.parametrize("path", ["", "/x", "{container}/x", "c/{name", "c/na}me", "c/{}"])
def test_other_blob_paths_are_refused(path: str) -> None:
    with pytest.raises(HostError, match="function f"):
        parse_blob_path(path, "function f")


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00:05", 5.0), ("01:02:03", 3723.0), ("1.00:00:00", 86_400.0), ("00:00:00.25", 0.25)]
)
def test_time_spans_are_seconds(text: str, seconds: float) -> None:
    assert parse_time_span(text, "host.json") == seconds


@pytest.mark.parametrize("text", ["5", "00:05", "five", "-00:00:01"])
def test_other_time_spans_are_refused(text: str) -> None:
    with pytest.raises(HostError, match="00:00:30"):
        parse_time_span(text, "host.json")


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("health", "health", {}),
        ("health", "Health/", {}),
        ("sensors/{id:int}", "sensors/12", {"id": "12"}),
        ("sensors/{id:int}", "sensors/twelve", None),
        ("sensors/{id}/{part?}", "sensors/a", {"id": "a"}),
        ("sensors/{id}/{part?}", "sensors/a/b", {"id": "a", "part": "b"}),
        ("sensors/{id}", "sensors/a/b", None),
        ("files/{*rest}", "files/a/b", {"rest": "a/b"}),
        ("files/{*rest}", "files", {}),
        ("{a}", "x", {"a": "x"}),
    ],
)
def test_route_matches_paths(template: str, path: str, values: dict[str, str] | None) -> None:
    assert parse_route(template, "function f").match(path) == values


def test_more_specific_routes_come_first() -> None:
    templates = ["a/{*rest}", "a/{x}", "a/{x:int}", "a/b"]
    ordered = sorted(templates, key=lambda template: parse_route(template, "function f").order)
    assert ordered == ["a/b", "a/{x:int}", "a/{x}", "a/{*rest}"]


@pytest.mark.parametrize("template", ["a/{x", "a/x{y}", "a/{x:regex}"])
def test_other_routes_are_refused(template: str) -> None:
    with pytest.raises(HostError, match="function f"):
        parse_route(template, "function f")


def test_retry_delay_doubles_up_to_the_longest_however_often() -> None:
    policy = RetryPolicy(-1, 1.0, 30.0)
    assert [policy.delay_seconds(retry) for retry in (1, 2, 3, 6, 10_000)] == [1.0, 2.0, 4.0, 30.0, 30.0]


def test_an_empty_host_json_has_the_real_hosts_defaults(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    options = read_host_json(tmp_path / "host.json")
    assert options.event_hubs == EventHubOptions(100, 1, 60.0, 300, 1, "-1")
    assert (options.blob_tries, options.route_prefix, options.log_level) == (5, "api", "INFO")


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"eventHubs": {"maxEventBatchSize": "many"}}, "maxEventBatchSize"),
        ({"eventHubs": {"maxEventBatchSize": 1, "minEventBatchSize": 2}}, "minEventBatchSize"),
        ({"eventHubs": {"maxWaitTime": "soon"}}, "maxWaitTime"),
        ({"eventHubs": {"initialOffsetOptions": {"type": "middle"}}}, "initialOffsetOptions"),
        ({"eventHubs": {"initialOffsetOptions": {"type": "fromEnqueuedTime"}}}, "enqueuedTimeUtc"),
        ({"blobs": {"poisonBlobThreshold": 0}}, "poisonBlobThreshold"),
        ({"blobs": []}, "blobs"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, section: dict[str, Any], key: str) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"extensions": section}))
    with pytest.raises(HostError, match=key):
        read_host_json(tmp_path / "host.json")
