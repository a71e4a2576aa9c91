"""Task processes: each in its own process group, so that its children end with it."""

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
    """Return the creation time of a process (seconds since 1970), or None if it has ended."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def kill_group(group: int) -> None:
    """Kill all processes of a group; a group that has ended is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kill_orphans(recorded: Iterable[tuple[int, float]], node_root: Path) -> int:
    """Kill the task processes that an earlier service left behind when it was killed.

    Parameters
    ----------
    recorded
        (process id, creation time in seconds since 1970) of the tasks that were running. A process with another
        creation time has reused the id and is not killed.
    node_root
        The service's folder. Processes that have it in their environment belong to a task, even if the first process
        of their group has ended.

    Returns
    -------
    int
        Number of killed processes and groups.
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
