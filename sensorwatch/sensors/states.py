"""State of a sensor as it is shown: the stored state of training, adjusted by the age of windows and models.

================ =====================================================================================================
State            Meaning
================ =====================================================================================================
``no-data``      It has no windows.
``warming``      It has windows, but no model of its own yet: too few windows (``63 of 100 windows …``), or it was
                 not trained yet. A fallback model may score it, but never raises alerts.
``ready``        It has a current model and new windows.
``stale``        It has a model, but training kept an older one, or new windows or new trainings are missing.
``failed``       It has no model; the reason says why.
================ =====================================================================================================

Training stores a state when it changes. Missing windows or trainings change nothing in the store: the shown state is
derived from the newest window, the newest training window and the clock.
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
    """Times (UTC) from which on windows and trainings count as fresh.

    Attributes
    ----------
    window_since
        A sensor whose newest window ends before this is stale.
    training_since
        A model whose newest training window ends before this is stale, if the sensor has newer windows.
    """

    window_since: datetime
    training_since: datetime

    @classmethod
    def at(cls, now: datetime, *, no_data_seconds: int, model_stale_seconds: int) -> Freshness:
        """Return the limits at ``now``, rounded down to whole seconds, because windows end at whole seconds.

        Parameters
        ----------
        now
            Current time, with a time zone.
        no_data_seconds
            Age of the newest window at which a sensor is stale, in seconds.
        model_stale_seconds
            Age of the newest training window at which a model is stale, in seconds.
        """
        now = now.replace(microsecond=0)
        return cls(now - timedelta(seconds=no_data_seconds), now - timedelta(seconds=model_stale_seconds))


@dataclass(frozen=True, slots=True)
class SensorQuery:
    """Conditions that sensors must meet; None: no condition.

    Attributes
    ----------
    state
        Shown state.
    device, tag
        Exact names.
    after_id
        Last id of the previous page; only sensors with higher ids are returned.
    search
        Prefix of the device or the tag.
    """

    state: SensorState | None = None
    device: str | None = None
    tag: str | None = None
    after_id: int | None = None
    search: str | None = None


def shown(sensor: SensorStatus, freshness: Freshness) -> SensorStatus:
    """Return the sensor with its shown state and reason.

    The store has the same rules in SQL (``sensorwatch/store/sensors.py``); a test compares both.
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
