"""The product put together: settings, adapters, and the steps bound to them."""

from functools import cache

from sensorwatch.wiring.adapters import utc_now
from sensorwatch.wiring.steps import Wiring

__all__ = ["Wiring", "utc_now", "wiring"]


@cache
def wiring() -> Wiring:
    """Return the process's wiring, made from its environment."""
    return Wiring.from_environment()
