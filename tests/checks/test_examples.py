"""Examples in docstrings are run, so that they stay true."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import sensorwatch

# The environment of migrations can only be imported by Alembic.
NOT_IMPORTABLE = ("sensorwatch.store.migrations",)


def test_every_example_of_a_docstring_holds() -> None:
    names = [module.name for module in pkgutil.walk_packages(sensorwatch.__path__, "sensorwatch.")]
    results = {name: doctest.testmod(import_module(name)) for name in names if not name.startswith(NOT_IMPORTABLE)}
    assert {name: result for name, result in results.items() if result.failed} == {}
    assert sum(result.attempted for result in results.values()) > 100
