"""Bodies of events: the golden ones, and whatever may come of them on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sensorwatch.ingestion.decode import parse_time

__all__ = ["body_of", "golden_cases", "mutated_bodies"]

_EVENTS = Path(__file__).parents[0] / "data" / "events"
_FRAGMENTS = [
    b'"',
    b"\\u",
    b"\\ud83d",
    b"e999",
    b"[",
    b"]",
    b"{",
    b"}",
    b"\n",
    b"NaN",
    b"null",
    b":",
    b",",
    b"\xff",
    b"-",
]


def golden_cases() -> list[dict[str, Any]]:
    """Return the cases of every file, with the time at which the hub took the event in ticks as ``now``."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(_EVENTS.glob("*.json"))]
    return [case | {"now": parse_time(file["enqueued_time"])} for file in files for case in file["cases"]]


def body_of(case: dict[str, Any]) -> bytes:
    """Return a case's body."""
    body = case["body"]
    text = body if isinstance(body, str) else body["repeat"] * body["times"]
    return text.encode()


@st.composite
def mutated_bodies(draw: st.DrawFn) -> bytes:
    """Return a golden body with some of its bytes replaced."""
    body = bytearray(draw(st.sampled_from([body_of(case) for case in golden_cases() if len(case["body"]) > 2])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        width = draw(st.integers(0, 4))
        body[at : at + width] = draw(st.binary(max_size=4) | st.sampled_from(_FRAGMENTS))
    return bytes(body)
