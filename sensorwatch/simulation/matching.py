"""Comparison of detected windows with injected anomalies: recall and precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.simulation.anomalies import LABEL_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sensorwatch.simulation.anomalies import InjectedAnomaly, LabelKind

__all__ = ["Detection", "MatchReport", "Recall", "match"]


class Detection(NamedTuple):
    """An anomalous window: its sensor, and its end in seconds since 1970-01-01T00:00:00Z."""

    device: str
    tag: str
    end: int


class Recall(NamedTuple):
    """Number of injected anomalies, and of those with at least one detected window."""

    injected: int
    detected: int

    @property
    def share(self) -> float | None:
        """Share (0-1) of injected anomalies that were detected; None if none were injected."""
        return self.detected / self.injected if self.injected else None


@dataclass(frozen=True, slots=True)
class MatchReport:
    """Result of the comparison.

    Attributes
    ----------
    by_kind
        Recall of each kind that was injected.
    total
        Recall of all kinds together.
    windows
        Number of distinct detected windows.
    true_windows
        Number of detected windows that overlap an anomaly of their sensor.
    windows_behind
        Number of detected windows that overlap no anomaly but begin soon after one. They are counted separately,
        because a detector that uses previous windows still uses the anomaly then.
    missed
        Anomalies without a detected window.
    """

    by_kind: Mapping[LabelKind, Recall]
    total: Recall
    windows: int
    true_windows: int
    windows_behind: int
    missed: tuple[InjectedAnomaly, ...]

    @property
    def precision(self) -> float | None:
        """Share (0-1) of detected windows that overlap an anomaly; None if nothing was detected."""
        return self.true_windows / self.windows if self.windows else None


def match(
    injected: Sequence[InjectedAnomaly],
    detections: Iterable[Detection],
    *,
    window_seconds: int,
    tolerance_seconds: float = 0.0,
    behind_seconds: float = 0.0,
) -> MatchReport:
    """Compare detected windows with labels.

    Parameters
    ----------
    injected
        The labels.
    detections
        The detected windows; duplicates are counted once.
    window_seconds
        Length of a window, in seconds. A window ``(end - window_seconds, end]`` is compared with anomalies of its
        sensor.
    tolerance_seconds
        Time in seconds by which an anomaly is extended at both ends before the comparison.
    behind_seconds
        A window that overlaps no anomaly counts in ``windows_behind`` if it begins less than this time, in seconds,
        after the end of one.
    """
    spans: dict[tuple[str, str], list[tuple[float, float, int]]] = {}
    for position, anomaly in enumerate(injected):
        start = anomaly.start.timestamp() - tolerance_seconds
        end = anomaly.end.timestamp() + tolerance_seconds
        spans.setdefault((anomaly.device, anomaly.tag), []).append((start, end, position))
    found: set[int] = set()
    distinct = set(detections)
    true_windows = windows_behind = 0
    for device, tag, window_end in distinct:
        hits = [
            position
            for start, end, position in spans.get((device, tag), [])
            if start <= window_end and window_end - window_seconds < end
        ]
        found.update(hits)
        true_windows += bool(hits)
        windows_behind += not hits and any(
            0 <= window_end - window_seconds - end < behind_seconds for _, end, _ in spans.get((device, tag), [])
        )
    kinds = [(anomaly.kind, position in found) for position, anomaly in enumerate(injected)]
    by_kind = {
        kind: Recall(sum(of == kind for of, _ in kinds), sum(of == kind and seen for of, seen in kinds))
        for kind in LABEL_KINDS
        if any(of == kind for of, _ in kinds)
    }
    missed = tuple(anomaly for position, anomaly in enumerate(injected) if position not in found)
    return MatchReport(by_kind, Recall(len(injected), len(found)), len(distinct), true_windows, windows_behind, missed)
