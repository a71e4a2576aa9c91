"""What is known of a fleet of machines, as columns.

Times are whole seconds since 1970-01-01T00:00:00Z; a *sample* is a half-day's end (00:00 or 12:00 UTC), counted in
half-days since then.
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
"""The four signals that every machine reports each hour."""

COMPONENTS = ("comp1", "comp2", "comp3", "comp4")
"""The components that can fail and be replaced."""

ERRORS = ("error1", "error2", "error3", "error4", "error5")
"""The errors that a machine reports while it goes on working."""

HOUR_SECONDS = 3600
HALF_DAY_SECONDS = 12 * HOUR_SECONDS


class Machines(NamedTuple):
    """The machines, ordered by id; arrays of shape ``(n_machines,)``.

    ``age`` is in years. ``model`` holds each machine's model by name.
    """

    machine_id: Ints
    model: tuple[str, ...]
    age: Floats


class Telemetry(NamedTuple):
    """Hourly readings, ordered by (machine, hour) and distinct in it.

    ``machine`` is the position in :class:`Machines`, shape ``(n_readings,)``. ``hour`` counts hours since
    1970-01-01T00:00:00Z: the reading describes the hour that ends then. ``values`` has shape ``(n_readings, 4)``, in
    the order of :data:`SIGNALS`.
    """

    machine: npt.NDArray[np.int32]
    hour: Ints
    values: Floats

    def rows(self, wanted: npt.NDArray[np.bool_]) -> Telemetry:
        """Return the readings of a mask."""
        return Telemetry(self.machine[wanted], self.hour[wanted], self.values[wanted])


class Events(NamedTuple):
    """Errors, replacements or failures, ordered by (machine, time, kind); arrays of shape ``(n_events,)``.

    ``machine`` is the position in :class:`Machines`, ``kind`` the one in :data:`ERRORS` or :data:`COMPONENTS`.
    """

    machine: npt.NDArray[np.int32]
    time: Ints
    kind: npt.NDArray[np.int8]

    def rows(self, wanted: npt.NDArray[np.bool_]) -> Events:
        """Return the events of a mask."""
        return Events(self.machine[wanted], self.time[wanted], self.kind[wanted])


class ConfirmedFault(NamedTuple):
    """An alert of a machine that a person confirmed.

    ``component`` is None where nothing says which one the alert speaks of. The fault is a failure at ``time``, and is
    known from ``known_at`` on.
    """

    alert_id: str
    machine_id: int
    component: str | None
    time: int
    known_at: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """All five data sets of the same machines, and the alerts of them that people confirmed."""

    machines: Machines
    telemetry: Telemetry
    errors: Events
    replacements: Events
    failures: Events
    confirmed: tuple[ConfirmedFault, ...] = ()

    def until(self, time: int) -> Fleet:
        """Return what was known at a time: all that happened, or was confirmed, by then (seconds since 1970)."""
        return replace(
            self,
            telemetry=self.telemetry.rows(self.telemetry.hour * HOUR_SECONDS <= time),
            errors=self.errors.rows(self.errors.time <= time),
            replacements=self.replacements.rows(self.replacements.time <= time),
            failures=self.failures.rows(self.failures.time <= time),
            confirmed=tuple(fault for fault in self.confirmed if fault.known_at <= time),
        )


def sample_at(time: int) -> int:
    """Return the newest sample at or before a time in seconds.

    Examples
    --------
    >>> sample_at(0), sample_at(43_199), sample_at(43_200)
    (0, 0, 1)
    """
    return time // HALF_DAY_SECONDS
