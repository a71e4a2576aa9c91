"""Configuration in force: read when it is first needed, and again when its files change."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.config.file import STORED_PREFIX, embed_calendars, parse_configuration
from sensorwatch.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.config.file import Configuration

__all__ = ["CurrentConfiguration", "InForce"]

_log = logging.getLogger(__name__)

_CHECK_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_SETTLING_SECONDS = 0.2
"""Time in which a changed file must not change again, so that no half-written file is read."""

_Signature = tuple[tuple[str, tuple[int, ...] | None], ...]


class InForce(NamedTuple):
    """A configuration, and its content with the texts of calendars embedded."""

    content: bytes
    configuration: Configuration


class CurrentConfiguration:
    """The configuration in force; safe to use from several threads.

    The file and its calendars are looked at every 5 seconds at most, while somebody asks. A changed file with mistakes
    changes nothing: the former configuration stays in force, and the mistake is logged once.

    Parameters
    ----------
    place
        The setting ``CONFIGURATION_FILE``: a path, or the name of a stored configuration, which never changes.
    read
        Returns the content with the texts of calendars embedded; raises SettingsError.
    monotonic
        Monotonic time in seconds.
    """

    def __init__(self, place: str, read: Callable[[], bytes], monotonic: Callable[[], float] = time.monotonic) -> None:
        self.problem = ""
        self._place = place
        self._read = read
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._in_force: InForce | None = None
        self._signature: _Signature = ()
        self._next_check = 0.0

    def current(self) -> InForce:
        """Return the configuration in force.

        Raises
        ------
        SettingsError
            The file has mistakes, and no former configuration is in force.
        """
        if self._in_force is None:
            with self._lock:
                if self._in_force is None:
                    signature = self._look()
                    self._in_force = self._load()
                    self._signature = signature
                    self._next_check = self._monotonic() + _CHECK_SECONDS
        elif self._monotonic() >= self._next_check and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()
        return self._in_force

    def _refresh(self) -> None:
        self._next_check = self._monotonic() + _CHECK_SECONDS
        if self._look() == self._signature:
            return
        before = self._look()
        time.sleep(_SETTLING_SECONDS)
        if self._look() != before:
            self._next_check = self._monotonic() + _RETRY_SECONDS
            return
        self._signature = before
        try:
            self._in_force = self._load()
        except SettingsError as exc:
            self.problem = str(exc)
            _log.error("%s changed, but has mistakes; the former one stays in force: %s", self._place, exc)
        else:
            self.problem = ""
            _log.info("%s changed and is in force", self._place)

    def _load(self) -> InForce:
        content = self._read()
        return InForce(content, parse_configuration(content, self._place))

    def _look(self) -> _Signature:
        """Return what tells the state of the file and its calendars from any other."""
        if self._place.startswith(STORED_PREFIX):
            return ()
        file = Path(self._place)
        known = dict(self._signature)
        state = _state(file)
        names = [name for name in known if name] if ("", state) in self._signature else _calendars(file)
        return (("", state), *((name, _state(file.parent / name)) for name in names))


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def _calendars(file: Path) -> list[str]:
    names: list[str] = []

    def note(name: str) -> str:
        names.append(name)
        return ""

    try:
        embed_calendars(file.read_bytes(), note)
    except OSError:
        return []
    return names
