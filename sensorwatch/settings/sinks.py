"""The settings of the alert sinks that are more than a number or a name: webhooks, recipients, encryption."""

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
"""How the connection to the mail server is encrypted."""

WebhookShape = Literal["cloudevents", "teams", "slack"]
"""What the body that is posted looks like."""

MAX_WEBHOOKS = 10
"""Each webhook has a thread of its own while there is something to deliver."""

_ENTRY = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]{0,39})=(?:(?P<shape>teams|slack)\+)?(?P<url>https?://\S+)")
_ADDRESS = re.compile(r"[^\s@,<>]+@[^\s@,<>]+")
_TAKEN = frozenset({"log", "email", "event-hub"})


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver; its URL is a secret, as those of Teams and Slack let everybody post who knows them."""

    name: str
    shape: WebhookShape
    url: SecretStr


def parse_webhooks(text: str) -> tuple[Webhook, ...]:
    """Return the webhooks in a text: ``name=URL`` each, with blanks between them.

    ``teams+`` or ``slack+`` in front of the URL asks for a body of that shape.

    Raises
    ------
    ValueError
        The text names the entry by its number only, as the rest may be secret.

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
                "1 to 40 small letters, digits and hyphens"
            )
        name, shape, url = match["name"], match["shape"] or "cloudevents", match["url"]
        if name in found or name in _TAKEN:
            raise ValueError(f"entry {number}: the name {name} is taken; give each sink a name of its own")
        host = _host(url)
        if not host:
            raise ValueError(f"entry {number}: expected a URL with a host; try {name}=https://host/path")
        if not url.startswith("https://") and not is_loopback(host):
            raise ValueError(
                f"entry {number}: expected https://, as alerts must not travel in the clear; http:// is "
                "for this machine only"
            )
        found[name] = Webhook(name, _shape(shape), SecretStr(url))
    if len(found) > MAX_WEBHOOKS:
        raise ValueError(f"expected at most {MAX_WEBHOOKS} webhooks, got {len(found)}; let one receiver pass them on")
    return tuple(found.values())


def parse_recipients(text: str) -> tuple[str, ...]:
    """Return the e-mail addresses in a text with commas between them.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> parse_recipients("ops@example.org, night-shift@example.org")
    ('ops@example.org', 'night-shift@example.org')
    """
    addresses = tuple(address.strip() for address in text.split(",") if address.strip())
    for address in addresses:
        if _ADDRESS.fullmatch(address) is None:
            raise ValueError(f"expected addresses like ops@example.org with commas between them, not `{address}`")
    if not addresses:
        raise ValueError("expected at least one address like ops@example.org")
    return addresses


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine."""
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
