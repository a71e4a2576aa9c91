"""What the garbage collector is spared, in a process of its own: what is spared stays so."""

from __future__ import annotations

import subprocess
import sys

_SPARED = """
import gc, weakref
from sensorwatch.api.pauses import spare_what_stays

class Node:
    pass

loaded = [Node() for _ in range(30_000)]
spare_what_stays()
assert gc.get_freeze_count() > 30_000
before = gc.get_freeze_count()
gc.collect()
assert gc.get_freeze_count() == before, "what is little stays in sight"
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
assert len(gc.get_objects(generation=2)) > 21_000 * 10, "at last it ends"
"""


def test_what_stays_is_spared_and_garbage_is_not() -> None:
    subprocess.run([sys.executable, "-c", _SPARED], check=True)
