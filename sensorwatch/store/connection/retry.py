"""Retries of transient database errors, and translation of the others."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from sensorwatch.errors import SettingsError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Retry", "is_transient"]

_T = TypeVar("_T")

_SQLITE_BUSY = 5
_SQLITE_LOCKED = 6
_SQLITE_UNUSABLE = frozenset({14, 26})  # CANTOPEN, NOTADB

_SQLSTATES = frozenset({"08001", "08003", "08007", "08S01", "40001", "HYT00", "HYT01"})
_LOGIN_REFUSED = "28000"
_SERVER_ERRORS = frozenset(
    {
        # Deadlocks, lock and snapshot conflicts, and a key that another transaction inserted first.
        *(1205, 1222, 3960, 2601, 2627),
        # Broken connections and incomplete logins.
        *(20, 64, 121, 233, 258, 10053, 10054, 10060, 10928, 10929),
        # Azure SQL is moving or throttling the database.
        *(615, 926, 4221, 40143, 40197, 40501, 40540, 40613, 42108, 42109, 49918, 49919, 49920),
    }
)
_NATIVE_ERROR = re.compile(r"\((\d+)\)")


def is_transient(error: BaseException) -> bool:
    """Return whether the same transaction may succeed if it is repeated."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    sqlite_code = _sqlite_code(error)
    if sqlite_code is not None:
        return sqlite_code in (_SQLITE_BUSY, _SQLITE_LOCKED)
    return _sqlstate(error) in _SQLSTATES or any(
        int(number) in _SERVER_ERRORS for number in _NATIVE_ERROR.findall(str(error.orig))
    )


def _sqlite_code(error: DBAPIError) -> int | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _sqlstate(error: DBAPIError) -> str:
    arguments = error.orig.args if error.orig is not None else ()
    return str(arguments[0]) if arguments else ""


class Retry:
    """Repeats a transaction after transient errors, with random pauses that grow exponentially.

    Parameters
    ----------
    attempts
        Largest number of calls.
    longest_pause_seconds
        Largest pause between two calls, in seconds.
    sleep
        Function that waits for a number of seconds.
    """

    def __init__(
        self,
        attempts: int = 6,
        longest_pause_seconds: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._retrying = Retrying(
            stop=stop_after_attempt(attempts),
            wait=wait_random_exponential(multiplier=0.05, max=longest_pause_seconds),
            retry=retry_if_exception(is_transient),
            sleep=sleep,
            reraise=True,
        )

    def __call__(self, work: Callable[[], _T]) -> _T:
        """Return the result of ``work``.

        Raises
        ------
        TransientError
            Every attempt failed with a transient error.
        SettingsError
            The server refused the login, or the file is not a database.
        """
        try:
            return self._retrying.copy()(work)
        except (DBAPIError, PoolTimeoutError) as exc:
            reason = str(getattr(exc, "orig", None) or exc)
            if is_transient(exc):
                raise TransientError(f"the database is busy or did not answer in time: {reason}") from exc
            if isinstance(exc, DBAPIError) and (
                _sqlstate(exc) == _LOGIN_REFUSED or _sqlite_code(exc) in _SQLITE_UNUSABLE
            ):
                raise SettingsError(
                    f"DATABASE_URL: expected a database that can be opened, got: {reason}; "
                    "check name, path and permissions"
                ) from exc
            raise
