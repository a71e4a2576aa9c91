"""Delivery of notifications: every sink gets every notification at least once, independently of other sinks."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from sensorwatch.alerts.message import alert_message
from sensorwatch.alerts.ports import OutboxStore
from sensorwatch.alerts.records import FAILING_AFTER
from sensorwatch.errors import SensorwatchError
from sensorwatch.telemetry import current_traceparent, span

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sensorwatch.alerts.message import AlertMessage
    from sensorwatch.alerts.ports import AlertSink
    from sensorwatch.alerts.records import ClaimedNotification, Notification
    from sensorwatch.clock import Clock
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.settings import Settings

__all__ = ["DeliveryRules", "DeliveryStore", "Outbox"]

_log = logging.getLogger(__name__)

_CLAIMED_AT_ONCE = 20
_SPARE_SECONDS = 5.0
_THREADS_PER_SINK = 2
_LONGEST_PAUSE = timedelta(minutes=10)
_MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """Time limits and retries of deliveries.

    Attributes
    ----------
    timeout_seconds
        Time limit of one message, which the sinks were created with, in seconds.
    run_seconds
        Time limit of one call of :meth:`Outbox.deliver`, in seconds.
    retry_seconds
        Pause after the first failed attempt, in seconds. It doubles with every attempt, up to ten minutes.
    max_age_seconds
        Age at which an undelivered notification is dropped, in seconds.
    dashboard_url
        Address of the dashboard, for links in messages.
    """

    timeout_seconds: float = 10.0
    run_seconds: float = 20.0
    retry_seconds: float = 5.0
    max_age_seconds: int = 259_200
    dashboard_url: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> DeliveryRules:
        """Return the rules in the settings."""
        return cls(
            timeout_seconds=settings.notification_timeout_seconds,
            run_seconds=settings.notification_run_seconds,
            retry_seconds=settings.notification_retry_seconds,
            max_age_seconds=settings.notification_max_age_seconds,
            dashboard_url=settings.dashboard_url,
        )

    @property
    def lease_seconds(self) -> float:
        """Duration of a claim, in seconds: until the last message that a run may start has timed out."""
        return self.run_seconds + self.timeout_seconds + _SPARE_SECONDS

    def pause(self, failures: int) -> timedelta:
        """Return the pause after a number of failed attempts (at least 1).

        Examples
        --------
        >>> [DeliveryRules(retry_seconds=5).pause(failures).seconds for failures in (1, 2, 3, 9)]
        [5, 10, 20, 600]
        """
        doublings = min(failures - 1, _MOST_DOUBLINGS)
        return min(timedelta(seconds=self.retry_seconds * 2**doublings), _LONGEST_PAUSE)


class DeliveryStore(OutboxStore, Protocol):
    """Methods of the store that deliveries use."""

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """As :meth:`sensorwatch.sensors.ports.SensorStore.sensors_by_id`."""
        ...


class Outbox:
    """Delivers waiting notifications. One instance per process, shared between its threads.

    A sink that may block (``waits``) is called in its own thread. A run does not wait for that thread beyond its time
    limit, so a sink that hangs delays neither the other sinks nor the timer. If its delivery ends later, the result
    still counts, and the next run logs it, because the host only collects logs of its own threads.

    Parameters
    ----------
    store
        Store of the outbox and the sensors.
    sinks
        The sinks.
    clock
        Current time.
    rules
        Time limits and retries.
    monotonic
        Monotonic clock in seconds, for time limits.
    """

    def __init__(
        self,
        store: DeliveryStore,
        sinks: Sequence[AlertSink],
        clock: Clock,
        rules: DeliveryRules,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._sinks = {sink.name: sink for sink in sinks}
        self._clock = clock
        self._rules = rules
        self._monotonic = monotonic
        self._slots = {name: threading.BoundedSemaphore(_THREADS_PER_SINK) for name in self._sinks}
        self._news: SimpleQueue[tuple[int, str]] = SimpleQueue()

    def deliver(self) -> int:
        """Deliver due notifications to all sinks within the time limit; return the number of deliveries.

        Delivery is at least once: after a crash between sending and recording, the message is sent again with the same
        key when its lease expires.
        """
        deadline = self._monotonic() + self._rules.run_seconds
        self._store.hand_out(list(self._sinks), self._clock())
        self._give_up()
        runs = [
            _SinkRun(self, self._sinks[name], deadline)
            for name in self._store.sinks_with_work(list(self._sinks), self._clock())
        ]
        threads = [thread for run in runs if run.sink.waits and (thread := self._start(run)) is not None]
        for run in runs:
            if not run.sink.waits:
                run()
        for thread in threads:
            thread.join(max(0.0, deadline - self._monotonic()))
        self._log_news()
        return sum(run.delivered for run in runs)

    def _start(self, run: _SinkRun) -> threading.Thread | None:
        """Start a run in a daemon thread, so that a sink that hangs does not keep the process alive."""
        slot = self._slots[run.sink.name]
        if not slot.acquire(blocking=False):
            self._news.put((logging.WARNING, f"sink {run.sink.name} is still busy with earlier deliveries"))
            return None

        def work() -> None:
            try:
                run()
            finally:
                slot.release()

        thread = threading.Thread(target=work, name=f"sink-{run.sink.name}", daemon=True)
        thread.start()
        return thread

    def _give_up(self) -> None:
        now = self._clock()
        for sink, key in self._store.give_up(now - timedelta(seconds=self._rules.max_age_seconds), now):
            self._news.put((logging.ERROR, f"sink {sink} did not accept notification {key} in time; it is dropped"))

    def _log_news(self) -> None:
        while True:
            try:
                level, text = self._news.get_nowait()
            except Empty:
                return
            _log.log(level, "%s", text)

    def run_sink(self, run: _SinkRun) -> None:
        """Deliver due notifications to one sink, in order within each subject, until none is left or time is over."""
        name = run.sink.name
        try:
            while self._monotonic() < run.deadline:
                claimed = self._store.claim(
                    name, self._clock(), limit=_CLAIMED_AT_ONCE, lease_seconds=self._rules.lease_seconds
                )
                if not claimed or not self._send_all(run, claimed):
                    return
        except SensorwatchError as exc:
            self._news.put((logging.WARNING, f"deliveries to sink {name} are interrupted: {exc}"))

    def _send_all(self, run: _SinkRun, claimed: list[ClaimedNotification]) -> bool:
        """Return whether to continue; claimed notifications that were not attempted are released."""
        sensors = self._store.sensors_by_id({one.notification.alert.sensor_id for one in claimed})
        for number, one in enumerate(claimed):
            if self._monotonic() >= run.deadline:
                self._store.release(run.sink.name, claimed[number:])
                return False
            sensor = sensors.get(one.notification.alert.sensor_id)
            message = alert_message(one.notification, sensor, self._rules.dashboard_url)
            try:
                self._send(run.sink, message, one.notification)
            except Exception as exc:  # noqa: BLE001 - a bug in one sink must not block its other notifications
                reason = str(exc) if isinstance(exc, SensorwatchError) else f"{type(exc).__name__}: {exc}"
                if self._failed(run.sink.name, one, reason):
                    self._store.release(run.sink.name, claimed[number + 1 :])
                    return False
            else:
                run.delivered += 1
                if self._store.settle(run.sink.name, one, self._clock()) >= FAILING_AFTER:
                    self._news.put((logging.WARNING, f"sink {run.sink.name} accepts notifications again"))
        return True

    def _send(self, sink: AlertSink, message: AlertMessage, notification: Notification) -> None:
        """Send a message within the trace that caused the notification."""
        attributes: dict[str, str | int] = {
            "sensorwatch.sink": sink.name,
            "sensorwatch.notification": message.key,
            "sensorwatch.event": notification.event,
            "sensorwatch.sensor_id": notification.alert.sensor_id,
            "sensorwatch.alert.opened_end": notification.alert.opened_end,
            "sensorwatch.severity": notification.alert.severity,
        }
        with span("deliver", kind="producer", parent=notification.traceparent, attributes=attributes):
            sink.send(replace(message, traceparent=current_traceparent()))

    def _failed(self, name: str, claimed: ClaimedNotification, reason: str) -> bool:
        """Record a failed attempt; return whether the sink is failing, and log when it starts to fail."""
        failures = self._store.postpone(name, claimed, reason, self._clock(), self._rules.pause)
        if failures == FAILING_AFTER:
            self._news.put((logging.ERROR, f"sink {name} is failing; its notifications wait: {reason}"))
        return failures >= FAILING_AFTER


class _SinkRun:
    """Deliveries of one run to one sink."""

    def __init__(self, outbox: Outbox, sink: AlertSink, deadline: float) -> None:
        self.sink = sink
        self.deadline = deadline
        self.delivered = 0
        self._outbox = outbox

    def __call__(self) -> None:
        self._outbox.run_sink(self)
