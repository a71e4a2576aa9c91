"""Shorter pauses for requests: the garbage collector need not look again at what stays as long as the process.

Each full collection walks everything that the libraries have loaded, which holds up whatever runs for 0.1 s. Over large
answers that is one request of twenty, so that it alone decides the 95th percentile.
"""

from __future__ import annotations

import gc

__all__ = ["spare_what_stays"]

_MANY = 20_000
_MOST_TIMES = 20


def spare_what_stays() -> None:
    """Take what survives a full collection out of the next ones, now and whenever much has been loaded since.

    Nothing else changes: objects go away with their last reference as before, and new ones in cycles are collected.
    What was in use at these moments and later ends in a cycle is not, so there are twenty of them at most.
    """
    left = _MOST_TIMES

    def after_collection(phase: str, info: dict[str, int]) -> None:
        nonlocal left
        if phase == "stop" and info["generation"] == 2 and len(gc.get_objects(generation=2)) > _MANY:
            gc.freeze()
            left -= 1
            if not left:
                gc.callbacks.remove(after_collection)

    gc.callbacks.append(after_collection)
    gc.collect()
