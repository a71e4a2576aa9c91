"""What a telemetry file holds: totals of metrics, and the way of one reading through the spans."""

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
    """A span as a line of the file has it; ``start`` is ISO 8601 in UTC, ``links`` are ids of spans."""

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
    """Which reading is followed.

    Attributes
    ----------
    device
        Its device.
    sensor_id, shard
        Its sensor in the catalogue.
    first_ticks, last_ticks
        From when to when (inclusive) it was taken: 100 ns since 1970-01-01T00:00:00Z.
    end
        The end of its window, in seconds since then.
    """

    device: str
    sensor_id: int
    shard: int
    first_ticks: int
    last_ticks: int
    end: int


@dataclass(frozen=True, slots=True)
class Step:
    """A span on the way of a reading; ``depth`` is 0 where a trace begins.

    ``link`` says how it hangs on the reading where that is not by its parent: ``sent`` (the event carried the context
    of the step before), ``window`` (it worked on the reading's window) or ``alert`` (the window opened an alert in it).
    """

    depth: int
    span: RecordedSpan
    link: str | None = None


class Recording:
    """The spans and totals of a telemetry file."""

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
        """Read the files of all processes named after ``file``; incomplete last lines are left out.

        Raises
        ------
        NotFoundError
            There is no such file.
        InvalidInputError
            A line is not a JSON object.
        """
        parts = read_parts(file)
        if not parts:
            raise NotFoundError(f"{file}: no such file; with TELEMETRY_EXPORTER=file the processes that run write it")
        lines = [line for path, content in parts for line in _lines(path, content)]
        spans = [_span(line) for line in lines if "span" in line]
        return cls(spans, [line for line in lines if "metric" in line])

    def total(self, metric: str, **attributes: str) -> float:
        """Return the sum of what was counted, and of a histogram the number of its measurements.

        Only measurements with these attributes count.
        """
        values: list[float] = [
            line["count"] if "count" in line else line["value"]
            for line in self._measurements
            if line["metric"] == metric and attributes.items() <= line["attributes"].items()
        ]
        return sum(values)

    def follow(self, reading: ReadingToFollow) -> list[Step]:
        """Return the steps that a reading went through, as far as they are in the file.

        First what it was sent with, and what took that in; then every run that scored its window, down to the
        deliveries about its sensor; last the deliveries of an alert that the window opened before, in real time. An
        event without a sender's context, as most devices send it, begins with the run.
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
        for told in self._told(reading):
            if told.span_id not in known:
                way = [*self._above(told), told]
                steps += [Step(depth, span, None if depth else "alert") for depth, span in enumerate(way)]
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

    def _told(self, reading: ReadingToFollow) -> Iterator[RecordedSpan]:
        for span in self.spans:
            about = span.attributes
            if (
                span.name == "deliver"
                and about["sensorwatch.sensor_id"] == reading.sensor_id
                and about["sensorwatch.alert.opened_end"] == reading.end
            ):
                yield span

    def _above(self, span: RecordedSpan) -> Iterator[RecordedSpan]:
        """Yield what a span is below, from the root on."""
        parent = self._by_id.get(span.parent_id or "")
        if parent is not None:
            yield from self._above(parent)
            yield parent

    def _below(self, span: RecordedSpan, depth: int, reading: ReadingToFollow, link: str | None) -> Iterator[Step]:
        """Yield a span and what follows from it, without what is told of other sensors."""
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
