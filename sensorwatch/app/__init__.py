"""The product put together: settings, adapters, and the use cases over them."""

from functools import cache

from sensorwatch.app.product import Product

__all__ = ["Product", "get_product"]


@cache
def get_product() -> Product:
    """Return the function app's product, made from its environment."""
    from sensorwatch.telemetry.exporting import set_up

    made = Product.from_environment()
    set_up(made.settings, "sensorwatch-functions")
    return made
