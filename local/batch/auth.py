"""Shared-key authentication of requests, as the SDK signs them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from local.batch.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SharedKey"]

_SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


class SharedKey:
    """Check requests against an account's name and key.

    Parameters
    ----------
    account
        Name of the account.
    key
        Its key, base64.

    Raises
    ------
    ValueError
        The key is empty or not base64. The message does not contain it.
    """

    def __init__(self, account: str, key: str) -> None:
        try:
            self._key = base64.b64decode(key, validate=True)
        except binascii.Error:
            raise ValueError("expected a base64 text") from None
        if not self._key:
            raise ValueError("expected a base64 text, got an empty one")
        self._account = account

    def check(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> None:
        """Check the signature of a request.

        Parameters
        ----------
        method
            HTTP method in capitals.
        path, query
            Path and query as received, percent-encoded.
        headers
            Headers with names in lower case.

        Raises
        ------
        ServiceError
            403 ``AuthenticationFailed``: the signature is missing, names another account or was made with another key.
        """
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        account, _, signature = credentials.partition(":")
        expected = self._sign(method, path, query, headers)
        signed = hmac.compare_digest(signature.encode(), expected.encode())
        if scheme != "SharedKey" or account != self._account or not signed:
            raise ServiceError(
                403,
                "AuthenticationFailed",
                "Server failed to authenticate the request. Make sure the value of Authorization header is formed "
                "correctly including the signature.",
                ("AuthenticationErrorDetail", _detail(scheme, account, self._account)),
            )

    def _sign(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> str:
        signed = dict(headers)
        if method not in {"GET", "HEAD"}:
            signed.setdefault("content-length", "0")
        lines = [method, *(signed.get(name, "") for name in _SIGNED_HEADERS)]
        lines += [f"{name}:{value}" for name, value in sorted(headers.items()) if name.startswith("ocp-") and value]
        lines.append(f"/{self._account}{path}")
        lines += [f"{name}:{values[0]}" for name, values in sorted(parse_qs(query).items()) if values[0]]
        digest = hmac.new(self._key, "\n".join(lines).encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()


def _detail(scheme: str, account: str, expected: str) -> str:
    if scheme != "SharedKey":
        return f"expected the scheme SharedKey, got `{scheme}`"
    if account != expected:
        return f"expected the account `{expected}`, got `{account}`"
    return "the signature does not match: the client's key differs from the one that the service was started with"
