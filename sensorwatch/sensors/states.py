"""The state that is shown of a sensor: what training said of it, and what time has done to that since.

================ =====================================================================================================
State            Meaning
================ =====================================================================================================
``no-data``      It has no windows.
``warming``      It has windows, but no model of its own yet: too few (``63 of 100 windows``), or no training has
                 looked yet. A stand-in may score it, and never alerts.
``ready``        It has a model, windows keep coming, and training keeps up with them.
``stale``        It has a model, but training kept an older one, or there are no new windows, or no new training.
``failed``       It has no model, and training says why.
================ =====================================================================================================

Training stores a state when it has changed. That a sensor falls silent, or is not trained, changes nothing that is
stored: it is seen when the sensor is looked at, from its newest window, its newest training window and the clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sensorwatch.sensors.records import SensorState, SensorStatus

__all__ = ["Freshness", "SensorQuery", "shown"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """From when on (UTC) a sensor's newest window, and what its model was trained on, count as fresh.

    Attributes
    ----------
    window_since
        A sensor whose newest window ends before this is silent.
    training_since
        A model whose newest training window ends before this is old, if the sensor has newer windows.
    """

    window_since: datetime
    training_since: datetime

    @classmethod
    def at(cls, now: datetime, *, no_data_seconds: int, model_stale_seconds: int) -> Freshness:
        """Return what is fresh at a moment; whole seconds, as windows end with them."""
        now = now.replace(microsecond=0)
        return cls(now - timedelta(seconds=no_data_seconds), now - timedelta(seconds=model_stale_seconds))


@dataclass(frozen=True, slots=True)
class SensorQuery:
    """Which sensors are wanted; None asks for nothing.

    Attributes
    ----------
    state
        The state that is shown of them.
    device, tag
        Their names, exactly.
    after_id
        Only those with a higher id: where the page before ended.
    search
        What their device or their tag begins with.
    """

    state: SensorState | None = None
    device: str | None = None
    tag: str | None = None
    after_id: int | None = None
    search: str | None = None


def shown(sensor: SensorStatus, freshness: Freshness) -> SensorStatus:
    """Return the sensor with the state and the reason that are shown of it.

    The store finds sensors by the same rules in SQL (``sensorwatch/store/sensors.py``); a test holds the two together.
    """
    state, reason = _shown(sensor, freshness)
    return sensor if (state, reason) == (sensor.state, sensor.reason) else replace(sensor, state=state, reason=reason)


def _shown(sensor: SensorStatus, freshness: Freshness) -> tuple[SensorState, str]:
    if sensor.state == "no-data" and sensor.last_window is not None:
        return "warming", "not trained yet"
    if sensor.state != "ready" or sensor.last_window is None:
        return sensor.state, sensor.reason or ("no windows yet" if sensor.state == "no-data" else "")
    if sensor.last_window < freshness.window_since:
        return "stale", f"no windows since {_text(sensor.last_window)}"
    trained_until = sensor.trained_until
    if trained_until is not None and trained_until < min(freshness.training_since, sensor.last_window):
        return "stale", f"not trained since {_text(trained_until)}"
    return sensor.state, sensor.reason


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
