"""Content of telemetry files: totals of metrics, and the spans of one reading."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.telemetry.rotation import read_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["ReadingToFollow", "RecordedSpan", "Recording", "Step"]


@dataclass(frozen=True, slots=True)
class RecordedSpan:
    """A span from a line of the file. ``start`` is ISO 8601 in UTC, ``links`` are span ids."""

    name: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start: str
    seconds: float
    error: str | None
    attributes: Mapping[str, Any]
    links: Sequence[str]


@dataclass(frozen=True, slots=True)
class ReadingToFollow:
    """A reading whose spans are looked up.

    Attributes
    ----------
    device
        Device of the reading.
    sensor_id, shard
        Its sensor in the catalogue.
    first_ticks, last_ticks
        Range of its time, both ends inclusive, in units of 100 ns since 1970-01-01T00:00:00Z.
    end
        End of its window, in seconds since 1970-01-01T00:00:00Z.
    """

    device: str
    sensor_id: int
    shard: int
    first_ticks: int
    last_ticks: int
    end: int


@dataclass(frozen=True, slots=True)
class Step:
    """A span of a reading. ``depth`` is 0 at the root of a trace.

    ``link`` is the relation to the reading if the span has no parent among the steps: ``sent`` (the event carried the
    context of the previous step), ``window`` (the span processed the reading's window) or ``alert`` (the window opened
    an alert in it).
    """

    depth: int
    span: RecordedSpan
    link: str | None = None


class Recording:
    """Spans and totals of telemetry files."""

    def __init__(self, spans: Sequence[RecordedSpan], measurements: Sequence[Mapping[str, Any]]) -> None:
        self.spans = sorted(spans, key=lambda span: span.start)
        self._measurements = measurements
        self._by_id = {span.span_id: span for span in spans}
        self._children: dict[str, list[RecordedSpan]] = defaultdict(list)
        for span in self.spans:
            if span.parent_id is not None:
                self._children[span.parent_id].append(span)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the files of all processes that are named after ``file``. Incomplete last lines are skipped.

        Raises
        ------
        NotFoundError
            There is no such file.
        InvalidInputError
            A line is not a JSON object.
        """
        parts = read_parts(file)
        if not parts:
            raise NotFoundError(f"{file}: no such file; set TELEMETRY_EXPORTER to file, and running processes write it")
        lines = [line for path, content in parts for line in _lines(path, content)]
        spans = [_span(line) for line in lines if "span" in line]
        return cls(spans, [line for line in lines if "metric" in line])

    def total(self, metric: str, **attributes: str) -> float:
        """Return the total of a counter, or the number of measurements of a histogram.

        Only measurements with these attributes count.
        """
        values: list[float] = [
            line["count"] if "count" in line else line["value"]
            for line in self._measurements
            if line["metric"] == metric and attributes.items() <= line["attributes"].items()
        ]
        return sum(values)

    def follow(self, reading: ReadingToFollow) -> list[Step]:
        """Return the recorded steps of a reading.

        The order is: sending and ingestion; every run that scored the reading's window, with the deliveries about its
        sensor; deliveries of an alert that the window opened before, in real time. For an event without trace context,
        which is what most devices send, the steps start with the run.
        """
        steps: list[Step] = []
        for sent in self._sent(reading):
            steps.append(Step(0, sent))
            for span in self.spans:
                if sent.span_id in span.links:
                    steps += self._below(span, 1, reading, "sent")
        for scored in self._scored(reading):
            above = list(self._above(scored))
            steps += [Step(depth, span, None if depth else "window") for depth, span in enumerate(above)]
            steps += self._below(scored, len(above), reading, None if above else "window")
        known = {step.span.span_id for step in steps}
        for delivered in self._delivered(reading):
            if delivered.span_id not in known:
                path = [*self._above(delivered), delivered]
                steps += [Step(depth, span, None if depth else "alert") for depth, span in enumerate(path)]
        return steps

    def _sent(self, reading: ReadingToFollow) -> Iterator[RecordedSpan]:
        for span in self.spans:
            about = span.attributes
            if (
                span.name == "send"
                and about["sensorwatch.device"] == reading.device
                and about["sensorwatch.ticks.first"] <= reading.last_ticks
                and about["sensorwatch.ticks.last"] >= reading.first_ticks
            ):
                yield span

    def _scored(self, reading: ReadingToFollow) -> Iterator[RecordedSpan]:
        for span in self.spans:
            about = span.attributes
            if (
                span.name == "score"
                and about["sensorwatch.shard"] == reading.shard
                and about["sensorwatch.windows.after"] < reading.end <= about["sensorwatch.windows.until"]
            ):
                yield span

    def _delivered(self, reading: ReadingToFollow) -> Iterator[RecordedSpan]:
        for span in self.spans:
            about = span.attributes
            if (
                span.name == "deliver"
                and about["sensorwatch.sensor_id"] == reading.sensor_id
                and about["sensorwatch.alert.opened_end"] == reading.end
            ):
                yield span

    def _above(self, span: RecordedSpan) -> Iterator[RecordedSpan]:
        """Yield the ancestors of a span, starting at the root."""
        parent = self._by_id.get(span.parent_id or "")
        if parent is not None:
            yield from self._above(parent)
            yield parent

    def _below(self, span: RecordedSpan, depth: int, reading: ReadingToFollow, link: str | None) -> Iterator[Step]:
        """Yield a span and its descendants, without deliveries about other sensors."""
        if span.attributes.get("sensorwatch.sensor_id", reading.sensor_id) != reading.sensor_id:
            return
        yield Step(depth, span, link)
        for child in self._children[span.span_id]:
            yield from self._below(child, depth + 1, reading, None)


def _lines(file: Path, content: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        try:
            yield dict(json.loads(line))
        except (ValueError, TypeError):
            raise InvalidInputError(
                f"{file}, line {number}: expected a JSON object, got `{line[:100].decode(errors='replace')}`"
            ) from None


def _span(line: Mapping[str, Any]) -> RecordedSpan:
    return RecordedSpan(
        name=line["span"],
        service=line["service"],
        trace_id=line["trace_id"],
        span_id=line["span_id"],
        parent_id=line["parent_id"],
        start=line["start"],
        seconds=line["seconds"],
        error=line["error"],
        attributes=line["attributes"],
        links=line["links"],
    )
