"""Decoding of a partition's new events into columns of readings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.ingestion.decode import decode, ticks_of
from sensorwatch.ingestion.decode_batch import SensorIds, decode_batch
from sensorwatch.ingestion.records import OffsetCheckpoint, Reading
from sensorwatch.ingestion.windows import window_end
from sensorwatch.realtime.open_windows import Arrivals
from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from sensorwatch.config.serving import ServingSection
    from sensorwatch.ingestion.decode import ReadingRules
    from sensorwatch.ingestion.ports import IngestStore
    from sensorwatch.ingestion.records import RawEvent

__all__ = ["Decoded", "SensorReadings", "new_events"]

_MAX_CACHED_SENSORS = 1_000_000


class Decoded(NamedTuple):
    """Readings of some events, and the number of elements that cannot be decoded."""

    arrivals: Arrivals
    invalid: int


def new_events(
    events: Sequence[RawEvent], checkpoint: OffsetCheckpoint | None
) -> tuple[Sequence[RawEvent], Sequence[RawEvent], OffsetCheckpoint | None]:
    """Return the new events, the known ones, and the offset checkpoint after them.

    As in ingestion, an event is new if its sequence number or its time is beyond the checkpoint. Sequence numbers alone
    are not enough: they start from zero when a hub is deleted and created again, but times do not.
    """
    fresh = [
        event
        for event in events
        if checkpoint is None
        or event.sequence_number > checkpoint.sequence_number
        or event.enqueued_time > checkpoint.enqueued_time
    ]
    if not fresh:
        return [], events, checkpoint
    times = [event.enqueued_time for event in fresh]
    after = OffsetCheckpoint(
        fresh[-1].sequence_number, max(times if checkpoint is None else [*times, checkpoint.enqueued_time])
    )
    if len(fresh) == len(events):
        return events, [], after
    kept = set(map(id, fresh))
    return fresh, [event for event in events if id(event) not in kept], after


class SensorReadings:
    """Decoder of events, with caches of sensor ids and rules; not safe to share between threads.

    Parameters
    ----------
    store
        Catalogue of sensors.
    rules
        Rules of valid readings.
    window_seconds
        Length of a window.
    section
        Section ``serving`` of ``sensorwatch.yaml``.
    """

    def __init__(self, store: IngestStore, rules: ReadingRules, window_seconds: int, section: ServingSection) -> None:
        self._store = store
        self._rules = rules
        self._window_seconds = window_seconds
        self._section = section
        self._ids = SensorIds()
        self._keys: dict[int, SensorKey] = {}
        self._rule_of: dict[int, int] = {}

    def count(self, events: Sequence[RawEvent]) -> int:
        """Return the number of readings in events, including invalid ones."""
        return sum(
            len(decode(event.body, enqueued_ticks=ticks_of(event.enqueued_time), rules=self._rules)) for event in events
        )

    def decode(self, events: Sequence[RawEvent]) -> Decoded:
        """Return the readings of events; add new sensors to the catalogue."""
        joined = decode_batch(
            [event.body for event in events],
            self._ids,
            enqueued_ticks=ticks_of(min(event.enqueued_time for event in events)),
            rules=self._rules,
            window_seconds=self._window_seconds,
        )
        numbers = [event.sequence_number for event in events]
        number = [numbers[at] for at in joined.positions]
        sensor_id, end, value = list(joined.sensor_ids), list(joined.ends), list(joined.values)
        single: list[tuple[int, Reading]] = []
        invalid = 0
        for at in joined.left:
            event = events[at]
            for element in decode(event.body, enqueued_ticks=ticks_of(event.enqueued_time), rules=self._rules):
                if isinstance(element, Reading):
                    single.append((event.sequence_number, element))
                else:
                    invalid += 1
        ids = self._sensor_ids({SensorKey(reading.device, reading.tag) for _, reading in single})
        for event_number, reading in single:
            number.append(event_number)
            sensor_id.append(ids[SensorKey(reading.device, reading.tag)])
            end.append(window_end(reading.ticks, self._window_seconds))
            value.append(reading.value)
        arrivals = Arrivals(
            np.array(number, np.int64), np.array(sensor_id, np.int64), np.array(end, np.int64), np.array(value)
        )
        return Decoded(arrivals, invalid)

    def key(self, sensor_id: int) -> SensorKey:
        """Return the key of a sensor whose readings were decoded here."""
        return self._keys[sensor_id]

    def rules(self, sensor_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the position of each sensor's rule in the section, shape ``(n,)``, int64.

        It is the number of rules for a sensor that none of them matches.
        """
        rules = self._section.rules
        if not rules:
            return np.zeros(len(sensor_ids), np.int64)
        known = self._rule_of
        for sensor_id in sensor_ids.tolist():
            if sensor_id not in known:
                key = self._keys[sensor_id]
                known[sensor_id] = next((at for at, rule in enumerate(rules) if rule.matches(key)), len(rules))
        return np.array([known[sensor_id] for sensor_id in sensor_ids.tolist()], np.int64)

    def _sensor_ids(self, keys: set[SensorKey]) -> dict[SensorKey, int]:
        if not keys:
            return {}
        found = {key: self._ids.get(*key) for key in keys}
        ids = {key: sensor_id for key, sensor_id in found.items() if sensor_id is not None}
        if unknown := [key for key in sorted(keys) if key not in ids]:
            if len(self._ids) > _MAX_CACHED_SENSORS:
                self._ids, self._keys, self._rule_of = SensorIds(), {}, {}
                unknown = sorted(keys)
            for key, sensor_id in self._store.sensor_ids(unknown).items():
                self._ids.add(key, sensor_id)
                self._keys[sensor_id] = key
                ids[key] = sensor_id
        return ids
