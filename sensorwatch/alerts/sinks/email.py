"""Alerts by e-mail over SMTP, as plain text and as HTML."""

from __future__ import annotations

import html
import logging
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from sensorwatch.alerts.message import facts, headline
from sensorwatch.errors import SettingsError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.alerts.message import AlertMessage
    from sensorwatch.settings.sinks import SmtpSecurity

__all__ = ["EmailSink"]

_log = logging.getLogger(__name__)


class EmailSink:
    """Sends each message to all recipients over a new connection.

    The Message-ID follows from the idempotency key, so that mailboxes recognise duplicates.

    Parameters
    ----------
    host, port
        Address of the SMTP server.
    security
        Encryption of the connection.
    user, password
        Credentials; None: no login.
    sender
        Address of the sender.
    recipients
        Addresses of the recipients.
    timeout_seconds
        Time limit of each network operation, in seconds.
    """

    name = "email"
    waits = True

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: SmtpSecurity,
        user: str | None,
        password: str | None,
        sender: str,
        recipients: Sequence[str],
        timeout_seconds: float,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._user = user
        self._password = password
        self._sender = sender
        self._recipients = tuple(recipients)
        self._timeout_seconds = timeout_seconds

    def send(self, message: AlertMessage) -> None:
        """Send one message; return when the server has accepted it for at least one recipient.

        Raises
        ------
        TransientError
            The server is unavailable, too slow, or refuses the message.
        SettingsError
            The server refuses the login, or does not support encryption.
        """
        mail = self._mail(message)
        try:
            with self._connect() as server:
                if self._security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self._user is not None:
                    server.login(self._user, self._password or "")
                refused = server.send_message(mail)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as exc:
            raise SettingsError(
                f"{self._host}:{self._port} refuses: {_reason(exc)}; check SMTP_USER, SMTP_PASSWORD and SMTP_SECURITY"
            ) from exc
        except (smtplib.SMTPException, OSError) as exc:
            raise TransientError(f"{self._host}:{self._port} did not accept the message: {_reason(exc)}") from exc
        for recipient, (code, _) in refused.items():
            _log.error("%s:%d refuses the recipient %s: %d", self._host, self._port, recipient, code)

    def _connect(self) -> smtplib.SMTP:
        if self._security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout_seconds, context=context)
        return smtplib.SMTP(self._host, self._port, timeout=self._timeout_seconds)

    def _mail(self, message: AlertMessage) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = headline(message.payload)
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._recipients)
        mail["Date"] = format_datetime(message.time)
        mail["Message-ID"] = f"<{sha256(message.key.encode()).hexdigest()[:32]}@sensorwatch.invalid>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Sensorwatch-Key"] = message.key
        mail.set_content(_text(message))
        mail.add_alternative(_html(message), subtype="html")
        return mail

    def close(self) -> None:
        """Do nothing: no connection stays open."""


def _text(message: AlertMessage) -> str:
    lines = [headline(message.payload), "", *(f"{label}: {value}" for label, value in facts(message.payload))]
    if message.payload["link"] is not None:
        lines += ["", str(message.payload["link"])]
    return "\n".join(lines) + "\n"


def _html(message: AlertMessage) -> str:
    rows = "".join(
        f"<tr><th align=left>{html.escape(label)}</th><td>{html.escape(value)}</td></tr>"
        for label, value in facts(message.payload)
    )
    link = message.payload["link"]
    anchor = "" if link is None else f'<p><a href="{html.escape(link)}">Open in the dashboard</a></p>'
    title = html.escape(headline(message.payload))
    return f"<!doctype html><html><body><h1>{title}</h1><table>{rows}</table>{anchor}</body></html>\n"


def _reason(error: Exception) -> str:
    """Return the reason of a failure without the content of the message."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_answer_text(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(
            f"{address}: {code} {_answer_text(answer)}" for address, (code, answer) in error.recipients.items()
        )
    return str(error) or type(error).__name__


def _answer_text(answer: bytes | str) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer
