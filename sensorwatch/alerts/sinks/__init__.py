"""Sinks of notifications. A new sink is one file here and one entry in :data:`FACTORIES`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sensorwatch.alerts.ports import AlertSink
    from sensorwatch.clock import Clock
    from sensorwatch.settings import Settings

__all__ = ["FACTORIES", "sinks"]


def _log(settings: Settings, clock: Clock) -> Iterable[AlertSink]:
    from sensorwatch.alerts.sinks.log import LogSink

    return (LogSink(),)


def _webhooks(settings: Settings, clock: Clock) -> Iterable[AlertSink]:
    if not settings.webhook_list:
        return ()
    from sensorwatch.alerts.sinks.webhook import WebhookSink

    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
    timeout = settings.notification_timeout_seconds
    return [WebhookSink(hook, secret, timeout_seconds=timeout, clock=clock) for hook in settings.webhook_list]


def _event_hub(settings: Settings, clock: Clock) -> Iterable[AlertSink]:
    if settings.alert_event_hub_name is None:
        return ()
    from sensorwatch.alerts.sinks.event_hub import EventHubSink

    connection = settings.event_hub_connection
    sink = EventHubSink(
        connection.get_secret_value() if connection else None,
        settings.event_hub_namespace,
        settings.alert_event_hub_name,
        timeout_seconds=settings.notification_timeout_seconds,
    )
    return (sink,)


def _email(settings: Settings, clock: Clock) -> Iterable[AlertSink]:
    if settings.smtp_host is None or settings.email_from is None:
        return ()
    from sensorwatch.alerts.sinks.email import EmailSink

    password = settings.smtp_password
    sink = EmailSink(
        settings.smtp_host,
        settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=password.get_secret_value() if password else None,
        sender=settings.email_from,
        recipients=settings.email_recipients,
        timeout_seconds=settings.notification_timeout_seconds,
    )
    return (sink,)


FACTORIES: tuple[Callable[[Settings, Clock], Iterable[AlertSink]], ...] = (_log, _webhooks, _event_hub, _email)
"""Functions that return the sinks of one kind that the settings enable."""


def sinks(settings: Settings, clock: Clock) -> tuple[AlertSink, ...]:
    """Return all sinks that the settings enable. They connect with the first message."""
    return tuple(sink for factory in FACTORIES for sink in factory(settings, clock))
