"""The API: ETags, problems, cursors and the dashboard's files."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from api_client import NOW, T0, Api, as_problem, client_of
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.api.app import create_app
from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["api_fixtures"]


def test_an_etag_changes_with_the_content_only(api: Api) -> None:
    first = api.client.get("/api/sensors")
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = api.client.get("/api/sensors", headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    api.add_sensors(("a", "t"))
    changed = api.client.get("/api/sensors", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize("path", ["/api/overview", "/api/fleet-map", "/api/sensors", "/api/sensors/0", "/api/serving"])
def test_polled_answers_stay_the_same_while_nothing_happens(api: Api, path: str) -> None:
    api.add_sensors(("a", "t"))
    partition, counts = Partition("readings", "$Default", "0"), IngestCounts(1, 1, 0, 0, 0)
    api.product.store.commit_ingest(
        partition, None, OffsetCheckpoint(1, NOW), [Window(0, T0, 1, 1.0, 1.0, 1.0, 1.0)], counts
    )
    tags = []
    for _ in range(3):
        tags.append(api.client.get(path).headers["etag"])
        api.clock.turn(30)
    assert tags[1] == tags[2]
    same = api.client.get(path, headers={"If-None-Match": tags[2]})
    assert (same.status_code, same.content) == (304, b"")


def test_the_overview_shows_the_time_of_the_partition_that_is_furthest_behind(api: Api) -> None:
    assert api.get("/api/overview")["ingest"]["watermark"] is None
    for partition, seconds in (("0", 40), ("1", 90)):
        mark = OffsetCheckpoint(1, NOW - timedelta(seconds=seconds))
        counts = IngestCounts(0, 0, 0, 0, 0)
        api.product.store.commit_ingest(Partition("readings", "$Default", partition), None, mark, [], counts)
    assert api.get("/api/overview")["ingest"]["watermark"] == "2026-11-20T10:13:30Z"


def test_problems_have_no_etag_and_are_not_kept(api: Api) -> None:
    answer = api.client.get("/api/sensors/9", headers={"If-None-Match": "*"})
    as_problem(answer, 404)
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


def test_unknown_paths_and_methods_are_problems(api: Api) -> None:
    as_problem(api.client.get("/api/nothing"), 404)
    answer = api.client.delete("/api/sensors", headers={"Content-Type": "application/json"})
    as_problem(answer, 405)
    assert answer.headers["allow"] == "GET"


def test_a_crash_is_answered_without_its_details(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret reason")

    monkeypatch.setattr(api.product.store, "alert_counts", fail)
    assert "the app's log has the reason" in as_problem(api.client.get("/api/overview"), 500)["detail"]
    assert "GET /api/overview failed" in caplog.text


KEYS = st.tuples(st.integers(-(2**53), 2**53), st.text(max_size=40))


@given(KEYS)
def test_a_cursor_gives_its_key_back_to_its_own_list_only(key: tuple[int, str]) -> None:
    own = Cursors("alerts", {"state": "open"})
    text = own.write(key)
    assert own.read(text, tuple[Key, str]) == key
    for other in (Cursors("alerts", {"state": None}), Cursors("incidents", {"state": "open"})):
        with pytest.raises(InvalidInputError):
            other.read(text, tuple[Key, str])


@given(KEYS, st.data())
def test_a_changed_cursor_is_refused(key: tuple[int, str], data: st.DataObject) -> None:
    own = Cursors("alerts", {})
    text = own.write(key)
    position = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from([c for c in "Az09-_=+ " if c != text[position]]))
    with pytest.raises(InvalidInputError, match="after: "):
        own.read(text[:position] + other + text[position + 1 :], tuple[Key, str])


def test_the_dashboards_files_are_served_and_nothing_else(api: Api, tmp_path: Path) -> None:
    web = tmp_path / "web"
    (web / "lib").mkdir(parents=True)
    (web / "index.html").write_text("<title>Sensorwatch</title>")
    (web / "lib" / "a.js").write_text("1")
    (web / ".hidden.js").write_text("1")
    (web / "notes.md").write_text("1")
    (tmp_path / "outside.js").write_text("1")
    (web / "link.js").symlink_to(tmp_path / "outside.js")
    with client_of(create_app(lambda: api.product, web)) as client:
        page = client.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert client.get("/web/lib/a.js").headers["content-type"] == "text/javascript; charset=utf-8"
        hidden = ("x.js", ".hidden.js", "notes.md", "link.js", "..%2foutside.js", "lib", "%00.js", "..%5coutside.js")
        for name in hidden:
            as_problem(client.get(f"/web/{name}"), 404)
    with client_of(create_app(lambda: api.product, tmp_path / "none")) as client:
        assert "not installed" in as_problem(client.get("/"), 404)["detail"]
