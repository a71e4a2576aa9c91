"""Background threads of real-time scoring: model updates, stored statistics and notifications."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.clock import Clock
    from sensorwatch.realtime.model_loader import ModelLoader
    from sensorwatch.realtime.ports import ServingStore
    from sensorwatch.realtime.serve import Serve

__all__ = ["ServeBackground", "store_statistics"]

_log = logging.getLogger(__name__)


def store_statistics(serve: Serve, store: ServingStore, clock: Clock) -> None:
    """Add the statistics since the last call to the stored ones.

    If the store fails, the statistics are kept for the next call, and the error propagates.

    Parameters
    ----------
    serve
        Step that collects the statistics.
    store
        Store of the totals.
    clock
        Current time (UTC).
    """
    counts, uses = serve.statistics.take()
    try:
        store.add_serving(counts, uses, clock())
    except BaseException:
        serve.statistics.put_back(counts, uses)
        raise


class ServeBackground:
    """Two daemon threads: one for models and statistics, one for notifications.

    A slow notification sink does not delay new models, because the two have separate threads.

    Parameters
    ----------
    serve
        Step whose statistics are stored and whose alerts are sent.
    models
        Loader that is refreshed.
    store
        Store of the statistics.
    clock
        Current time (UTC).
    notify
        Function that delivers waiting notifications.
    poll_seconds
        Interval at which model pointers are checked and statistics are stored.
    """

    def __init__(
        self,
        serve: Serve,
        models: ModelLoader,
        store: ServingStore,
        clock: Clock,
        notify: Callable[[], object],
        poll_seconds: float,
    ) -> None:
        self._serve = serve
        self._models = models
        self._store = store
        self._clock = clock
        self._notify = notify
        self._poll_seconds = poll_seconds

    def start(self) -> None:
        """Start the threads."""
        for work, name in ((self._update, "serve-models"), (self._send_notifications, "serve-alerts")):
            threading.Thread(target=self._forever, args=(work,), name=name, daemon=True).start()

    def _forever(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except Exception:  # noqa: BLE001 - the thread has to survive every error
                _log.exception("%s failed; trying again in %g s", threading.current_thread().name, self._poll_seconds)
                threading.Event().wait(self._poll_seconds)

    def _update(self) -> None:
        self._models.wait_for_request(self._poll_seconds)
        self._models.refresh()
        store_statistics(self._serve, self._store, self._clock)

    def _send_notifications(self) -> None:
        self._serve.alerts_changed.wait()
        self._serve.alerts_changed.clear()
        self._notify()
