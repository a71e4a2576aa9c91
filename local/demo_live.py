"""The demo's last stage: readings of now are scored as they arrive, while the models are trained anew and swapped."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from sensorwatch.ingestion.decode import ticks_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.ingestion.windows import window_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.stack import Stack
    from sensorwatch.models.records import ModelRef
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["LiveFigures", "run_live"]

_READINGS = 40
_POLL_SECONDS = 0.005
_FAR = 10_000.0
"""Further off than any reading of the simulated fleet."""


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """What came of readings that were sent one by one, each far off.

    Attributes
    ----------
    sent, served, scored
        Readings sent, taken in by scoring in real time, and scored by it.
    latencies_ms
        From sending each one to its anomaly being in the database, in milliseconds.
    versions
        The versions that these anomalies name, in the order in which they came.
    swap_seconds
        From the pointer's move to the first anomaly that names the new version.
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
        """The latency that 99 of 100 do not exceed; of fewer than 100 the longest."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def run_live(stack: Stack, wait: Callable[[Callable[[], bool], str], None], train: Callable[[], object]) -> LiveFigures:
    """Send readings one after the other, have new models trained meanwhile, and go on until these are in use.

    Parameters
    ----------
    wait
        Waits for a condition; raises with its name when it does not come true.
    train
        Fires the training timer and waits for the end of its run.
    """
    return _Live(stack, wait).run(train)


class _Live:
    def __init__(self, stack: Stack, wait: Callable[[Callable[[], bool], str], None]) -> None:
        self._store = stack.product.store
        self._product = stack.product
        self._wait = wait
        self._latencies: list[float] = []
        self._versions: list[str] = []

    def run(self, train: Callable[[], object]) -> LiveFigures:
        before = self._counts()
        sensors = itertools.cycle(self._store.sensors())
        former = self._product.models.current(0)
        with self._product.sender() as sender:

            def send_one() -> None:
                self._send(next(sensors), lambda reading: sender.send([reading]))

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
        value = _FAR + len(self._latencies)
        ticks = ticks_of(datetime.now(UTC))
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

    def _counts(self) -> tuple[int, int]:
        counts = [status.counts for status in self._store.serving_status()]
        return sum(each.received for each in counts), sum(each.scored for each in counts)
