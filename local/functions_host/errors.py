"""Exceptions of the Functions host."""

from __future__ import annotations

from sensorwatch.errors import SensorwatchError

__all__ = ["HostError", "HostStoppingError"]


class HostError(SensorwatchError):
    """The app can't be run; the message names the file, function, binding or setting."""


class HostStoppingError(SensorwatchError):
    """The work was not started or not finished, as the host is stopping; the next start repeats it."""
