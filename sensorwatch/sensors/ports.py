"""The catalogue of sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sensorwatch.sensors.labels import LabelSpan, ShardLabels
    from sensorwatch.sensors.records import SensorKey, SensorState, SensorStatus, TrainingOutcome
    from sensorwatch.sensors.states import Freshness, SensorQuery

__all__ = ["LabelStore", "SensorFinder", "SensorStore"]


class SensorStore(Protocol):
    """The catalogue of sensors and what training said of them."""

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        """Return the sensors (of one shard) ordered by id."""
        ...

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """Return these sensors by id; unknown ids are left out."""
        ...

    def record_training(self, outcomes: Sequence[TrainingOutcome]) -> None:
        """Store each sensor's state, reason, newest training window and model version.

        The windows after a sensor's first training that its shard's scoring was planned past are marked for scoring
        again, in the same transaction: there was no model to score them with.
        """
        ...


class SensorFinder(Protocol):
    """The catalogue of sensors as people look at it: by state, by name, page by page."""

    def find_sensors(self, query: SensorQuery, freshness: Freshness, *, limit: int = 100) -> list[SensorStatus]:
        """Return the sensors that a query finds, ordered by id, with the state that is shown of them."""
        ...

    def count_states(self, query: SensorQuery, freshness: Freshness) -> dict[SensorState, int]:
        """Return how many of the sensors that a query finds show each state; every state is there."""
        ...

    def sensor_keys(self, sensor_ids: Collection[int]) -> dict[int, SensorKey]:
        """Return the names of these sensors by id; unknown ids are left out."""
        ...


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
