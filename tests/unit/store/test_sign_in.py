"""Signing in to SQL Server with a token, and letting identities in."""

from __future__ import annotations

import struct
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from azure.core.exceptions import ClientAuthenticationError
from sqlalchemy.dialects import mssql

from sensorwatch.errors import InvalidInputError, SettingsError
from sensorwatch.store import open_store
from sensorwatch.store.connection.engine import mssql_url
from sensorwatch.store.connection.sign_in import (
    DatabaseUser,
    parse_user,
    token_attribute,
    uses_token,
    with_tokens,
    without_token,
)

URL = sa.make_url("mssql+pyodbc://@host/db?driver=ODBC+Driver+18+for+SQL+Server&Authentication=ActiveDirectoryDefault")
CLIENT = UUID("11111111-2222-3333-4444-555555555555")


def driver(seen: list[tuple[str, dict[str, Any]]]) -> object:
    """Return a driver that notes how it is called, and finds no server."""

    class Driver:
        paramstyle = "qmark"
        version = "5.2.0"

        class Cursor:
            nextset = None

        class Error(Exception):
            pass

        ProgrammingError = Error

        def connect(self, text: str, **options: Any) -> None:
            seen.append((text, options))
            raise self.Error("there is no server")

    return Driver()


def test_only_the_default_sign_in_needs_a_token() -> None:
    assert uses_token(URL)
    assert uses_token(sa.make_url("mssql+pyodbc://@host/db?authentication=activedirectorydefault"))
    assert not uses_token(sa.make_url("mssql+pyodbc://@host/db?Authentication=ActiveDirectoryMsi"))
    assert not uses_token(sa.make_url("mssql+pyodbc://u:p@host/db"))


def test_every_new_connection_gets_a_token_of_its_own_time_and_no_other_authentication() -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    tokens = iter(["first", "second"])
    engine = sa.create_engine(mssql_url(without_token(URL), ["x"], None), module=driver(seen))
    with_tokens(engine, lambda scope: f"{next(tokens)} for {scope}")
    for _ in range(2):
        with pytest.raises(sa.exc.DBAPIError, match="there is no server"):
            engine.connect()
    for (text, options), name in zip(seen, ("first", "second"), strict=True):
        assert "trusted_connection" not in text.lower()
        assert "authentication" not in text.lower()
        assert options["attrs_before"] == {1256: token_attribute(f"{name} for https://database.windows.net/.default")}


def test_a_token_is_its_length_and_wide_characters() -> None:
    packed = token_attribute("token")
    assert struct.unpack("<I", packed[:4]) == (10,)
    assert packed[4:].decode("utf-16-le") == "token"


def test_a_user_is_a_name_and_a_client_id() -> None:
    assert parse_user(f"func-plant={CLIENT}") == DatabaseUser("func-plant", CLIENT)


@pytest.mark.parametrize(
    "text", ["", "func", "func=", "func=no-guid", f"={CLIENT}", f"a]; DROP TABLE Sensors --={CLIENT}"]
)
def test_an_invalid_user_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(InvalidInputError, match="NAME=CLIENT_ID"):
        parse_user(text)


def test_a_file_has_no_users() -> None:
    store = open_store("sqlite:///:memory:", shard_size=10)
    with pytest.raises(InvalidInputError, match="omit --user"):
        store.add_user(DatabaseUser("func-plant", CLIENT))
    store.dispose()


def test_names_and_ids_reach_sql_server_as_parameters_only() -> None:
    from sensorwatch.store.connection import sign_in

    text = str(sa.text(sign_in._ADD_USER).compile(dialect=mssql.dialect()))  # type: ignore[no-untyped-call]
    assert text.count("QUOTENAME(@name)") == 3
    assert "func" not in text


def test_a_sign_in_that_is_missing_names_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    class NobodySignedIn:
        def get_token(self, scope: str) -> None:
            raise ClientAuthenticationError(f"no token for {scope}")

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", NobodySignedIn)
    engine = sa.create_engine(mssql_url(without_token(URL), ["x"], None), module=driver([]))
    with_tokens(engine)
    with pytest.raises(SettingsError, match="nobody is signed in to Azure: run `az login` or `azd auth login`"):
        engine.connect()
