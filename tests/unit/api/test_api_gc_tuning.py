"""Tuning of the garbage collector, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import gc, weakref
from sensorwatch.api.gc_tuning import freeze_long_lived_objects

class Node:
    pass

loaded = [Node() for _ in range(30_000)]
freeze_long_lived_objects()
assert gc.get_freeze_count() > 30_000
before = gc.get_freeze_count()
gc.collect()
assert gc.get_freeze_count() == before, "a few objects are not frozen"
later = [Node() for _ in range(30_000)]
gc.collect()
assert gc.get_freeze_count() > before + 30_000

cycle = Node()
cycle.own = cycle
gone = weakref.ref(cycle), weakref.ref(loaded[0])
del cycle, loaded
gc.collect()
assert [each() for each in gone] == [None, None]

kept = []
for _ in range(40):
    kept.append([Node() for _ in range(21_000)])
    gc.collect()
assert len(gc.get_objects(generation=2)) > 21_000 * 10, "the number of freezes is limited"
"""


def test_long_lived_objects_are_frozen_and_garbage_is_freed() -> None:
    subprocess.run([sys.executable, "-c", _PROGRAM], check=True)
