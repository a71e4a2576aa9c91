"""Data of a fleet of machines, as columns.

Times are whole seconds since 1970-01-01T00:00:00Z. A *sample* is the end of a half-day (00:00 or 12:00 UTC), counted in
half-days since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

__all__ = [
    "COMPONENTS",
    "ERRORS",
    "HALF_DAY_SECONDS",
    "HOUR_SECONDS",
    "SIGNALS",
    "ConfirmedFault",
    "Events",
    "Fleet",
    "Machines",
    "Telemetry",
    "sample_at",
]

SIGNALS = ("volt", "rotate", "pressure", "vibration")
"""Signals that every machine reports each hour."""

COMPONENTS = ("comp1", "comp2", "comp3", "comp4")
"""Components that can fail and be replaced."""

ERRORS = ("error1", "error2", "error3", "error4", "error5")
"""Errors that a machine reports while it keeps working."""

HOUR_SECONDS = 3600
HALF_DAY_SECONDS = 12 * HOUR_SECONDS


class Machines(NamedTuple):
    """Machines, ordered by id; arrays of shape ``(n_machines,)``.

    ``age`` is in years. ``model`` contains the name of each machine's model.
    """

    machine_id: Ints
    model: tuple[str, ...]
    age: Floats


class Telemetry(NamedTuple):
    """Hourly readings, ordered by (machine, hour), one for each pair.

    ``machine`` is the position in :class:`Machines`, shape ``(n_readings,)``. ``hour`` counts hours since
    1970-01-01T00:00:00Z; the reading describes the hour that ends at that time. ``values`` has shape
    ``(n_readings, 4)``, in the order of :data:`SIGNALS`.
    """

    machine: npt.NDArray[np.int32]
    hour: Ints
    values: Floats

    def rows(self, wanted: npt.NDArray[np.bool_]) -> Telemetry:
        """Return the readings where the mask is true; its shape is ``(n_readings,)``."""
        return Telemetry(self.machine[wanted], self.hour[wanted], self.values[wanted])


class Events(NamedTuple):
    """Errors, replacements or failures, ordered by (machine, time, kind); arrays of shape ``(n_events,)``.

    ``machine`` is the position in :class:`Machines`, ``kind`` the one in :data:`ERRORS` or :data:`COMPONENTS`.
    """

    machine: npt.NDArray[np.int32]
    time: Ints
    kind: npt.NDArray[np.int8]

    def rows(self, wanted: npt.NDArray[np.bool_]) -> Events:
        """Return the events where the mask is true; its shape is ``(n_events,)``."""
        return Events(self.machine[wanted], self.time[wanted], self.kind[wanted])


class ConfirmedFault(NamedTuple):
    """Alert of a machine that a person confirmed.

    ``component`` is None if it is not known which one the alert is about. The alert counts as a failure at ``time``,
    which is known from ``known_at`` on; both are seconds since 1970-01-01T00:00:00Z.
    """

    alert_id: str
    machine_id: int
    component: str | None
    time: int
    known_at: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """The five data sets of some machines, and their confirmed alerts."""

    machines: Machines
    telemetry: Telemetry
    errors: Events
    replacements: Events
    failures: Events
    confirmed: tuple[ConfirmedFault, ...] = ()

    def until(self, time: int) -> Fleet:
        """Return the data known at a time (inclusive), in seconds since 1970-01-01T00:00:00Z."""
        return replace(
            self,
            telemetry=self.telemetry.rows(self.telemetry.hour * HOUR_SECONDS <= time),
            errors=self.errors.rows(self.errors.time <= time),
            replacements=self.replacements.rows(self.replacements.time <= time),
            failures=self.failures.rows(self.failures.time <= time),
            confirmed=tuple(fault for fault in self.confirmed if fault.known_at <= time),
        )


def sample_at(time: int) -> int:
    """Return the newest sample at or before a time in seconds since 1970-01-01T00:00:00Z.

    Examples
    --------
    >>> sample_at(0), sample_at(43_199), sample_at(43_200)
    (0, 0, 1)
    """
    return time // HALF_DAY_SECONDS
