"""Last stage of the demo: current readings are scored on arrival, while new models are trained and come into use.

One sensor is disturbed, by a few times its noise: a chart of it shows the fault and the usual values on one scale.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from sensorwatch.ingestion.decode import ticks_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.ingestion.windows import window_end
from sensorwatch.simulation.signals import signal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.stack import Stack
    from sensorwatch.models.records import ModelRef
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.simulation.fleet import Fleet

__all__ = ["LiveFigures", "run_live"]

_READINGS = 40
_POLL_SECONDS = 0.005
_SHIFT = 12.0
"""Shift of the disturbed sensor, as a multiple of the standard deviation of its noise."""


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """Results of readings that were sent one by one, each anomalous.

    Attributes
    ----------
    sent, served, scored
        Number of readings sent, received by real-time scoring, and scored by it.
    latencies_ms
        Time from sending a reading to its anomaly in the database, in milliseconds.
    versions
        Model versions of these anomalies, in the order of their appearance.
    swap_seconds
        Time from the end of training to the first anomaly of the new version; None if training made no new version.
    """

    sent: int
    served: int
    scored: int
    latencies_ms: Sequence[float]
    versions: Sequence[str]
    swap_seconds: float | None

    @property
    def p50_ms(self) -> float:
        """The median latency."""
        return median(self.latencies_ms)

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of the latencies; of fewer than 100 the longest."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def run_live(
    stack: Stack, fleet: Fleet, wait: Callable[[Callable[[], bool], str], None], train: Callable[[], object]
) -> LiveFigures:
    """Send readings of one disturbed sensor one by one, train new models in between, and continue until these are used.

    Parameters
    ----------
    stack
        The running stack.
    fleet
        The fleet whose first sensor is disturbed.
    wait
        Function that waits for a condition, and raises an error with its name if it does not become true.
    train
        Function that starts training and waits for the end of the run.
    """
    return _Live(stack, fleet, wait).run(train)


class _Live:
    def __init__(self, stack: Stack, fleet: Fleet, wait: Callable[[Callable[[], bool], str], None]) -> None:
        self._fleet = fleet
        self._store = stack.product.store
        self._product = stack.product
        self._wait = wait
        self._latencies: list[float] = []
        self._versions: list[str] = []

    def run(self, train: Callable[[], object]) -> LiveFigures:
        before = self._counts()
        (disturbed,) = [each for each in self._store.sensors() if each.key == self._fleet.sensors[0]]
        former = self._product.models.current(0)
        with self._product.sender() as sender:

            def send_one() -> None:
                self._send(disturbed, lambda reading: sender.send([reading]))

            for _ in range(_READINGS):
                send_one()
            train()
            moved, pointer = time.monotonic(), self._product.models.current(0)
            swap_seconds = None
            if pointer != former:
                self._wait(lambda: self._swapped(send_one, pointer), "the new models to be in use")
                swap_seconds = time.monotonic() - moved
            for _ in range(_READINGS):
                send_one()
        sent = len(self._latencies)
        self._wait(lambda: self._counts()[0] - before[0] >= sent, "the counts of scoring in real time to be stored")
        served, scored = (now - then for now, then in zip(self._counts(), before, strict=True))
        return LiveFigures(sent, served, scored, self._latencies, list(dict.fromkeys(self._versions)), swap_seconds)

    def _swapped(self, send_one: Callable[[], None], pointer: ModelRef | None) -> bool:
        send_one()
        return pointer is not None and self._versions[-1] == pointer.version

    def _send(self, sensor: SensorStatus, send: Callable[[Reading], object]) -> None:
        """Send a reading, and wait until its anomaly is stored."""
        now = datetime.now(UTC)
        value, ticks = self._value(sensor, now), ticks_of(now)
        end = window_end(ticks, self._product.settings.window_seconds)
        before = {(each.end, each.readings) for each in self._store.served_windows(sensor.sensor_id, limit=20)}
        begun = time.monotonic()
        send(Reading(sensor.key.device, sensor.key.tag, ticks, value))

        def stored() -> bool:
            for each in self._store.served_windows(sensor.sensor_id, limit=1):
                if each.end == end and (each.end, each.readings) not in before:
                    self._latencies.append(1000 * (time.monotonic() - begun))
                    self._versions.append(each.model_version)
                    return True
            return False

        deadline = begun + 10
        while not stored():
            if time.monotonic() > deadline:
                self._wait(stored, f"the anomaly of {sensor.key.device} {sensor.key.tag}")
                return
            time.sleep(_POLL_SECONDS)

    def _value(self, sensor: SensorStatus, now: datetime) -> float:
        """Return the newest usual value of the fleet's sensor, shifted."""
        newest = self._fleet.columns(now - timedelta(seconds=2 * self._fleet.interval_seconds), now)
        usual = newest.value[newest.sensor == self._fleet.sensors.index(sensor.key)][-1]
        return float(usual + _SHIFT * signal_of(*sensor.key, self._fleet.seed).noise)

    def _counts(self) -> tuple[int, int]:
        counts = [status.counts for status in self._store.serving_status()]
        return sum(each.received for each in counts), sum(each.scored for each in counts)
