"""Small fleets for tests of predictive maintenance, and the straightforward way to their features."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa

from sensorwatch.machines.datasets import DataSet, schema_of
from sensorwatch.machines.fleet import COMPONENTS, ERRORS, HALF_DAY_SECONDS, SIGNALS, Fleet
from sensorwatch.machines.generator import generate_fleet
from sensorwatch.machines.writing import data_set_rows

START = 1_420_070_400
"""2015-01-01T00:00:00Z."""
FIRST = START // HALF_DAY_SECONDS


@cache
def fleet(machines: int = 6, days: int = 90, seed: int = 3) -> Fleet:
    return generate_fleet(machines, days, START, seed)


def rows_of(given: Fleet) -> dict[DataSet, pa.Table]:
    return dict(data_set_rows(given))


def empty(data_set: DataSet) -> pa.Table:
    return schema_of(data_set).empty_table()


def reference_features(given: Fleet, first: int, last: int) -> pd.DataFrame:
    """The original's columns by pandas, one machine and sample after the other."""
    rows = []
    telemetry = pd.DataFrame(given.telemetry.values, columns=list(SIGNALS))
    telemetry["machine"], telemetry["time"] = given.telemetry.machine, given.telemetry.hour * 3600
    for machine in range(len(given.machines.machine_id)):
        own = telemetry[telemetry["machine"] == machine]
        for sample in range(first, last + 1):
            now = sample * HALF_DAY_SECONDS
            row: dict[str, float] = {"machine": machine, "sample": sample}
            longest = own[(own["time"] > now - 36 * 3600) & (own["time"] <= now)]
            if len(longest) < 2:
                continue
            stands_in = longest
            for hours in (36, 24, 12):
                window = own[(own["time"] > now - hours * 3600) & (own["time"] <= now)]
                stands_in = window if len(window) >= 2 else stands_in
                for signal in SIGNALS:
                    row[f"{signal}_mean_{hours}h"] = stands_in[signal].mean()
                    row[f"{signal}_std_{hours}h"] = stands_in[signal].std()
            for kind, error in enumerate(ERRORS):
                times = given.errors.time[(given.errors.machine == machine) & (given.errors.kind == kind)]
                row[f"{error}_24h"] = ((times > now - 86_400) & (times <= now)).sum()
            for kind, component in enumerate(COMPONENTS):
                changes = given.replacements
                times = changes.time[(changes.machine == machine) & (changes.kind == kind) & (changes.time <= now)]
                age = given.machines.age[machine] * 365.25
                row[f"{component}_days"] = (now - times.max()) / 86_400 if len(times) else age
            row["age"] = given.machines.age[machine]
            for model in sorted(set(given.machines.model)):
                row[f"model={model}"] = float(given.machines.model[machine] == model)
            rows.append(row)
    return pd.DataFrame(rows)


def shuffled_after(given: Fleet, sample: int, seed: int) -> Fleet:
    """The same past, with a future in which everything stands in another order."""
    random = np.random.default_rng(seed)
    now = sample * HALF_DAY_SECONDS
    telemetry = given.telemetry
    later = np.flatnonzero(telemetry.hour * 3600 > now)
    values = telemetry.values.copy()
    values[later] = values[random.permutation(later)] * random.uniform(0.1, 10.0)
    events = []
    for each in (given.errors, given.replacements, given.failures):
        after = np.flatnonzero(each.time > now)
        kind = each.kind.copy()
        kind[after] = random.permutation(kind[after])
        events.append(each._replace(kind=kind))
    errors, replacements, failures = events
    return Fleet(given.machines, telemetry._replace(values=values), errors, replacements, failures)
