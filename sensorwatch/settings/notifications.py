"""Settings of notifications: webhooks, an event hub, e-mail, and retries."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from sensorwatch.settings.group import DAY_SECONDS, SettingsGroup
from sensorwatch.settings.sinks import SmtpSecurity, Webhook, is_loopback, parse_recipients, parse_webhooks

__all__ = ["NotificationSettings"]


class NotificationSettings(SettingsGroup):
    """Sinks of alerts, and delivery to them."""

    dashboard_url: str | None = Field(
        None, pattern=r"^https?://\S+$", description="Address of the dashboard, for links in notifications."
    )
    webhooks: SecretStr | None = Field(
        None,
        description="Webhooks that receive alerts: `name=https://…`, several separated by spaces. "
        "`name=teams+https://…` and `name=slack+https://…` send what Teams and Slack expect.",
    )
    webhook_secret: SecretStr | None = Field(
        None, description="Key that signs webhook messages. Without it, they are not signed."
    )
    alert_event_hub_name: str | None = Field(
        None, description="Event hub that receives alerts, in the namespace of the readings."
    )
    smtp_host: str | None = Field(None, description="Mail server that sends alert e-mails.")
    smtp_port: int = Field(587, ge=1, le=65_535, description="Port of the mail server.")
    smtp_security: SmtpSecurity = Field(
        "starttls",
        description="Encryption of the connection to the mail server: `starttls`, `tls` from the start, or `none` for "
        "a server on the same machine.",
    )
    smtp_user: str | None = Field(None, description="User name on the mail server, if it requires one.")
    smtp_password: SecretStr | None = Field(None, description="Password of `SMTP_USER`.")
    email_from: str | None = Field(None, description="Sender address of alert e-mails.")
    email_to: str | None = Field(None, description="Recipients of alert e-mails, separated by commas.")
    notification_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="Time limit for the answer of a sink, in seconds."
    )
    notification_run_seconds: float = Field(
        20.0,
        gt=0,
        le=300,
        description="Time limit for the deliveries of one timer or trigger, in seconds. The next one continues.",
    )
    notification_retry_seconds: float = Field(
        5.0,
        gt=0,
        le=3600,
        description="Pause after the first failed attempt, in seconds. It doubles with every attempt, up to ten "
        "minutes.",
    )
    notification_max_age_seconds: int = Field(
        3 * DAY_SECONDS,
        ge=1,
        description="Age at which a notification that a sink could not take is dropped for that sink, in seconds.",
    )

    @field_validator("webhooks")
    @classmethod
    def _good_webhooks(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_webhooks(value.get_secret_value())
        return value

    @field_validator("email_from", "email_to")
    @classmethod
    def _good_addresses(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and len(parse_recipients(value)) > 1 and info.field_name == "email_from":
            raise ValueError("expected one address")
        return value

    @model_validator(mode="after")
    def _complete_email(self) -> Self:
        if self.smtp_host is None:
            return self
        for key, value in (("EMAIL_FROM", self.email_from), ("EMAIL_TO", self.email_to)):
            if value is None:
                raise ValueError(f"{key}: missing; it is needed because SMTP_HOST is set: {self.description_of(key)}")
        if self.smtp_security == "none" and not is_loopback(self.smtp_host):
            raise ValueError(
                "SMTP_SECURITY: expected starttls or tls, because alerts and passwords must not be sent without "
                "encryption; got `none`, which is only for a server on the same machine"
            )
        return self

    @property
    def webhook_list(self) -> tuple[Webhook, ...]:
        """The webhooks, in the order of the setting."""
        return () if self.webhooks is None else parse_webhooks(self.webhooks.get_secret_value())

    @property
    def email_recipients(self) -> tuple[str, ...]:
        """The recipients of e-mails, in the order of the setting."""
        return () if self.email_to is None else parse_recipients(self.email_to)
