"""Simulated fleets of machines whose failures follow a physical model, for tests and benchmarks.

The physical model does not depend on windows, half-days or features:

- **Wear.** The life of a component, in running days since its replacement, has a Weibull distribution with a shape
  above 1 (wear-out; Weibull 1951). Its scale depends on the component and on the model of the machine, and decreases
  with the age of the machine.
- **Symptoms.** A failure has symptoms for a P-F interval before it (Moubray, *Reliability-centred Maintenance*, 1997),
  log-normal with a median of 5 days. During this interval the symptom grows with the square of the elapsed fraction,
  from 0 to a final strength that is drawn for each failure. One failure in ten is sudden, without symptoms.
- **Signals.** Each component disturbs the level of one signal and the noise of one signal. Each machine has its own
  level of each signal, a daily load cycle, and slow drift (a first-order autoregressive process).
- **Errors.** Each type has a low base rate on healthy machines, which the symptoms of two components raise.
- **Replacement.** A failed component is replaced at once. In addition, crews visit each machine at regular intervals,
  with a random phase, and replace the component that has used the largest part of its expected life.

After a failure a machine reports nothing during its repair, 2 to 12 hours. Single readings are lost at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.machines.fleet import COMPONENTS, ERRORS, HOUR_SECONDS, SIGNALS, Events, Fleet, Machines, Telemetry

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.machines.fleet import Floats

__all__ = ["generate_fleet"]

_DAY_HOURS = 24
_WEIBULL_SHAPE = 3.0
_LIFE_DAYS = np.array([170.0, 150.0, 190.0, 160.0])
_MODEL_LIFE = np.array([0.8, 0.95, 1.05, 1.2])
_AGE_FACTOR = 0.02
_PF_MEDIAN_DAYS = 5.0
_PF_SIGMA = 0.5
_SUDDEN_SHARE = 0.1
_VISIT_DAYS = 45
_WARM_UP_DAYS = 365

_LEVEL = np.array([170.0, 450.0, 100.0, 40.0])
_NOISE = np.array([15.0, 50.0, 10.0, 5.0])
_MACHINE_SPREAD = 0.6
_LOAD_SWING = 0.25
_DRIFT_SPREAD = 0.25
_DRIFT_MEMORY_HOURS = 48.0
# Rows are components, columns signals, in standard deviations of the noise at full symptom.
_LEVEL_EFFECT = np.array([[2.2, 0, 0, 0.4], [0.3, -2.2, 0, 0], [0, 0, 2.2, 0.5], [0.4, 0, 0, 2.2]])
_NOISE_EFFECT = np.array([[0.4, 0, 0, 0], [0, 0.4, 0, 0.3], [0, 0.3, 0.4, 0], [0, 0, 0, 0.6]])
_STRENGTH_SPREAD = 0.3

_ERRORS_PER_YEAR = np.array([9.0, 9.0, 7.0, 6.0, 5.0])
# Rows are components, columns errors: additional errors per day at full symptom.
_ERROR_EFFECT = np.array([[1.2, 0.3, 0, 0, 0], [0, 1.2, 0.3, 0, 0], [0, 0, 1.2, 0.3, 0], [0, 0, 0, 0.6, 1.2]])
_LOST_SHARE = 0.001


class _Failure(NamedTuple):
    machine: int
    component: int
    hour: int
    onset_hours: int
    strength: float


def generate_fleet(machines: int, days: int, start: int, seed: int) -> Fleet:
    """Simulate a fleet.

    Parameters
    ----------
    machines
        Number of machines; their ids are 1, 2, ….
    days
        Length of the telemetry in days. Replacements start a year earlier, so that all components have a known age.
    start
        Start of the telemetry, in seconds since 1970-01-01T00:00:00Z; a whole hour.
    seed
        Seed; equal seeds give equal fleets.
    """
    random = np.random.default_rng(seed)
    model = random.integers(0, len(_MODEL_LIFE), machines)
    age = random.integers(0, 21, machines).astype(np.float64)
    first_hour = start // HOUR_SECONDS
    hours = days * _DAY_HOURS
    failures: list[_Failure] = []
    replaced: list[tuple[int, int, int]] = []
    for machine in range(machines):
        life = _LIFE_DAYS * _MODEL_LIFE[model[machine]] * np.exp(-_AGE_FACTOR * age[machine])
        _live(random, machine, life * _DAY_HOURS, -_WARM_UP_DAYS * _DAY_HOURS, hours, failures, replaced)
    symptoms = _symptoms(failures, machines, hours)
    silent = _silent(random, failures, machines, hours)
    present = np.flatnonzero(~silent.ravel())
    values = _signals(random, symptoms, machines, hours)
    seen = [failure for failure in failures if failure.hour >= 0]
    return Fleet(
        machines=Machines(
            np.arange(1, machines + 1, dtype=np.int64), tuple(f"model{each + 1}" for each in model.tolist()), age
        ),
        telemetry=Telemetry(
            (present // hours).astype(np.int32),
            present % hours + first_hour + 1,
            values.reshape(-1, len(SIGNALS))[present],
        ),
        errors=_errors(random, symptoms, silent, first_hour),
        replacements=_events(replaced, first_hour),
        failures=_events([(each.machine, each.hour, each.component) for each in seen], first_hour),
    )


def _live(
    random: np.random.Generator,
    machine: int,
    life_hours: Floats,
    first: int,
    last: int,
    failures: list[_Failure],
    replaced: list[tuple[int, int, int]],
) -> None:
    """Simulate wear, failures and replacements of one machine from hour ``first`` to ``last``."""
    installed = [first] * len(COMPONENTS)
    dies = [first + max(1, int(hours)) for hours in life_hours * random.weibull(_WEIBULL_SHAPE, len(COMPONENTS))]
    visit = first + int(random.integers(0, _VISIT_DAYS * _DAY_HOURS))
    while min(*dies, visit) < last:
        hour = min(*dies, visit)
        if hour == visit:
            component = max(range(len(COMPONENTS)), key=lambda each: (hour - installed[each]) / life_hours[each])
            visit += _VISIT_DAYS * _DAY_HOURS
        else:
            component = dies.index(hour)
            sudden = random.random() < _SUDDEN_SHARE
            onset = 0 if sudden else int(_PF_MEDIAN_DAYS * _DAY_HOURS * random.lognormal(0.0, _PF_SIGMA))
            strength = float(random.lognormal(0.0, _STRENGTH_SPREAD))
            failures.append(_Failure(machine, component, hour, min(onset, hour - installed[component]), strength))
        replaced.append((machine, hour, component))
        installed[component] = hour
        dies[component] = hour + max(1, int(life_hours[component] * random.weibull(_WEIBULL_SHAPE)))


def _symptoms(failures: list[_Failure], machines: int, hours: int) -> npt.NDArray[np.float32]:
    """Return the symptom of each component by hour, shape ``(n_machines, n_hours, 4)``."""
    symptoms = np.zeros((machines, hours, len(COMPONENTS)), np.float32)
    for failure in failures:
        begin = failure.hour - failure.onset_hours
        steps = np.arange(max(begin, 0), min(failure.hour, hours))
        if failure.hour > 0 and len(steps):
            share = (steps - begin + 1) / failure.onset_hours
            symptoms[failure.machine, steps, failure.component] = failure.strength * share**2
    return symptoms


def _silent(random: np.random.Generator, failures: list[_Failure], machines: int, hours: int) -> npt.NDArray[np.bool_]:
    """Return a mask of the hours without a reading, shape ``(n_machines, n_hours)``."""
    silent = random.random((machines, hours), np.float32) < _LOST_SHARE
    for failure in failures:
        repaired = failure.hour + int(random.integers(2, 13))
        if repaired > 0:
            silent[failure.machine, max(failure.hour, 0) : repaired] = True
    return silent


def _signals(random: np.random.Generator, symptoms: npt.NDArray[np.float32], machines: int, hours: int) -> Floats:
    """Return the signals by hour, shape ``(n_machines, n_hours, 4)``."""
    keep = np.exp(-1.0 / _DRIFT_MEMORY_HOURS)
    own = random.normal(0.0, _MACHINE_SPREAD, (machines, len(SIGNALS)))
    phase = random.uniform(0.0, 2 * np.pi, machines)
    drift = random.normal(0.0, _DRIFT_SPREAD, (machines, len(SIGNALS)))
    step = _DRIFT_SPREAD * np.sqrt(1 - keep**2)
    signals = np.empty((machines, hours, len(SIGNALS)))
    for hour in range(hours):
        symptom = symptoms[:, hour]
        drift = keep * drift + random.normal(0.0, step, drift.shape)
        load = _LOAD_SWING * np.sin(2 * np.pi * hour / _DAY_HOURS + phase)
        noise = random.standard_normal(drift.shape) * (1 + symptom @ _NOISE_EFFECT)
        signals[:, hour] = own + drift + load[:, None] + symptom @ _LEVEL_EFFECT + noise
    return _LEVEL + _NOISE * signals


def _errors(
    random: np.random.Generator,
    symptoms: npt.NDArray[np.float32],
    silent: npt.NDArray[np.bool_],
    first_hour: int,
) -> Events:
    found = []
    for error in range(len(ERRORS)):
        rate = _ERRORS_PER_YEAR[error] / (365 * _DAY_HOURS) + symptoms @ (_ERROR_EFFECT[:, error] / _DAY_HOURS)
        machine, hour = np.nonzero((random.random(rate.shape) < rate) & ~silent)
        found += [(m, h, error) for m, h in zip(machine.tolist(), hour.tolist(), strict=True)]
    return _events(found, first_hour)


def _events(found: list[tuple[int, int, int]], first_hour: int) -> Events:
    rows = np.array(sorted(found), np.int64).reshape(-1, 3)
    return Events(rows[:, 0].astype(np.int32), (rows[:, 1] + first_hour) * HOUR_SECONDS, rows[:, 2].astype(np.int8))
