"""What goes on beside scoring in real time: fresh models, stored statistics, notifications."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.clock import Clock
    from sensorwatch.realtime.models_in_use import ModelsInUse
    from sensorwatch.realtime.ports import ServingStore
    from sensorwatch.realtime.serve import Serve

__all__ = ["ServeBackground", "store_statistics"]

_log = logging.getLogger(__name__)


def store_statistics(serve: Serve, store: ServingStore, clock: Clock) -> None:
    """Add what was counted to what is stored; what can't be stored now is kept for the next time."""
    counts, uses = serve.statistics.take()
    try:
        store.add_serving(counts, uses, clock())
    except BaseException:
        serve.statistics.put_back(counts, uses)
        raise


class ServeBackground:
    """Two threads that live as long as the process: one for models and statistics, one that notifies.

    Notifying may wait for others for long, and models must not wait for that.

    Parameters
    ----------
    serve, models, store, clock
        What the threads keep going.
    notify
        Delivers waiting notifications.
    poll_seconds
        How often pointers are looked at, and statistics stored.
    """

    def __init__(
        self,
        serve: Serve,
        models: ModelsInUse,
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
        for work, name in ((self._keep_fresh, "serve-models"), (self._tell, "serve-alerts")):
            threading.Thread(target=self._forever, args=(work,), name=name, daemon=True).start()

    def _forever(self, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except Exception:  # noqa: BLE001 - whatever it is, the next round may go well
                _log.exception("%s: trying again", threading.current_thread().name)
                threading.Event().wait(self._poll_seconds)

    def _keep_fresh(self) -> None:
        self._models.wait_for_wish(self._poll_seconds)
        self._models.refresh()
        store_statistics(self._serve, self._store, self._clock)

    def _tell(self) -> None:
        self._serve.alerts_changed.wait()
        self._serve.alerts_changed.clear()
        self._notify()
