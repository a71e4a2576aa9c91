"""Figures of scoring in real time as people are shown them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sensorwatch.realtime.latencies import Latencies

if TYPE_CHECKING:
    from sensorwatch.realtime.records import ModelUse, ServedWindow

__all__ = ["model_figures", "models_disagree"]

_ANOMALOUS = 50.0


def model_figures(use: ModelUse) -> dict[str, Any]:
    """Return what a model did, latencies in milliseconds; None where there is none."""
    latencies = Latencies.of(use.latencies, use.total_seconds, use.longest_seconds)
    return {
        "model": use.model,
        "detector": use.detector,
        "since": use.since,
        "version": use.version,
        "version_since": use.version_since,
        "uses": use.uses,
        "mean_ms": _milliseconds(latencies.mean),
        "p99_ms": _milliseconds(latencies.quantile(0.99)),
        "longest_ms": _milliseconds(latencies.longest),
        "timeouts": use.timeouts,
        "failures": use.failures,
        "disagreement_rate": use.disagreements / use.uses if use.uses else None,
    }


def models_disagree(window: ServedWindow) -> bool:
    """Return whether some of the models that answered for a window called it anomalous, and some normal."""
    return len({each.score >= _ANOMALOUS for each in window.answers.values() if each}) > 1


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
