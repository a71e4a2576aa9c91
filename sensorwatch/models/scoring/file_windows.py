"""Windows from a data file instead of the database: CSV or Parquet with the columns TS, Device, Tag and Value.

TS is ISO 8601, in UTC unless it has an offset. Rows are averaged in windows as readings are, so the file may contain
readings or window means. Rows that can't be used, and sensors that are not in the catalogue, are counted and left out.
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
from sensorwatch.settings.text_files import decode_text, unescape_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from azure.storage.blob import BlobServiceClient

    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["FileWindows", "parse_data", "read_data"]

_COLUMNS = ("TS", "Device", "Tag", "Value")
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class FileWindows:
    """Windows of a data file and their sensors (a :class:`~sensorwatch.models.scoring.score.ScoringStore`).

    Attributes
    ----------
    statuses
        Sensors of the catalogue that have windows in the file, ordered by id.
    windows
        Their windows, ordered by (sensor_id, end).
    unusable_rows
        Number of rows whose TS or Value can't be read.
    unknown_sensors
        Sensors in the file that are not in the catalogue.
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
            The file has no windows of known sensors.
        """
        if not len(self.windows.end):
            raise InvalidInputError(f"the data contain nothing to score: {self}")
        return datetime.fromtimestamp(int(self.windows.end.max()), UTC)

    def __str__(self) -> str:
        """Return one line: the numbers of windows and sensors, and of rows and sensors that were left out."""
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
        """Return windows of the file, ordered by (sensor_id, end).

        Parameters
        ----------
        shard
            Number of the shard.
        start
            Exclusive start of the range (UTC); None: no lower bound.
        end
            Inclusive end of the range (UTC).
        """
        import numpy as np

        columns = self.windows
        keep = np.isin(columns.sensor_id, [sensor.sensor_id for sensor in self.sensors(shard)])
        keep &= columns.end <= end.timestamp()
        if start is not None:
            keep &= columns.end > start.timestamp()
        return columns.only(keep)

    def read_rescore_windows(self, shard: int, end: datetime) -> WindowColumns:
        """Return no windows: a file does not change after it was scored."""
        return self.read_windows(shard, end, end)

    def is_scored(self, task: TaskSpec) -> bool:
        """Return False: a file is scored each time it is requested."""
        return False

    def complete_scoring(self, task: TaskSpec, scored: WindowColumns) -> None:
        """Do nothing: the progress of a shard's scoring concerns windows of the database only."""


def read_data(place: str, blobs: Callable[[], BlobServiceClient]) -> bytes:
    """Return the content of a data file.

    Parameters
    ----------
    place
        A path, or ``CONTAINER/NAME`` of a blob.
    blobs
        Returns a client of the storage account; called for a blob only.

    Raises
    ------
    NotFoundError
        There is neither such a file nor such a blob.
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


def parse_data(name: str, content: bytes, sensors: Sequence[SensorStatus], window_seconds: int) -> FileWindows:
    """Return the windows in a data file.

    Parameters
    ----------
    name
        Name of the file; its suffix, ``.csv`` or ``.parquet``, gives the format.
    content
        Content of the file.
    sensors
        The sensors of the catalogue.
    window_seconds
        Length of a window, in seconds.

    Raises
    ------
    InvalidInputError
        The file has another format, or columns are missing.
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
    return FileWindows(
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
            text = io.StringIO(decode_text(content))
            frame = pd.read_csv(text, dtype={"Device": str, "Tag": str}, keep_default_na=False)
            names = [name for name in ("Device", "Tag") if name in frame.columns]
            frame = frame.assign(**{name: frame[name].map(unescape_cell) for name in names})
        else:
            frame = pd.read_parquet(io.BytesIO(content))
    except (ValueError, OSError) as exc:
        # The readers of pandas and Arrow raise subclasses of these.
        raise InvalidInputError(f"{name}: expected {suffix[1:]}, got {len(content)} bytes: {exc}") from exc
    missing = [column for column in _COLUMNS if column not in frame.columns]
    if missing:
        raise InvalidInputError(
            f"{name}: expected the columns {', '.join(_COLUMNS)}, got {', '.join(map(str, frame.columns))} "
            f"(missing: {', '.join(missing)})"
        )
    return frame[list(_COLUMNS)]
