"""Filters, selections and pages of the Batch service's lists."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.batch.errors import ServiceError
from local.batch.odata import keep, paginate, predicate

_TASK: dict[str, Any] = {
    "id": "Train-000012",
    "state": "completed",
    "creationTime": "2026-11-20T10:15:00Z",
    "executionInfo": {"exitCode": 3, "result": "failure", "retryCount": 2},
}


@pytest.mark.parametrize(
    "text",
    [
        "state eq 'completed'",
        "id ne 'other'",
        "executionInfo/result eq 'failure'",
        "executionInfo/exitCode gt 2 and executionInfo/retryCount le 2",
        "state eq 'active' or (state eq 'completed' and startswith(id,'train-'))",
        "not (state eq 'active')",
        "not not state eq 'completed'",
        "creationTime ge DateTime'2026-11-20T10:00:00Z'",
        "creationTime lt datetime'2026-11-20T12:00:00'",
        "executionInfo/schedulingError eq null",
        "state eq 'active' and state eq 'running' or state eq 'completed'",
    ],
)
def test_filters_that_hold(text: str) -> None:
    assert predicate(text)(_TASK)


@pytest.mark.parametrize(
    "text",
    [
        "state eq 'active'",
        "executionInfo/exitCode eq 0",
        "executionInfo/exitCode gt 'text'",
        "missing gt 3",
        "startswith(id,'score')",
        "state eq 'completed' and not startswith(id,'train')",
        "id eq 'it''s'",
    ],
)
def test_filters_that_do_not_hold(text: str) -> None:
    assert not predicate(text)(_TASK)


@pytest.mark.parametrize(
    "text",
    ["state", "state eq", "state is 'x'", "state eq 'x", "(state eq 'x'", "state eq 'x' state", "~", "(" * 90],
)
def test_a_filter_that_cannot_be_parsed_is_a_bad_request(text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        predicate(text)
    assert (caught.value.status, caught.value.code) == (400, "InvalidQueryParameterValue")


@given(st.text(max_size=40))
def test_any_filter_is_parsed_or_refused(text: str) -> None:
    with suppress(ServiceError):
        predicate(text)(_TASK)


def test_select_keeps_the_named_properties() -> None:
    assert keep(_TASK, "id, executionInfo/result,unknown") == {
        "id": "Train-000012",
        "executionInfo": _TASK["executionInfo"],
    }
    assert keep(_TASK, None) == _TASK


def test_pages_follow_each_other_without_gaps_even_when_entries_go() -> None:
    entries = [(number, {"id": f"t{number}"}) for number in range(5)]
    first = paginate(entries, max_results="2")
    assert [document["id"] for document in first.documents] == ["t0", "t1"]
    second = paginate(entries[3:], max_results="2", after=str(first.next_after))
    assert [document["id"] for document in second.documents] == ["t3", "t4"]
    assert second.next_after is None


def test_a_page_that_is_exactly_full_at_the_end_has_no_next() -> None:
    entries = [(number, {"id": str(number), "state": "active" if number % 2 else "done"}) for number in range(4)]
    page = paginate(entries, keep_if=predicate("state eq 'active'"), max_results="2")
    assert (len(page.documents), page.next_after) == (2, None)


@pytest.mark.parametrize(("max_results", "after"), [("0", None), ("1001", None), ("many", None), ("1", "x")])
def test_paging_out_of_range_is_a_bad_request(max_results: str, after: str | None) -> None:
    with pytest.raises(ServiceError, match="query parameters"):
        paginate([], max_results=max_results, after=after)
