"""Signal features of predictive maintenance with PySpark, as an alternative: the same means and deviations."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from sensorwatch.machines.features import FeatureTable
from sensorwatch.machines.fleet import SIGNALS, Fleet

__all__ = ["check_equal", "spark_features"]

_HOURS = (12, 24, 36)


def spark_features(folder: Path) -> None:
    """Write the folder ``features`` next to ``telemetry.parquet``, in a JVM that has ended on return."""
    from pyspark.sql import SparkSession, Window
    from pyspark.sql import functions as f

    spark = (
        SparkSession.builder.master(f"local[{os.cpu_count()}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "4g")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    telemetry = spark.read.parquet(str(folder / "telemetry.parquet"))
    hours = (f.unix_timestamp("datetime") / 3600).cast("long")
    columns = []
    for lag in _HOURS:
        window = Window.partitionBy("machineID").orderBy(hours).rangeBetween(1 - lag, 0)
        columns += [f.avg(name).over(window).alias(f"{name}_mean_{lag}h") for name in SIGNALS]
        columns += [f.stddev(name).over(window).alias(f"{name}_std_{lag}h") for name in SIGNALS]
    rolled = telemetry.select("machineID", hours.alias("hour"), *columns)
    rolled.filter(f.col("hour") % 12 == 0).write.parquet(str(folder / "features"))
    gateway: Any = spark.sparkContext._gateway
    jvm = gateway.proc
    spark.stop()
    # The CPU time of a child process is only known after waiting for its end.
    jvm.stdin.close()
    try:
        jvm.wait(30)
    except Exception:  # noqa: BLE001  a JVM that stays is ended
        jvm.send_signal(signal.SIGTERM)
        jvm.wait(30)


def check_equal(folder: Path, fleet: Fleet, ours: FeatureTable) -> int:
    """Compare Spark's values with ours and return the number of compared samples.

    Samples without a reading in their last hour are left out, as Spark has no rows of them. So are samples with a
    window of one reading: it has no deviation, and ours uses a longer window.

    Parameters
    ----------
    folder
        Folder of Spark's features.
    fleet
        Data of the machines.
    ours
        Our features.

    Raises
    ------
    AssertionError
        The values differ, or fewer than nine of ten samples could be compared.
    """
    theirs = pq.read_table(folder / "features")
    place = {machine: i for i, machine in enumerate(fleet.machines.machine_id.tolist())}
    span = int(ours.sample.max()) + 1
    own = ours.machine * span + ours.sample
    machine = np.array([place[each] for each in theirs["machineID"].to_pylist()], np.int64)
    key = machine * span + theirs["hour"].to_numpy() // 12
    names = [f"{signal}_{what}_{lag}h" for lag in _HOURS for what in ("mean", "std") for signal in SIGNALS]
    values = np.column_stack([theirs[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in names])
    row = np.minimum(np.searchsorted(own, key), len(own) - 1)
    both = (own[row] == key) & np.isfinite(values).all(axis=1)
    expected = ours.values[row[both]][:, [ours.names.index(name) for name in names]]
    np.testing.assert_allclose(values[both], expected, rtol=1e-9)
    compared = int(both.sum())
    assert compared > 0.9 * len(own), f"expected to compare over 90 % of {len(own)} samples, got {compared}"
    return compared
