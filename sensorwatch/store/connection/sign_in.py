"""Sign-in to SQL Server with the current Azure identity, and access for other identities.

The ODBC driver supports managed identities itself. People and pipelines have access tokens, which are passed as an
attribute of the connection (https://docs.sqlalchemy.org/en/20/dialects/mssql.html, "Connecting to databases with access
tokens").
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import event

from sensorwatch.errors import InvalidInputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL, Engine

__all__ = ["DatabaseUser", "add_user", "parse_user", "token_attribute", "uses_token", "with_tokens", "without_token"]

_SCOPE = "https://database.windows.net/.default"
_ACCESS_TOKEN = 1256  # SQL_COPT_SS_ACCESS_TOKEN
_METHOD = "activedirectorydefault"
_USER = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.@-]{0,126})=(?P<client_id>[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
)

# Names are passed as parameters, and QUOTENAME turns them into identifiers on the server. Creating a user by its SID
# needs no permission to read the directory; the SID of an application is its client id.
_ADD_USER = """\
SET NOCOUNT ON;
DECLARE @name sysname = :name, @sid varbinary(16) = :sid, @statement nvarchar(max);
IF DATABASE_PRINCIPAL_ID(@name) IS NULL
BEGIN
    SET @statement = N'CREATE USER ' + QUOTENAME(@name) + N' WITH SID = '
        + CONVERT(nvarchar(64), @sid, 1) + N', TYPE = E';
    EXEC sp_executesql @statement;
END;
SET @statement = N'ALTER ROLE db_datareader ADD MEMBER ' + QUOTENAME(@name)
    + N'; ALTER ROLE db_datawriter ADD MEMBER ' + QUOTENAME(@name);
EXEC sp_executesql @statement;
"""


class DatabaseUser(NamedTuple):
    """An Entra identity that may read and write: its name in the database and its client id."""

    name: str
    client_id: UUID


def uses_token(url: URL) -> bool:
    """Return whether the URL has ``Authentication=ActiveDirectoryDefault``: sign-in with the current Azure identity."""
    return any(key.lower() == "authentication" and value == _METHOD for key, value in _lowered(url))


def _lowered(url: URL) -> list[tuple[str, str]]:
    return [(key, value.lower()) for key, value in url.query.items() if isinstance(value, str)]


def without_token(url: URL) -> URL:
    """Return the URL without its authentication, which the driver refuses together with a token."""
    return url.set(query={key: value for key, value in url.query.items() if key.lower() != "authentication"})


def with_tokens(engine: Engine, get_token: Callable[[str], str] | None = None) -> None:
    """Make every new connection of the engine sign in with an access token.

    Parameters
    ----------
    engine
        The engine.
    get_token
        Function that returns a token for a scope; None: ``DefaultAzureCredential``, which caches tokens.
    """
    token = get_token or _default_token()

    @event.listens_for(engine, "do_connect")
    def _sign_in(_dialect: object, _record: object, arguments: list[str], options: dict[str, object]) -> None:
        # Without a user, SQLAlchemy asks for a trusted connection, which the driver refuses together with a token.
        arguments[0] = arguments[0].replace(";Trusted_Connection=Yes", "")
        options["attrs_before"] = {_ACCESS_TOKEN: token_attribute(token(_SCOPE))}


def _default_token() -> Callable[[str], str]:
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import DefaultAzureCredential

    credential = DefaultAzureCredential()

    def get(scope: str) -> str:
        try:
            return credential.get_token(scope).token
        except ClientAuthenticationError as exc:
            raise SettingsError(
                "DATABASE_URL asks for ActiveDirectoryDefault, but nobody is signed in to Azure: run `az login` or "
                "`azd auth login`, or use Authentication=ActiveDirectoryMsi where there is a managed identity"
            ) from exc

    return get


def token_attribute(token: str) -> bytes:
    r"""Return a token in the form of the driver: its length in bytes (32 bits), then UTF-16, both little-endian.

    Examples
    --------
    >>> token_attribute("ab")
    b'\x04\x00\x00\x00a\x00b\x00'
    """
    content = token.encode("utf-16-le")
    return struct.pack("<I", len(content)) + content


def parse_user(text: str) -> DatabaseUser:
    """Return the user in a text ``NAME=CLIENT_ID``.

    Raises
    ------
    InvalidInputError
        The text has another form.

    Examples
    --------
    >>> parse_user("func-plant=11111111-2222-3333-4444-555555555555").name
    'func-plant'
    """
    found = _USER.fullmatch(text)
    if found is None:
        raise InvalidInputError(
            f"user: expected NAME=CLIENT_ID (letters, digits, `.`, `_`, `-`, `@`; a GUID), got `{text}`"
        )
    return DatabaseUser(found["name"], UUID(found["client_id"]))


def add_user(connection: sa.Connection, user: DatabaseUser) -> None:
    """Allow an identity to read and write on SQL Server; a second call changes nothing.

    Raises
    ------
    InvalidInputError
        The database is SQLite, which has no users.
    """
    if connection.dialect.name != "mssql":
        raise InvalidInputError("user: expected SQL Server, got SQLite, which has no users; omit --user")
    connection.execute(sa.text(_ADD_USER), {"name": user.name, "sid": user.client_id.bytes_le})
