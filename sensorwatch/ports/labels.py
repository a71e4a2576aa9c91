"""What windows are known to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sensorwatch.label_records import LabelSpan, ShardLabels

__all__ = ["LabelStore"]


class LabelStore(Protocol):
    """Labels for models that learn from them: imported ones, and those of alerts that a person has judged."""

    def add_labels(self, spans: Iterable[LabelSpan]) -> int:
        """Store labels; return how many of these spans were not labelled before."""
        ...

    def remove_labels(self, sensor_ids: Collection[int]) -> int:
        """Remove the labels that were imported for these sensors; return how many there were."""
        ...

    def label_spans(self, shard: int | None = None) -> list[LabelSpan]:
        """Return the labels (of one shard), imported ones before those of alerts, ordered by sensor and time."""
        ...

    def shard_labels(self, shard: int, start: datetime | None, end: datetime) -> ShardLabels:
        """Return the labels of a shard, and its anomalies with ``start < end_of_window <= end``."""
        ...
