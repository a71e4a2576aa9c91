"""Alerts by webhook: signed CloudEvents, or messages for Teams or Slack."""

from __future__ import annotations

import hashlib
import hmac
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from sensorwatch import __version__
from sensorwatch.alerts.sinks.chat import slack_message, teams_card
from sensorwatch.alerts.sinks.cloud_events import CONTENT_TYPE, cloud_event
from sensorwatch.errors import TransientError

if TYPE_CHECKING:
    import httpx

    from sensorwatch.alerts.message import AlertMessage
    from sensorwatch.clock import Clock
    from sensorwatch.settings.sinks import Webhook

__all__ = ["SIGNATURE_HEADER", "WebhookSink", "sign"]

SIGNATURE_HEADER = "Sensorwatch-Signature"

_BODIES = {
    "cloudevents": (cloud_event, CONTENT_TYPE),
    "teams": (teams_card, "application/json; charset=utf-8"),
    "slack": (slack_message, "application/json; charset=utf-8"),
}
_KEPT_REASON = 200


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of the signature header: HMAC-SHA256 of the timestamp, a full stop and the body.

    A receiver computes the same value, compares both in constant time, and refuses old timestamps.

    Parameters
    ----------
    secret
        Secret shared with the receiver.
    timestamp
        Current time in seconds since 1970-01-01T00:00:00Z.
    body
        Body of the request.

    Examples
    --------
    >>> sign("secret", 1_795_169_700, b"{}")[:16]
    't=1795169700,v1='
    """
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class WebhookSink:
    """Posts each message to one URL; any status from 200 to 299 is a delivery.

    Redirects are not followed, because they could send alerts to a host that nobody configured. The URL may contain a
    secret, so errors only name its host.

    Parameters
    ----------
    webhook
        Name, URL and message format.
    secret
        Secret for the signature; None: messages are not signed.
    timeout_seconds
        Time limit of each network operation, in seconds.
    clock
        Current time, for the signature.
    """

    waits = True

    def __init__(self, webhook: Webhook, secret: str | None, *, timeout_seconds: float, clock: Clock) -> None:
        self.name = webhook.name
        self._url = webhook.url.get_secret_value()
        self._shape, self._content_type = _BODIES[webhook.shape]
        self._secret = secret
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._host = urlsplit(self._url).hostname or ""
        self._client: httpx.Client | None = None
        self._opening = threading.Lock()

    def send(self, message: AlertMessage) -> None:
        """Post one message.

        Raises
        ------
        TransientError
            The host is unavailable, too slow, or answered with another status than 200 to 299.
        """
        import httpx

        body = self._shape(message)
        headers = {"Content-Type": self._content_type, "Idempotency-Key": quote(message.key, safe=":-._~")}
        if message.traceparent:
            headers["traceparent"] = message.traceparent
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = sign(self._secret, int(self._clock().timestamp()), body)
        try:
            # Only the status is read, because the body may be endless.
            with self._connections().stream("POST", self._url, content=body, headers=headers) as response:
                status = response.status_code
                if response.is_redirect:
                    raise TransientError(
                        f"{self._host} answered {status}, a redirect, which is not followed; "
                        "set WEBHOOKS to the URL that it leads to"
                    )
                if not response.is_success:
                    raise TransientError(
                        f"{self._host} answered {status} {response.reason_phrase[:_KEPT_REASON]}; expected 200 to 299"
                    )
        except httpx.TimeoutException as exc:
            raise TransientError(f"{self._host} did not answer in time ({type(exc).__name__})") from exc
        except httpx.TransportError as exc:
            raise TransientError(f"{self._host} can't be reached: {str(exc) or type(exc).__name__}") from exc

    def _connections(self) -> httpx.Client:
        import httpx

        with self._opening:
            if self._client is None:
                self._client = httpx.Client(
                    headers={"User-Agent": f"Sensorwatch/{__version__}"},
                    timeout=self._timeout_seconds,
                    follow_redirects=False,
                )
            return self._client

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            if self._client is not None:
                self._client.close()
                self._client = None
