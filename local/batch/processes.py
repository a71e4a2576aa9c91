"""Task processes: each in a process group of its own, so that what it starts ends with it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["NODE_ROOT", "created_at", "kill_group", "kill_orphans"]

NODE_ROOT = "AZ_BATCH_NODE_ROOT_DIR"
_CLOCK_TOLERANCE_SECONDS = 0.1


def created_at(pid: int) -> float | None:
    """Return when a process was created (seconds since 1970), None where it is gone already."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def kill_group(group: int) -> None:
    """End every process of a group at once; one that is gone is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kill_orphans(recorded: Iterable[tuple[int, float]], node_root: Path) -> int:
    """End what a former service that was killed has left running.

    Parameters
    ----------
    recorded
        (process id, time of creation) of the tasks that were running. An id that belongs to a process created at
        another time has been given anew, and is left alone.
    node_root
        The service's folder. Processes that carry it in their environment are tasks of this service even when their
        group's first process has ended.

    Returns
    -------
    int
        How many processes or groups were ended.
    """
    killed = 0
    for pid, created in recorded:
        now = created_at(pid)
        if now is not None and abs(now - created) < _CLOCK_TOLERANCE_SECONDS:
            kill_group(pid)
            killed += 1
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(NODE_ROOT) == str(node_root):
                process.kill()
                killed += 1
    return killed
