"""Examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import sensorwatch


def test_every_example_in_the_package_holds() -> None:
    names = [module.name for module in pkgutil.walk_packages(sensorwatch.__path__, "sensorwatch.")]
    modules = [importlib.import_module(name) for name in names if ".migrations" not in name]
    results = {module.__name__: doctest.testmod(module) for module in modules}
    assert sum(result.attempted for result in results.values()) > 150
    assert {name: result.failed for name, result in results.items() if result.failed} == {}
