"""The product put together: settings, adapters, and the steps bound to them."""

from functools import cache

from sensorwatch.wiring.adapters import utc_now
from sensorwatch.wiring.observed import Wiring

__all__ = ["Wiring", "utc_now", "wiring"]


@cache
def wiring() -> Wiring:
    """Return the function app's wiring, made from its environment."""
    from sensorwatch.telemetry.exporting import set_up

    wired = Wiring.from_environment()
    set_up(wired.settings, "sensorwatch-functions")
    return wired
