"""Ground-truth file: labels of injected faults, one JSON object per line.

::

    {"device": "oven-3", "tag": "flow", "kind": "spike", "start": "2026-11-20T10:04:01+00:00", "end": "2026-…"}

Readings with ``start <= time < end`` (UTC) are disturbed. ``kind`` is one of
:data:`sensorwatch.simulation.anomalies.LABEL_KINDS`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sensorwatch.errors import InvalidInputError
from sensorwatch.simulation.anomalies import LABEL_KINDS, InjectedAnomaly
from sensorwatch.text_files import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["read_ground_truth", "write_ground_truth"]


def write_ground_truth(path: Path, anomalies: Iterable[InjectedAnomaly]) -> None:
    """Write labels to a file, replacing it; its folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            asdict(anomaly)
            | {"start": anomaly.start.astimezone(UTC).isoformat(), "end": anomaly.end.astimezone(UTC).isoformat()}
        )
        + "\n"
        for anomaly in anomalies
    ]
    path.write_text("".join(lines), encoding="utf-8")


def read_ground_truth(path: Path) -> list[InjectedAnomaly]:
    """Return the labels in a file.

    Raises
    ------
    InvalidInputError
        The file is missing, or a line is not a label.
    """
    try:
        lines = decode_text(path.read_bytes()).splitlines()
    except (OSError, ValueError) as exc:
        raise InvalidInputError(f"{path}: can't be read as a ground-truth file: {exc}") from exc
    return [_label(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _label(path: Path, number: int, line: str) -> InjectedAnomaly:
    try:
        fields = json.loads(line)
        kind = next(kind for kind in LABEL_KINDS if kind == fields["kind"])
        start, end = (datetime.fromisoformat(fields[name]).astimezone(UTC) for name in ("start", "end"))
        return InjectedAnomaly(str(fields["device"]), str(fields["tag"]), kind, start, end)
    except (ValueError, KeyError, TypeError, StopIteration) as exc:
        raise InvalidInputError(
            f"{path}, line {number}: expected an object with device, tag, start, end and a kind among "
            f"{', '.join(LABEL_KINDS)}, got `{line[:100]}`"
        ) from exc
