"""Injected against detected: what was found of the anomalies, and how much of what was found was one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.simulation.anomalies import LABEL_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sensorwatch.simulation.anomalies import InjectedAnomaly, LabelKind

__all__ = ["Detection", "MatchReport", "Recall", "match"]


class Detection(NamedTuple):
    """An anomalous window: its sensor and its end, in seconds since 1970-01-01T00:00:00Z."""

    device: str
    tag: str
    end: int


class Recall(NamedTuple):
    """How many anomalies were injected, and how many of them have at least one detected window."""

    injected: int
    detected: int

    @property
    def share(self) -> float | None:
        """Detected of injected, 0-1; None where nothing was injected."""
        return self.detected / self.injected if self.injected else None


@dataclass(frozen=True, slots=True)
class MatchReport:
    """What came of the comparison.

    Attributes
    ----------
    by_kind
        The recall of each kind that was injected.
    total
        The recall of all.
    windows, true_windows, windows_behind
        Distinct windows detected, those of them that overlap an anomaly of their sensor, and those that do not, but
        begin soon enough behind one: a detector that looks back still sees it then.
    missed
        The anomalies without a detected window.
    """

    by_kind: Mapping[LabelKind, Recall]
    total: Recall
    windows: int
    true_windows: int
    windows_behind: int
    missed: tuple[InjectedAnomaly, ...]

    @property
    def precision(self) -> float | None:
        """True of detected windows, 0-1; None where nothing was detected."""
        return self.true_windows / self.windows if self.windows else None


def match(
    injected: Sequence[InjectedAnomaly],
    detections: Iterable[Detection],
    *,
    window_seconds: int,
    tolerance_seconds: float = 0.0,
    behind_seconds: float = 0.0,
) -> MatchReport:
    """Compare detected windows with the labels.

    A window ``(end - window_seconds, end]`` meets an anomaly of its sensor when they have a moment in common; the
    anomaly's span is widened by ``tolerance_seconds`` at both ends first. A window that meets none counts as behind one
    if it begins at most ``behind_seconds`` after its end.
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
