"""Alerts as webhooks, mail servers and event hubs receive them, byte for byte."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from local_stack import wait_until
from sink_receivers import EventHubReceiver, MailServer, WebhookServer, running_broker

from sensorwatch import __version__
from sensorwatch.alerts.message import AlertMessage, alert_message
from sensorwatch.alerts.ports import AlertSink
from sensorwatch.alerts.records import Alert, Notification
from sensorwatch.alerts.sinks import sinks
from sensorwatch.alerts.sinks.webhook import SIGNATURE_HEADER
from sensorwatch.errors import SettingsError, TransientError
from sensorwatch.sensors.records import SensorKey, SensorStatus
from sensorwatch.settings import load_settings

pytestmark = pytest.mark.wire

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
END = 1_795_169_700
WHY = "12.2 where 1.5 to 3.0 was expected; the value is outside its usual range."


def message(device: str = "press-1", *, number: int = 0, event: str = "opened") -> AlertMessage:
    cleared = END + 300 if event == "cleared" else None
    alert = Alert(
        *(f"{number}-{END}", number, END, END + 30, cleared, 4, 93.5, "high"),
        peak_value=12.25,
        expected_low=1.5,
        expected_high=3.0,
        model_version="v1",
        training_start=END - 3600,
        training_end=END,
        explanation=WHY,
    )
    sensor = SensorStatus(number, SensorKey(device, "flow"), 0, NOW, NOW, "ready", "", NOW, "v1")
    told = Notification(f"{alert.alert_id}:{event}", "cleared" if cleared else "opened", alert)
    return alert_message(told, sensor, "https://dash.example/")


def sink(**values: str) -> AlertSink:
    return sinks(load_settings({"DATABASE_URL": "sqlite:///:memory:"} | values), lambda: NOW)[-1]


# ---- webhooks --------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_a_signed_cloud_event() -> None:
    with WebhookServer() as server:
        sink(WEBHOOKS=f"ops={server.url}", WEBHOOK_SECRET="hunter2").send(message())
    (post,) = server.posts
    assert post.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert post.headers["Idempotency-Key"] == "0-1795169700:opened"
    assert post.headers["User-Agent"] == f"Sensorwatch/{__version__}"
    digest = hmac.new(b"hunter2", f"{int(NOW.timestamp())}.".encode() + post.body, hashlib.sha256).hexdigest()
    assert post.headers[SIGNATURE_HEADER] == f"t={int(NOW.timestamp())},v1={digest}"
    assert post.json == {
        "specversion": "1.0",
        "id": "0-1795169700:opened",
        "source": "/sensorwatch",
        "type": "sensorwatch.alert.opened",
        "subject": "0-1795169700",
        "time": "2026-11-20T10:15:00Z",
        "datacontenttype": "application/json",
        "data": {
            "key": "0-1795169700:opened",
            "event": "opened",
            "alert_id": "0-1795169700",
            "kind": "anomaly",
            "severity": "high",
            "score": 93.5,
            "value": 12.25,
            "expected_low": 1.5,
            "expected_high": 3.0,
            "explanation": WHY,
            "anomalies": 4,
            "opened_at": "2026-11-20T10:15:00Z",
            "last_anomaly_at": "2026-11-20T10:15:30Z",
            "cleared_at": None,
            "sensor": {"id": 0, "device": "press-1", "tag": "flow"},
            "model": {
                "version": "v1",
                "trained_from": "2026-11-20T09:15:00Z",
                "trained_until": "2026-11-20T10:15:00Z",
            },
            "incident": None,
            "link": "https://dash.example/alerts/0-1795169700",
        },
    }


def test_a_webhook_without_a_secret_is_not_signed() -> None:
    with WebhookServer() as server:
        sink(WEBHOOKS=f"ops={server.url}").send(message())
    assert SIGNATURE_HEADER not in server.posts[0].headers


def test_a_redirect_is_not_followed() -> None:
    with (
        WebhookServer(lambda post: 307) as server,
        pytest.raises(TransientError, match="redirect, which is not"),
    ):
        sink(WEBHOOKS=f"ops={server.url}").send(message())
    assert server.posts == []


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_any_answer_but_2xx_is_tried_again(status: int) -> None:
    with WebhookServer(lambda post: status) as server, pytest.raises(TransientError, match=f"answered {status}"):
        sink(WEBHOOKS=f"ops={server.url}").send(message())


def test_a_receiver_that_hangs_is_left_after_the_timeout() -> None:
    with WebhookServer(lambda post: None) as server, pytest.raises(TransientError, match="did not answer in time"):
        sink(WEBHOOKS=f"ops={server.url}", NOTIFICATION_TIMEOUT_SECONDS="0.2").send(message())


def test_teams_gets_an_adaptive_card_that_reads_no_markdown() -> None:
    with WebhookServer() as server:
        sink(WEBHOOKS=f"chat=teams+{server.url}").send(message("[press](http://evil.example)"))
    (attachment,) = server.posts[0].json["attachments"]
    card = attachment["content"]
    assert (card["type"], attachment["contentType"]) == ("AdaptiveCard", "application/vnd.microsoft.card.adaptive")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    texts = ["".join(run["text"] for run in block["inlines"]) for block in card["body"]]
    assert texts[0] == "Alert opened: high on [press](http://evil.example) / flow"
    assert "Expected: 1.5 to 3" in texts
    assert f"Why: {WHY}" in texts
    assert card["actions"][0]["url"] == "https://dash.example/alerts/0-1795169700"


def test_slack_gets_blocks_of_plain_text() -> None:
    with WebhookServer() as server:
        sink(WEBHOOKS=f"chat=slack+{server.url}").send(message("<!channel>"))
    body = server.posts[0].json
    assert body["text"] == "Alert opened: high on &lt;!channel&gt; / flow"
    assert [block["text"]["type"] for block in body["blocks"][:2]] == ["plain_text", "plain_text"]
    assert "Value: 12.25" in body["blocks"][1]["text"]["text"]


# ---- e-mail ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS for localhost, which this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def email(port: int, **values: str) -> AlertSink:
    common = {
        "SMTP_HOST": "localhost",
        "SMTP_PORT": str(port),
        "EMAIL_FROM": "sensorwatch@example.org",
        "EMAIL_TO": "ops@example.org, night@example.org",
    }
    return sink(**(common | values))


def test_an_e_mail_goes_to_all_recipients_as_text_and_html_over_starttls(tls: ssl.SSLContext) -> None:
    logins: list[tuple[bytes, bytes]] = []

    def log_in(server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> AuthResult:
        logins.append((login.login, login.password))
        return AuthResult(success=True)

    options = {"tls_context": tls, "require_starttls": True, "authenticator": log_in, "auth_require_tls": True}
    with MailServer(**options) as server:
        email(server.port, SMTP_USER="ops", SMTP_PASSWORD="hunter2").send(message("<b>press</b>\r\nBcc: eve@x.example"))
    assert logins == [(b"ops", b"hunter2")]
    assert server.recipients == [["ops@example.org", "night@example.org"]]
    (mail,) = server.mails
    assert mail["Subject"] == "Alert opened: high on <b>press</b> Bcc: eve@x.example / flow"
    assert mail["Bcc"] is None
    assert mail["X-Sensorwatch-Key"] == "0-1795169700:opened"
    text, html = (part.get_content() for part in mail.iter_parts())
    assert "Expected: 1.5 to 3" in text
    assert f"Why: {WHY}" in text
    assert "https://dash.example/alerts/0-1795169700" in text
    assert "&lt;b&gt;press" in html
    assert "<b>press" not in html


def test_an_e_mail_sent_twice_has_the_same_message_id(tls: ssl.SSLContext) -> None:
    with MailServer(tls_context=tls) as server:
        for key in ("opened", "opened", "cleared"):
            email(server.port).send(message(event=key))
    first, second, third = (mail["Message-ID"] for mail in server.mails)
    assert first == second != third


def test_a_server_without_encryption_gets_nothing() -> None:
    with MailServer() as server, pytest.raises(SettingsError, match="SMTP_SECURITY"):
        email(server.port).send(message())
    assert server.mails == []


def test_an_e_mail_may_be_encrypted_from_the_first_byte(tls: ssl.SSLContext) -> None:
    with MailServer(ssl_context=tls) as server:
        email(server.port, SMTP_SECURITY="tls").send(message())
    assert server.keys == ["0-1795169700:opened"]


def test_a_recipient_that_the_server_refuses_is_logged_and_the_others_get_the_message(
    tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    with MailServer(tls_context=tls) as server:
        server.refused_recipient = "night@example.org"
        email(server.port).send(message())
        assert server.recipients == [["ops@example.org"]]
        assert f"localhost:{server.port} refuses the recipient night@example.org: 550" in caplog.text
        server.refused_recipient = "ops@example.org"
        with pytest.raises(TransientError, match=r"ops@example\.org: 550 no such mailbox"):
            email(server.port, EMAIL_TO="ops@example.org").send(message())


def test_a_certificate_that_nobody_trusts_gets_nothing(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with MailServer(tls_context=tls) as server, pytest.raises(TransientError, match="certificate"):
        email(server.port).send(message())
    assert server.mails == []


def test_a_server_that_refuses_the_message_is_tried_again(tls: ssl.SSLContext) -> None:
    with MailServer(tls_context=tls) as server:
        server.refusal = "451 try later"
        with pytest.raises(TransientError, match="451 try later"):
            email(server.port).send(message())


# ---- event hubs ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventHubReceiver]:
    folder = tmp_path_factory.mktemp("hub")
    with running_broker(folder, "alerts:4") as connection, EventHubReceiver(connection, "alerts") as receiver:
        yield receiver


def test_an_event_hub_gets_cloud_events_and_an_alert_stays_in_one_partition(hub: EventHubReceiver) -> None:
    with_hub = sink(EventHub=hub.connection, ALERT_EVENT_HUB_NAME="alerts")
    sent = [message(number=number, event=event) for event in ("opened", "cleared") for number in range(8)]
    try:
        for one in sent:
            with_hub.send(one)
    finally:
        with_hub.close()
    wait_until(lambda: len(hub.events) == len(sent), "all events to arrive")
    assert sorted(hub.keys) == sorted(one.key for one in sent)
    places: dict[str, list[tuple[str, str]]] = {}
    for partition, event in hub.events:
        body = json.loads(b"".join(event.body))  # type: ignore[arg-type]
        assert body["id"] == event.message_id
        assert event.content_type == "application/cloudevents+json; charset=utf-8"
        places.setdefault(body["subject"], []).append((partition, body["data"]["event"]))
    assert len({part for visits in places.values() for part, _ in visits}) > 1
    for visits in places.values():
        assert [event for _, event in visits] == ["opened", "cleared"]
        assert len({part for part, _ in visits}) == 1


def test_a_hub_that_does_not_exist_is_tried_again(hub: EventHubReceiver) -> None:
    missing = sink(EventHub=hub.connection, ALERT_EVENT_HUB_NAME="nowhere", NOTIFICATION_TIMEOUT_SECONDS="3")
    with pytest.raises(TransientError):
        missing.send(message())
    missing.close()
