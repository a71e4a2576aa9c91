"""Parsing of the structured settings of alert sinks: webhooks and recipients."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

__all__ = [
    "MAX_WEBHOOKS",
    "SmtpSecurity",
    "Webhook",
    "WebhookShape",
    "is_loopback",
    "parse_recipients",
    "parse_webhooks",
]

SmtpSecurity = Literal["starttls", "tls", "none"]
"""Encryption of the connection to the mail server."""

WebhookShape = Literal["cloudevents", "teams", "slack"]
"""Format of the posted body."""

MAX_WEBHOOKS = 10
"""Limit of webhooks: each has its own thread while there are messages to deliver."""

_ENTRY = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]{0,39})=(?:(?P<shape>teams|slack)\+)?(?P<url>https?://\S+)")
_ADDRESS = re.compile(r"[^\s@,<>]+@[^\s@,<>]+")
_TAKEN = frozenset({"log", "email", "event-hub"})


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver of alerts. Its URL is secret: everybody who knows a URL of Teams or Slack can post to it."""

    name: str
    shape: WebhookShape
    url: SecretStr


def parse_webhooks(text: str) -> tuple[Webhook, ...]:
    """Return the webhooks in a text of ``name=URL`` entries, separated by spaces.

    The prefix ``teams+`` or ``slack+`` of a URL selects the format of the posted body.

    Raises
    ------
    ValueError
        An entry is invalid. The message contains only its number, because the entry may be secret.

    Examples
    --------
    >>> [(hook.name, hook.shape) for hook in parse_webhooks("ops=https://a.example/x chat=teams+https://b.example/y")]
    [('ops', 'cloudevents'), ('chat', 'teams')]
    """
    found: dict[str, Webhook] = {}
    for number, entry in enumerate(text.split(), 1):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(
                f"entry {number}: expected name=https://…, name=teams+https://… or name=slack+https://…; a name has "
                "1 to 40 lower-case letters, digits and hyphens"
            )
        name, shape, url = match["name"], match["shape"] or "cloudevents", match["url"]
        if name in found or name in _TAKEN:
            raise ValueError(f"entry {number}: the name {name} is taken; give each sink a different name")
        host = _host(url)
        if not host:
            raise ValueError(f"entry {number}: expected a URL with a host; try {name}=https://host/path")
        if not url.startswith("https://") and not is_loopback(host):
            raise ValueError(
                f"entry {number}: expected https://, because alerts must not be sent without encryption; http:// is "
                "only for this machine"
            )
        found[name] = Webhook(name, _shape(shape), SecretStr(url))
    if len(found) > MAX_WEBHOOKS:
        raise ValueError(
            f"expected at most {MAX_WEBHOOKS} webhooks, got {len(found)}; try one receiver that forwards to the others"
        )
    return tuple(found.values())


def parse_recipients(text: str) -> tuple[str, ...]:
    """Return the e-mail addresses in a text, separated by commas.

    Raises
    ------
    ValueError
        An address is invalid, or there is none.

    Examples
    --------
    >>> parse_recipients("ops@example.org, night-shift@example.org")
    ('ops@example.org', 'night-shift@example.org')
    """
    addresses = tuple(address.strip() for address in text.split(",") if address.strip())
    for address in addresses:
        if _ADDRESS.fullmatch(address) is None:
            raise ValueError(f"expected addresses like ops@example.org, separated by commas, got `{address}`")
    if not addresses:
        raise ValueError("expected at least one address like ops@example.org")
    return addresses


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return ""
    return parts.hostname or ""


def _shape(text: str) -> WebhookShape:
    if text == "teams":
        return "teams"
    return "slack" if text == "slack" else "cloudevents"
