"""Assembly of the product: use cases bound to the settings and their adapters."""

from functools import cache

from sensorwatch.app.product import Product

__all__ = ["Product", "get_product"]


@cache
def get_product() -> Product:
    """Return the product of the function app, created once from the environment."""
    from sensorwatch.telemetry.exporting import set_up

    made = Product.from_environment()
    set_up(made.settings, "sensorwatch-functions")
    return made
