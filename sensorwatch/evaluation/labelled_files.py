"""Labelled series from CSV files, in a plain format or in that of the Numenta Anomaly Benchmark (NAB).

The plain format::

    TS,Value,Label
    2026-11-20T10:00:05Z,84.92,0

A file of NAB has the columns ``timestamp`` and ``value``. Its labels are in a separate JSON file, by the path of the
CSV file, as windows whose start and end are both inclusive::

    {"folder/file.csv": [["2026-11-20 10:00:05", "2026-11-20 10:05:00"], …]}

Times are ISO 8601, in UTC unless they have an offset. An empty value is a missing value.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.evaluation.labelled_series import LabelledSeries
from sensorwatch.settings.text_files import decode_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

__all__ = ["read_labelled"]

_PLAIN = ("TS", "Value", "Label")
_NAB = ("timestamp", "value")
_NAB_LABELS = ("labels/combined_windows.json", "combined_windows.json")
_YES = {"1", "1.0", "true"}
_NO = {"0", "0.0", "false"}
_LEAST_WINDOWS = 10

Windows = list[tuple[int, int]]


def read_labelled(place: Path, labels: Path | None = None) -> list[LabelledSeries]:
    """Return the series in a file, or in all CSV files under a folder, ordered by name.

    Parameters
    ----------
    place
        The file or the folder.
    labels
        Label file of NAB; None: ``labels/combined_windows.json`` or ``combined_windows.json`` in the folder of the data
        or in one of its parents.

    Raises
    ------
    NotFoundError
        There is no such file, or no CSV file in the folder.
    InvalidInputError
        A file has neither format, or a cell can't be read; the message names it.
    """
    if place.is_dir():
        files = sorted(place.rglob("*.csv"))
        if not files:
            raise NotFoundError(f"{place}: expected CSV files in the folder, found none")
    elif place.is_file():
        files = [place]
    else:
        raise NotFoundError(f"{place}: there is no such file or folder")
    root = place if place.is_dir() else place.parent
    windows: Mapping[str, Windows] | None = None
    series = []
    for file in files:
        frame = _frame(file)
        if set(_PLAIN) <= set(frame.columns):
            flags = _flags(file, frame["Label"])
            series.append(_series(file, root, frame["TS"], frame["Value"], flags))
        elif set(_NAB) <= set(frame.columns):
            if windows is None:
                windows = _read_windows(labels or _find_labels(root))
            unlabelled = _series(file, root, frame["timestamp"], frame["value"], np.zeros(len(frame), np.bool_))
            series.append(_with_windows(unlabelled, _windows_of(file, windows)))
        else:
            raise InvalidInputError(
                f"{file}: expected the columns {', '.join(_PLAIN)}, or {', '.join(_NAB)} as in NAB, got "
                f"{', '.join(map(str, frame.columns))}"
            )
    return series


def _frame(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        text = io.StringIO(decode_text(file.read_bytes()))
        return pd.read_csv(text, dtype=str, keep_default_na=False, index_col=False)
    except (ValueError, OSError) as exc:
        # The reader of pandas raises subclasses of ValueError.
        raise InvalidInputError(f"{file}: expected a CSV file: {exc}") from exc


def _series(
    file: Path, root: Path, times: pd.Series[str], values: pd.Series[str], flags: npt.NDArray[np.bool_]
) -> LabelledSeries:
    import pandas as pd

    if len(times) < _LEAST_WINDOWS:
        raise InvalidInputError(f"{file}: expected at least {_LEAST_WINDOWS} rows, got {len(times)}")
    parsed = pd.to_datetime(times, utc=True, errors="coerce", format="ISO8601")
    _refuse(file, times, parsed.isna().to_numpy(), "a time in ISO 8601")
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    _refuse(file, values, np.isnan(numbers) & ~values.str.lower().isin(["", "nan"]).to_numpy(), "a number")
    seconds = np.asarray(parsed.astype("datetime64[s, UTC]").astype("int64"), np.int64)
    order = np.argsort(seconds, kind="stable")
    return LabelledSeries(file.relative_to(root).as_posix(), seconds[order], numbers[order], flags[order])


def _flags(file: Path, labels: pd.Series[str]) -> npt.NDArray[np.bool_]:
    written = labels.str.strip().str.lower()
    yes, no = written.isin(_YES).to_numpy(), written.isin(_NO).to_numpy()
    _refuse(file, labels, ~(yes | no), "0 or 1")
    return np.asarray(yes)


def _refuse(file: Path, cells: pd.Series[str], wrong: npt.NDArray[np.bool_], expected: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInputError(
            f"{file}, line {row + 2}: expected {expected} in the column {cells.name}, got `{cells.iloc[row][:50]}`"
        )


def _find_labels(root: Path) -> Path:
    for folder in (root, *root.resolve().parents):
        for name in _NAB_LABELS:
            if (folder / name).is_file():
                return folder / name
    raise NotFoundError(
        f"{root}: the data have NAB's format, expected its label file {_NAB_LABELS[0]} in this folder or one of its "
        "parents, found none; give its path with --labels"
    )


def _read_windows(file: Path) -> Mapping[str, Windows]:
    try:
        content: Any = json.loads(decode_text(file.read_bytes()))
        return {
            str(name): [(_seconds(start), _seconds(end)) for start, end in windows] for name, windows in content.items()
        }
    except OSError as exc:
        raise NotFoundError(f"{file}: can't be read: {exc}") from exc
    except (ValueError, TypeError, AttributeError) as exc:
        raise InvalidInputError(
            f'{file}: expected NAB\'s label windows, {{"folder/file.csv": [["START", "END"], …]}}: {exc}'
        ) from exc


def _seconds(written: str) -> int:
    import pandas as pd

    time = pd.Timestamp(written)
    return int((time.tz_localize("UTC") if time.tzinfo is None else time).timestamp())


def _windows_of(file: Path, windows: Mapping[str, Windows]) -> Windows:
    parts = file.resolve().parts
    matching = [name for name in windows if parts[-len(Path(name).parts) :] == Path(name).parts]
    if not matching:
        raise InvalidInputError(
            f"{file}: the label file has no entry for it; expected its path, like "
            f"`{next(iter(windows), 'folder/file.csv')}`; a series without anomalies needs an empty list"
        )
    return windows[max(matching, key=len)]


def _with_windows(series: LabelledSeries, windows: Windows) -> LabelledSeries:
    for start, end in windows:
        series.labels[(series.times >= start) & (series.times <= end)] = True
    return series
