"""Create the empty database that ``SENSORWATCH_TEST_MSSQL`` names, for the tests against SQL Server."""

from __future__ import annotations

import os
import time

import sqlalchemy as sa

from sensorwatch.store.connection.engine import open_engine

_LIMIT_SECONDS = 120


def main() -> None:
    """Wait for the server, then create the database if it does not exist."""
    url = sa.make_url(os.environ["SENSORWATCH_TEST_MSSQL"])
    engine = open_engine(url.set(database="master").render_as_string(hide_password=False))
    deadline = time.monotonic() + _LIMIT_SECONDS
    statement = sa.text(
        "DECLARE @statement nvarchar(300) = N'CREATE DATABASE ' + QUOTENAME(:name); "
        "IF DB_ID(:name) IS NULL EXEC sp_executesql @statement"
    )
    while True:
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(statement, {"name": url.database})
                return
        except sa.exc.DBAPIError:
            # A server in a new container needs some time before it answers.
            if time.monotonic() > deadline:
                raise
            time.sleep(2)


if __name__ == "__main__":
    main()
