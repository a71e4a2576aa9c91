"""Confirmed alerts as failures, from which a supervised model learns.

A confirmed alert means that a component of a machine was at fault. It is added as a failure after its newest anomalous
window, or at the time of the confirmation, whichever came first. So all samples that contain the fault are before the
failure. The failure is known only from the confirmation on: the training data of an earlier time does not change.

An alert adds nothing if the failure is already in the data or was added by another alert: a failure of the same
component, at most one horizon away.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from sensorwatch.machines.fleet import COMPONENTS, Events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.machines.fleet import ConfirmedFault, Fleet

__all__ = ["CONFIRMED_OUTCOMES", "ConfirmedOutcome", "JoinedFailures", "join_confirmed"]

ConfirmedOutcome = Literal["joined", "recorded", "repeated", "no component", "unknown machine"]
"""Outcome of a confirmed alert in training: added as a failure; already in the data; already added by another alert;
without a known component; of an unknown machine."""

CONFIRMED_OUTCOMES: tuple[ConfirmedOutcome, ...] = get_args(ConfirmedOutcome)


class JoinedFailures(NamedTuple):
    """Failures of the data and of confirmed alerts, and the outcome of each of ``Fleet.confirmed``."""

    failures: Events
    outcomes: tuple[ConfirmedOutcome, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of alerts by outcome."""
        found = Counter(self.outcomes)
        return {outcome: found[outcome] for outcome in CONFIRMED_OUTCOMES}


def join_confirmed(fleet: Fleet, horizon_seconds: int) -> JoinedFailures:
    """Add the failures of confirmed alerts to those of the data.

    Parameters
    ----------
    fleet
        The fleet. All its confirmed alerts are used; :meth:`Fleet.until` removes those of a later time.
    horizon_seconds
        Longest time between two failures of a component that count as one, in seconds.
    """
    position = {machine_id: place for place, machine_id in enumerate(fleet.machines.machine_id.tolist())}
    recorded: dict[tuple[int, int], list[int]] = defaultdict(list)
    for machine, time, kind in zip(*(each.tolist() for each in fleet.failures), strict=True):
        insort(recorded[machine, kind], time)
    added: dict[tuple[int, int], int] = {}
    outcomes: dict[ConfirmedFault, ConfirmedOutcome] = {}
    for fault in sorted(set(fleet.confirmed), key=lambda each: (each.time, each.alert_id)):
        if fault.component is None:
            outcomes[fault] = "no component"
            continue
        if fault.machine_id not in position:
            outcomes[fault] = "unknown machine"
            continue
        place = position[fault.machine_id], COMPONENTS.index(fault.component)
        if _near(recorded.get(place, []), fault.time, horizon_seconds):
            outcomes[fault] = "recorded"
        elif place in added and fault.time - added[place] <= horizon_seconds:
            outcomes[fault] = "repeated"
        else:
            outcomes[fault] = "joined"
            added[place] = fault.time
    joined = [
        (position[fault.machine_id], fault.time, COMPONENTS.index(fault.component))
        for fault, outcome in outcomes.items()
        if outcome == "joined" and fault.component is not None
    ]
    return JoinedFailures(_with(fleet.failures, joined), tuple(outcomes[fault] for fault in fleet.confirmed))


def _near(times: Sequence[int], time: int, seconds: int) -> bool:
    place = bisect_left(times, time - seconds)
    return place < len(times) and times[place] <= time + seconds


def _with(failures: Events, added: list[tuple[int, int, int]]) -> Events:
    if not added:
        return failures
    rows = np.concatenate([np.column_stack(failures).astype(np.int64), np.array(added, np.int64)])
    rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
    return Events(rows[:, 0].astype(np.int32), rows[:, 1], rows[:, 2].astype(np.int8))
