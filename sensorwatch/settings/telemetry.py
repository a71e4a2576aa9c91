"""Settings of telemetry: where traces and metrics go."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from sensorwatch.settings.group import SettingsGroup

__all__ = ["TelemetrySettings"]


class TelemetrySettings(SettingsGroup):
    """Export of traces and metrics."""

    telemetry_exporter: Literal["none", "console", "file", "otlp", "azure"] = Field(
        "none",
        description="Destination of traces and metrics: none, standard error (`console`), files (`file`), a collector "
        "(`otlp`) or Application Insights (`azure`).",
    )
    telemetry_file: str = Field(
        ".local/telemetry.jsonl",
        description="Name of the files of the exporter `file`; each process adds its start time and its id.",
    )
    telemetry_file_bytes: int = Field(
        67_108_864,
        ge=65_536,
        description="Size limit of all telemetry files together, in bytes; the oldest files make room.",
    )
    otlp_endpoint: str = Field(
        "http://127.0.0.1:4318",
        alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        pattern=r"^https?://[^/]+",
        description="Collector of the exporter `otlp`, over HTTP.",
    )
    applicationinsights_connection_string: str | None = Field(
        None,
        description="Connection string of the Application Insights of the exporter `azure`, which signs in by "
        "identity.",
    )

    @model_validator(mode="after")
    def _complete_exporter(self) -> Self:
        if self.telemetry_exporter == "azure" and self.applicationinsights_connection_string is None:
            raise ValueError(
                "APPLICATIONINSIGHTS_CONNECTION_STRING: missing; it is needed because TELEMETRY_EXPORTER is azure: "
                "copy it from the overview page of Application Insights"
            )
        return self
