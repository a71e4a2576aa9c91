"""Alerts that people confirmed, as failures: the way from unsupervised alerts to a supervised model (pure).

A confirmed alert says that a component of a machine was at fault. It becomes a failure at the moment after the newest
window that showed it, or at that of the confirmation, whichever came first; so the samples that saw the fault are
before the failure. It is known from the confirmation on and not earlier: what a model of an earlier time is made of
does not change.

An alert adds nothing where the data have the failure already, or where another alert told of the same fault: a failure
of the same component, no further away than the horizon.
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
"""What becomes of a confirmed alert: it is a failure from now on; the failure is in the data; another alert told of it
already; nothing says which component it speaks of; the fleet has no such machine."""

CONFIRMED_OUTCOMES: tuple[ConfirmedOutcome, ...] = get_args(ConfirmedOutcome)


class JoinedFailures(NamedTuple):
    """Failures of the data and of confirmed alerts, and the outcome of each alert in the order of the fleet's."""

    failures: Events
    outcomes: tuple[ConfirmedOutcome, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many alerts had each outcome."""
        found = Counter(self.outcomes)
        return {outcome: found[outcome] for outcome in CONFIRMED_OUTCOMES}


def join_confirmed(fleet: Fleet, horizon_seconds: int) -> JoinedFailures:
    """Return a fleet's failures with those that confirmed alerts tell of.

    Parameters
    ----------
    fleet
        All its confirmed alerts count, whenever they were confirmed: :meth:`Fleet.until` leaves out later ones.
    horizon_seconds
        Failures of one component no further apart are the same.
    """
    position = {machine_id: place for place, machine_id in enumerate(fleet.machines.machine_id.tolist())}
    recorded: dict[tuple[int, int], list[int]] = defaultdict(list)
    for machine, time, kind in zip(*(each.tolist() for each in fleet.failures), strict=True):
        insort(recorded[machine, kind], time)
    told: dict[tuple[int, int], int] = {}
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
        elif place in told and fault.time - told[place] <= horizon_seconds:
            outcomes[fault] = "repeated"
        else:
            outcomes[fault] = "joined"
            told[place] = fault.time
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
