"""The settings of the alert sinks: what switches them on, and what is refused."""

from __future__ import annotations

import pytest

from sensorwatch.alerts.sinks import sinks
from sensorwatch.clock import utc_now
from sensorwatch.errors import SettingsError
from sensorwatch.settings import load_settings

MINIMAL = {"DATABASE_URL": "sqlite:///:memory:"}
EMAIL = {"SMTP_HOST": "mail.example.org", "EMAIL_FROM": "a@example.org", "EMAIL_TO": "b@example.org, c@example.org"}


def names(**values: str) -> list[str]:
    return [sink.name for sink in sinks(load_settings(MINIMAL | values), utc_now)]


def test_sinks_are_switched_on_by_their_settings() -> None:
    assert names() == ["log"]
    assert names(WEBHOOKS="ops=https://a.example/x  chat=teams+https://b.example/?sig=s") == ["log", "ops", "chat"]
    assert names(ALERT_EVENT_HUB_NAME="alerts", EventHub__fullyQualifiedNamespace="n.example") == ["log", "event-hub"]
    assert names(**EMAIL) == ["log", "email"]


def test_plain_http_is_for_this_machine_only() -> None:
    assert names(WEBHOOKS="a=http://127.0.0.1:8080/ b=http://localhost/ c=http://[::1]:1/") == ["log", "a", "b", "c"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"WEBHOOKS": "https://a.example/hunter2"}, "WEBHOOKS: entry 1: expected name=https://…"),
        ({"WEBHOOKS": "a=https://x.example b=ftp://x.example/hunter2"}, "WEBHOOKS: entry 2: expected name=https://…"),
        ({"WEBHOOKS": "Ops=https://x.example/hunter2"}, "a name has 1 to 40 lower-case letters"),
        ({"WEBHOOKS": "a=http://x.example/hunter2"}, "expected https://"),
        ({"WEBHOOKS": "a=http://127.0.0.1.x.example/hunter2"}, "expected https://"),
        ({"WEBHOOKS": "a=https:///hunter2"}, "expected a URL with a host"),
        ({"WEBHOOKS": "a=https://x.example:hunter2/"}, "expected a URL with a host"),
        ({"WEBHOOKS": "a=https://x.example a=https://y.example/hunter2"}, "the name a is taken"),
        ({"WEBHOOKS": "log=https://x.example/hunter2"}, "the name log is taken"),
        ({"WEBHOOKS": " ".join(f"a{i}=https://x.example/hunter2" for i in range(11))}, "at most 10 webhooks, got 11"),
        ({"ALERT_EVENT_HUB_NAME": "alerts"}, "EventHub: missing"),
        ({"SMTP_HOST": "mail.example.org"}, "EMAIL_FROM: missing"),
        ({"SMTP_HOST": "mail.example.org", "EMAIL_FROM": "a@example.org"}, "EMAIL_TO: missing"),
        (EMAIL | {"EMAIL_TO": "ops"}, "EMAIL_TO: expected addresses like ops@example.org"),
        (EMAIL | {"EMAIL_FROM": "a@example.org, b@example.org"}, "EMAIL_FROM: expected one address"),
        (EMAIL | {"SMTP_SECURITY": "none"}, "SMTP_SECURITY: expected starttls or tls"),
        ({"DASHBOARD_URL": "dash.example"}, "DASHBOARD_URL: "),
    ],
)
def test_wrong_settings_are_reported_by_name_and_show_no_secret(values: dict[str, str], expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(MINIMAL | values)
    assert expected in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_shown_and_reach_no_task() -> None:
    secrets = {"WEBHOOKS": "a=https://x.example/hunter2", "WEBHOOK_SECRET": "hunter2", "SMTP_PASSWORD": "hunter2"}
    settings = load_settings(MINIMAL | secrets)
    assert "hunter2" not in repr(settings) + repr(settings.webhook_list)
    assert "hunter2" not in str(settings.task_environment())
