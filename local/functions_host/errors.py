"""What can end or interrupt the host on purpose."""

from __future__ import annotations

from sensorwatch.errors import SensorwatchError

__all__ = ["HostError", "HostStoppingError"]


class HostError(SensorwatchError):
    """The app can't be run as it is; the text names the file, function, binding or setting."""


class HostStoppingError(SensorwatchError):
    """The host ends, so this was not begun or not finished and will be done again at the next start."""
