"""Expected result of ingestion: a plain loop over all events, each once, in the order of the hub."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sensorwatch.ingestion.records import RawEvent

__all__ = ["Counts", "Expected", "assert_windows", "reference"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = tuple[int, float, float, float, float]
"""Of a window: readings, minimum, maximum, sum, sum of squares."""


@dataclass
class Counts:
    """Readings of one partition."""

    accepted: int = 0
    late: int = 0
    invalid: int = 0

    @property
    def total(self) -> int:
        return self.accepted + self.late + self.invalid


@dataclass
class Expected:
    """Values by device, tag and end of window; counts by partition; rejected readings by where they stand."""

    windows: dict[tuple[str, str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    rejected: dict[tuple[str, int, datetime, int], str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(counts.total for counts in self.counts.values())


def reference(
    events: Iterable[tuple[str, RawEvent]],
    *,
    window_seconds: int = 5,
    lateness_seconds: int = 3600,
    future_seconds: int = 300,
) -> Expected:
    """Return what the events (with their partition's id) come to; a sensor's readings are in one partition.

    Times of readings are taken to the microsecond.
    """
    expected = Expected()
    newest: dict[tuple[str, str], int] = {}
    for partition, event in events:
        counts = expected.counts[partition]
        for index, element in enumerate(_elements(event.body)):
            place = (partition, event.sequence_number, event.enqueued_time, index)
            reading = _reading(element, event.enqueued_time, future_seconds)
            if reading is None:
                counts.invalid += 1
                expected.rejected[place] = "invalid"
                continue
            device, tag, moment, value = reading
            end = -(-((moment - _EPOCH) // timedelta(microseconds=1)) // (window_seconds * 1_000_000)) * window_seconds
            if end <= newest.get((device, tag), end) - max(lateness_seconds, 1):
                counts.late += 1
                expected.rejected[place] = "late"
                continue
            newest[device, tag] = max(end, newest.get((device, tag), end))
            counts.accepted += 1
            expected.windows[device, tag, end].append(value)
    return expected


def assert_windows(found: dict[tuple[str, str, int], Row], expected: Expected) -> None:
    """Assert that windows are the expected ones: numbers, minima and maxima to the bit, sums to 1e-9."""
    assert found.keys() == expected.windows.keys()
    for key, values in expected.windows.items():
        readings, minimum, maximum, total, squares = found[key]
        assert (readings, minimum, maximum) == (len(values), min(values), max(values)), key
        # Of values that cancel each other out, only the error's size against theirs says something.
        assert abs(total - math.fsum(values)) <= 1e-9 * math.fsum(map(abs, values)), key
        assert math.isclose(squares, math.fsum(value * value for value in values), rel_tol=1e-9), key


def _elements(body: bytes) -> list[object]:
    try:
        whole = json.loads(body.decode())
    except ValueError:
        lines = [_parsed(line) for line in body.split(b"\n") if line.strip()]
        return lines if any(isinstance(line, dict) for line in lines) else [None]
    return whole if isinstance(whole, list) and whole else [whole]


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line.decode())
    except ValueError:
        return None


def _reading(element: object, enqueued_time: datetime, future_seconds: int) -> tuple[str, str, datetime, float] | None:
    if not isinstance(element, dict):
        return None
    device, tag, value, text = (element.get(name) for name in ("Device", "Tag", "Value", "TS"))
    if not isinstance(device, int | str) or not isinstance(tag, int | str) or not isinstance(value, int | float):
        return None
    moment = enqueued_time if text is None else datetime.fromisoformat(str(text))
    if not math.isfinite(value) or moment > enqueued_time + timedelta(seconds=future_seconds):
        return None
    return str(device), str(tag), moment, float(value)
