"""How bad an anomaly is."""

from __future__ import annotations

from typing import Literal

__all__ = ["SEVERITIES", "Severity"]

Severity = Literal["low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
"""From the mildest to the worst."""
