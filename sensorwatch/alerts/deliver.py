"""Tell the outside what the outbox holds: every sink gets every notification, at least once, whatever the others do."""

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
    """How deliveries are tried.

    Attributes
    ----------
    timeout_seconds
        What the sinks are made with: how long one of them may take over a message.
    run_seconds
        How long :meth:`Outbox.deliver` goes on.
    retry_seconds
        Pause after the first failed try; it doubles with every try, up to ten minutes.
    max_age_seconds
        After so long a notification is tried no more.
    dashboard_url
        Where the dashboard is, for links to it.
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
        """How long a claim holds: until the last send that a run may begin is over."""
        return self.run_seconds + self.timeout_seconds + _SPARE_SECONDS

    def pause(self, failures: int) -> timedelta:
        """Return how long to wait after so many failed tries, at least 1.

        Examples
        --------
        >>> [DeliveryRules(retry_seconds=5).pause(failures).seconds for failures in (1, 2, 3, 9)]
        [5, 10, 20, 600]
        """
        doublings = min(failures - 1, _MOST_DOUBLINGS)
        return min(timedelta(seconds=self.retry_seconds * 2**doublings), _LONGEST_PAUSE)


class DeliveryStore(OutboxStore, Protocol):
    """Needs of deliveries: the outbox, and the sensors that the messages name."""

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """As :meth:`sensorwatch.sensors.ports.SensorStore.sensors_by_id`."""
        ...


class Outbox:
    """Delivers waiting notifications; one for the life of a process, shared between its threads.

    A sink that waits for others is called in a thread of its own, which a run does not wait for beyond its time: one
    that hangs holds up neither the others nor the timer. What it does afterwards still counts, and what it logs is
    logged by the next run, in a thread that the host listens to.
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
        """Send what waits to every sink, until nothing is due or the run's time is over; return deliveries made.

        At least once: a crash between sending and noting it sends again, with the same key, when its lease is over.
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
        """Start a run in a daemon thread: one that hangs must not keep the process from ending."""
        slot = self._slots[run.sink.name]
        if not slot.acquire(blocking=False):
            self._news.put((logging.WARNING, f"sink {run.sink.name} still hangs in earlier deliveries"))
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
            self._news.put((logging.ERROR, f"sink {sink} never took notification {key}: it is given up"))

    def _log_news(self) -> None:
        while True:
            try:
                level, text = self._news.get_nowait()
            except Empty:
                return
            _log.log(level, "%s", text)

    def run_sink(self, run: _SinkRun) -> None:
        """Deliver to one sink what is due, in order of each subject, until there is no more or time is over."""
        name = run.sink.name
        try:
            while self._monotonic() < run.deadline:
                claimed = self._store.claim(
                    name, self._clock(), limit=_CLAIMED_AT_ONCE, lease_seconds=self._rules.lease_seconds
                )
                if not claimed or not self._send_all(run, claimed):
                    return
        except SensorwatchError as exc:
            self._news.put((logging.WARNING, f"deliveries to sink {name} stop for now: {exc}"))

    def _send_all(self, run: _SinkRun, claimed: list[ClaimedNotification]) -> bool:
        """Return whether to go on; what was not tried is given back."""
        sensors = self._store.sensors_by_id({one.notification.alert.sensor_id for one in claimed})
        for number, one in enumerate(claimed):
            if self._monotonic() >= run.deadline:
                self._store.release(run.sink.name, claimed[number:])
                return False
            sensor = sensors.get(one.notification.alert.sensor_id)
            message = alert_message(one.notification, sensor, self._rules.dashboard_url)
            try:
                self._send(run.sink, message, one.notification)
            except Exception as exc:  # noqa: BLE001 - a mistake in one sink must not hold up its other notifications
                reason = str(exc) if isinstance(exc, SensorwatchError) else f"{type(exc).__name__}: {exc}"
                if self._failed(run.sink.name, one, reason):
                    self._store.release(run.sink.name, claimed[number + 1 :])
                    return False
            else:
                run.delivered += 1
                if self._store.settle(run.sink.name, one, self._clock()) >= FAILING_AFTER:
                    self._news.put((logging.WARNING, f"sink {run.sink.name} takes notifications again"))
        return True

    def _send(self, sink: AlertSink, message: AlertMessage, told: Notification) -> None:
        """Send a message as part of the trace that it came from, whoever delivers it and however late."""
        attributes: dict[str, str | int] = {
            "sensorwatch.sink": sink.name,
            "sensorwatch.notification": message.key,
            "sensorwatch.event": told.event,
            "sensorwatch.sensor_id": told.alert.sensor_id,
            "sensorwatch.alert.opened_end": told.alert.opened_end,
            "sensorwatch.severity": told.alert.severity,
        }
        with span("deliver", kind="producer", parent=told.traceparent, attributes=attributes):
            sink.send(replace(message, traceparent=current_traceparent()))

    def _failed(self, name: str, claimed: ClaimedNotification, reason: str) -> bool:
        """Note a failed try; return whether the sink is failing, and report the moment in which it began to."""
        failures = self._store.postpone(name, claimed, reason, self._clock(), self._rules.pause)
        if failures == FAILING_AFTER:
            self._news.put((logging.ERROR, f"sink {name} is failing, and notifications wait for it: {reason}"))
        return failures >= FAILING_AFTER


class _SinkRun:
    """One sink's part of a run."""

    def __init__(self, outbox: Outbox, sink: AlertSink, deadline: float) -> None:
        self.sink = sink
        self.deadline = deadline
        self.delivered = 0
        self._outbox = outbox

    def __call__(self) -> None:
        self._outbox.run_sink(self)
