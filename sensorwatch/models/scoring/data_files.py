"""Windows from a data file instead of the database: CSV or Parquet with the columns TS, Device, Tag and Value.

TS is ISO 8601, in UTC unless it says otherwise. Rows are averaged in windows as readings are, so a file of the windows'
own averages gives these, and a file of readings their averages. Rows that can't be used, and sensors that the catalogue
does not know, are counted and left out.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sensorwatch.azure.blobs import translate_blob_errors
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.sensors.windows import WindowColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from azure.storage.blob import BlobServiceClient

    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["DataFile", "parse_data", "read_data"]

_COLUMNS = ("TS", "Device", "Tag", "Value")
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class DataFile:
    """The windows of a file (:class:`~sensorwatch.sensors.windows.WindowStore`), and the sensors they are of.

    Attributes
    ----------
    statuses
        The catalogue's sensors that the file has windows of, ordered by id.
    windows
        Their windows, ordered by (sensor_id, end).
    unusable_rows
        Rows whose TS or Value can't be read.
    unknown_sensors
        Sensors in the file that the catalogue does not have.
    """

    statuses: tuple[SensorStatus, ...]
    windows: WindowColumns
    unusable_rows: int
    unknown_sensors: tuple[SensorKey, ...]

    @property
    def shards(self) -> list[int]:
        """The shards of the file's sensors, in order."""
        return sorted({sensor.shard for sensor in self.statuses})

    @property
    def end(self) -> datetime:
        """End of the newest window (UTC).

        Raises
        ------
        InvalidInputError
            There is none.
        """
        if not len(self.windows.end):
            raise InvalidInputError(f"the data hold nothing to score: {self}")
        return datetime.fromtimestamp(int(self.windows.end.max()), UTC)

    def __str__(self) -> str:
        """Return what is in it and what was left out, in one line."""
        line = f"{len(self.windows.end)} windows of {len(self.statuses)} sensors"
        if self.unusable_rows:
            line += f"; {self.unusable_rows} rows without a usable TS or Value are left out"
        if self.unknown_sensors:
            first = self.unknown_sensors[0]
            line += (
                f"; {len(self.unknown_sensors)} unknown sensors are left out, the first is {first.device} {first.tag}"
            )
        return line

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        """Return the sensors (of one shard) ordered by id."""
        return [sensor for sensor in self.statuses if shard is None or sensor.shard == shard]

    def read_windows(self, shard: int, start: datetime | None, end: datetime) -> WindowColumns:
        """Return the shard's windows with ``start < end_of_window <= end``, ordered by (sensor_id, end)."""
        import numpy as np

        columns = self.windows
        keep = np.isin(columns.sensor_id, [sensor.sensor_id for sensor in self.sensors(shard)])
        keep &= columns.end <= end.timestamp()
        if start is not None:
            keep &= columns.end > start.timestamp()
        return WindowColumns(columns.sensor_id[keep], columns.end[keep], columns.value[keep], columns.count[keep])

    def read_rescore_windows(self, shard: int, end: datetime) -> WindowColumns:
        """Return none: what is in a file does not change."""
        return self.read_windows(shard, end, end)

    def is_scored(self, task: TaskSpec) -> bool:
        """Return False: a file is scored whenever somebody asks for it."""
        return False

    def complete_scoring(self, task: TaskSpec, scored: WindowColumns) -> None:
        """Do nothing: how far a shard's scoring has come concerns the database's windows only."""


def read_data(place: str, blobs: Callable[[], BlobServiceClient]) -> bytes:
    """Return the content of a data file.

    Parameters
    ----------
    place
        A path, or ``CONTAINER/NAME`` of a blob.
    blobs
        Gives the storage account; called for a blob only.

    Raises
    ------
    NotFoundError
        There is neither.
    """
    path = Path(place)
    if path.is_file():
        return path.read_bytes()
    container, _, name = place.partition("/")
    if not container or not name:
        raise NotFoundError(f"{place}: expected a file, or CONTAINER/NAME of a blob; there is no such file")
    try:
        with translate_blob_errors():
            return blobs().get_blob_client(container, name).download_blob().readall()
    except NotFoundError as exc:
        raise NotFoundError(f"{place}: there is neither such a file nor such a blob") from exc


def parse_data(name: str, content: bytes, sensors: Sequence[SensorStatus], window_seconds: int) -> DataFile:
    """Return the windows in a data file.

    Parameters
    ----------
    name
        The file's name, whose suffix says the format: ``.csv`` or ``.parquet``.
    content
        The file.
    sensors
        The catalogue.
    window_seconds
        Length of a window.

    Raises
    ------
    InvalidInputError
        It is no such file, or columns are missing.
    """
    import numpy as np
    import pandas as pd

    frame = _frame(name, content)
    times = pd.to_datetime(frame["TS"], utc=True, errors="coerce", format="ISO8601")
    values = pd.to_numeric(frame["Value"], errors="coerce").to_numpy(np.float64)
    usable = times.notna().to_numpy() & np.isfinite(values) & frame["Device"].notna() & frame["Tag"].notna()
    frame = frame[usable]
    nanoseconds = times[usable].astype("datetime64[ns, UTC]").astype("int64").to_numpy()
    window = window_seconds * _NANOSECONDS
    ends = -(-nanoseconds // window) * window_seconds
    known = {sensor.key: sensor for sensor in sensors}
    names = list(zip(frame["Device"].astype(str), frame["Tag"].astype(str), strict=True))
    position = {key: known.get(SensorKey(*key)) for key in dict.fromkeys(names)}
    ids = np.array([-1 if (sensor := position[key]) is None else sensor.sensor_id for key in names], np.int64)
    rows = pd.DataFrame({"sensor_id": ids, "end": ends, "value": values[usable]})
    means = rows[rows["sensor_id"] >= 0].groupby(["sensor_id", "end"], sort=True)["value"].agg(["mean", "count"])
    found = {sensor.sensor_id: sensor for sensor in position.values() if sensor is not None}
    return DataFile(
        statuses=tuple(found[sensor_id] for sensor_id in sorted(found)),
        windows=WindowColumns(
            means.index.get_level_values(0).to_numpy(np.int64),
            means.index.get_level_values(1).to_numpy(np.int64),
            means["mean"].to_numpy(np.float64),
            means["count"].to_numpy(np.int64),
        ),
        unusable_rows=int((~usable).sum()),
        unknown_sensors=tuple(SensorKey(*key) for key, sensor in position.items() if sensor is None),
    )


def _frame(name: str, content: bytes) -> pd.DataFrame:
    import pandas as pd

    suffix = Path(name).suffix
    if suffix not in (".csv", ".parquet"):
        raise InvalidInputError(f"{name}: expected data with a name that ends in .csv or .parquet")
    try:
        if suffix == ".csv":
            frame = pd.read_csv(io.BytesIO(content), dtype={"Device": str, "Tag": str}, keep_default_na=False)
        else:
            frame = pd.read_parquet(io.BytesIO(content))
    except (ValueError, OSError) as exc:
        # pandas and Arrow derive the errors of their readers from these.
        raise InvalidInputError(f"{name}: expected {suffix[1:]}, got {len(content)} bytes: {exc}") from exc
    missing = [column for column in _COLUMNS if column not in frame.columns]
    if missing:
        raise InvalidInputError(
            f"{name}: expected the columns {', '.join(_COLUMNS)}, got {', '.join(map(str, frame.columns))} "
            f"(missing: {', '.join(missing)})"
        )
    return frame[list(_COLUMNS)]
