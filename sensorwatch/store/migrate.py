"""Migration of a database to the tables of this version."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.errors import SettingsError, TransientError
from sensorwatch.store.connection.engine import SQLITE_BEGIN
from sensorwatch.store.connection.retry import Retry
from sensorwatch.store.tables import REVISION

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RELEASE_LOCK", "TAKE_LOCK", "current_revision", "upgrade"]

_LOCK_MILLISECONDS = 60_000

TAKE_LOCK = """\
SET NOCOUNT ON;
DECLARE @outcome INT;
EXEC @outcome = sp_getapplock @Resource = 'sensorwatch.migrations', @LockMode = 'Exclusive',
    @LockOwner = 'Session', @LockTimeout = :milliseconds;
SELECT @outcome AS Outcome;
"""

RELEASE_LOCK = "EXEC sp_releaseapplock @Resource = 'sensorwatch.migrations', @LockOwner = 'Session'"


def current_revision(connection: sa.Connection) -> str | None:
    """Return the current revision of the database; None without tables."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return revision


def upgrade(engine: sa.Engine, retry: Retry | None = None) -> None:
    """Migrate the database to the tables of this version. Processes that start together wait for each other.

    An up-to-date database costs one query and needs no permission to change tables.

    Parameters
    ----------
    engine
        Engine of the database.
    retry
        Retries of transient errors; None: the default.

    Raises
    ------
    SettingsError
        A newer version has migrated the database, or it can't be opened.
    TransientError
        The database is unavailable, or another process is still migrating it.
    """
    (retry or Retry())(lambda: _upgrade(engine))


def _upgrade(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        if current_revision(connection) == REVISION:
            return
    from alembic import command
    from alembic.config import Config
    from alembic.script.revision import ResolutionError
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with _migrating(engine) as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except (CommandError, ResolutionError) as exc:
            raise SettingsError(
                f"DATABASE_URL: expected a database at revision {REVISION} or older, got revision "
                f"{current_revision(connection)}; a newer version of Sensorwatch has migrated it; deploy that version"
            ) from exc


@contextmanager
def _migrating(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection in a transaction that no migration of another process can overlap.

    On SQLite, the transaction itself excludes all others. On SQL Server, a separate session holds the lock, because a
    lock that belongs to the transaction would need a transaction that has already started.
    """
    if engine.dialect.name == "sqlite":
        with engine.execution_options(**{SQLITE_BEGIN: "EXCLUSIVE"}).begin() as connection:
            yield connection
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as guard:
        outcome = guard.execute(sa.text(TAKE_LOCK), {"milliseconds": _LOCK_MILLISECONDS}).scalar_one()
        if outcome < 0:
            raise TransientError(
                f"another process is migrating the database: waited {_LOCK_MILLISECONDS // 1000} s for its lock "
                f"(sp_getapplock said {outcome}); try again"
            )
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            guard.execute(sa.text(RELEASE_LOCK))
