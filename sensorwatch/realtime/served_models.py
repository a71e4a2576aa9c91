"""Models of all loaded shards, ready to score with; immutable, so that replacing them is one assignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import StatefulDetector
from sensorwatch.detectors.calibration import Calibration
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import CorruptModelError
from sensorwatch.models.table import detectors_in, params_column, without_fallbacks

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.detectors.base import Detector

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["NO_MODEL", "ServedModels", "history_windows", "validate"]

NO_MODEL = -1
"""Row of a sensor without a model."""

_TRIED = 16
"""Number of models of each detector that validation scores with: enough to find unusable ones, and fast."""

_TRIAL_WINDOWS = 4
"""Number of windows of each series that validation scores."""


class _OfDetector(NamedTuple):
    """Parameters of one detector's models.

    ``place`` maps each row to its position in ``params``; -1 for rows of other detectors.
    """

    detector: Detector
    params: pa.StructArray
    place: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ServedModels:
    """Models as columns of shape ``(n_models,)``, one row per sensor.

    Attributes
    ----------
    detectors
        Detectors that score. An ensemble is replaced by its surrogate, with the surrogate's calibration.
    code
        Position of each row's detector in ``detectors``, int8.
    calibration
        Calibration from raw scores to scores of 0-100.
    first_training_end
        Windows up to this end, inclusive, are not scored; in seconds since 1970-01-01T00:00:00Z, int64.
    expected_low, expected_high
        Lowest and highest normal value, float64; NaN if the detector has none.
    training_start, training_end
        Training range of each model: windows with ``training_start < end <= training_end``, in seconds since
        1970-01-01T00:00:00Z, int64.
    versions
        Distinct versions of the models.
    version
        Position of each row's version in ``versions``, int32.
    """

    detectors: tuple[_OfDetector, ...]
    code: npt.NDArray[np.int8]
    calibration: Calibration
    first_training_end: Integers
    expected_low: Floats
    expected_high: Floats
    training_start: Integers
    training_end: Integers
    versions: tuple[str, ...]
    version: npt.NDArray[np.int32]
    _row_of_sensor: npt.NDArray[np.int32]

    @classmethod
    def of(cls, shards: Collection[pa.Table], policy: EstimatorPolicy | None = None) -> ServedModels:
        """Return the models of several shards; fallback models are left out.

        Parameters
        ----------
        shards
            Tables in the format of :mod:`sensorwatch.models.table`, with their versions filled in.
        policy
            Stored estimators that may be loaded; None for the defaults of the configuration.

        Raises
        ------
        InvalidInputError
            A model has a detector that this version of the code does not know.
        """
        tables = [without_fallbacks(table) for table in shards]
        models = pa.concat_tables(tables, promote_options="default") if tables else None
        if models is None or not models.num_rows:
            return _NOTHING
        sensor_id = models["sensor_id"].to_numpy()
        row_of_sensor = np.full(int(sensor_id.max()) + 1, NO_MODEL, np.int32)
        row_of_sensor[sensor_id] = np.arange(len(sensor_id))
        versions = models["version"].combine_chunks().dictionary_encode()
        code = np.full(len(sensor_id), -1, np.int8)
        found: list[_OfDetector] = []

        def add(chosen: Detector, params: pa.StructArray, rows: Integers) -> None:
            place = np.full(len(sensor_id), -1, np.int32)
            place[rows] = np.arange(len(rows))
            code[rows] = len(found)
            found.append(_OfDetector(chosen, params, place))

        def floats(name: str) -> Floats:
            return np.array(models[name].to_numpy(), np.float64)

        calibration = Calibration.of(models)
        low, high = floats("expected_low"), floats("expected_high")
        for name in detectors_in(models):
            params = models[params_column(name)].combine_chunks()
            rows = np.flatnonzero(params.is_valid().to_numpy(zero_copy_only=False))
            params, chosen = params.take(pa.array(rows)), detector(name, policy=policy)
            if (surrogate := chosen.surrogate(params)) is not None:
                has = surrogate.params.is_valid().to_numpy(zero_copy_only=False)
                own, stand_ins = rows[has], surrogate.params.filter(pa.array(has))
                calibration = calibration.replaced(own, surrogate.calibration.only(has))
                low[own], high[own] = surrogate.detector.expected_range(stand_ins)
                add(surrogate.detector, stand_ins, own)
                rows, params = rows[~has], params.filter(pa.array(~has))
            if len(rows):
                add(chosen, params, rows)

        def integers(name: str) -> Integers:
            return np.asarray(models[name].to_numpy(), np.int64)

        return cls(
            detectors=tuple(found),
            code=code,
            calibration=calibration,
            first_training_end=integers("first_training_end"),
            expected_low=low,
            expected_high=high,
            training_start=integers("training_start"),
            training_end=integers("training_end"),
            versions=tuple(versions.dictionary.to_pylist()),
            version=versions.indices.to_numpy(),
            _row_of_sensor=row_of_sensor,
        )

    def __len__(self) -> int:
        return len(self.code)

    @property
    def newest_version(self) -> str:
        """Newest version of the models; empty without models."""
        return max(self.versions, default="")

    def rows(self, sensor_ids: Integers) -> Integers:
        """Return the row of each sensor's model, shape ``(n,)``, int64; :data:`NO_MODEL` without a model.

        ``sensor_ids`` has the same shape and dtype.
        """
        if not len(self._row_of_sensor):
            return np.full(len(sensor_ids), NO_MODEL)
        known = sensor_ids < len(self._row_of_sensor)
        return np.where(known, self._row_of_sensor[np.where(known, sensor_ids, 0)], NO_MODEL).astype(np.int64)

    def score(self, code: int, rows: Integers, series: Series) -> Floats:
        """Return the score of the last window of each series, 0-100, shape ``(n,)``, float64; NaN without a score.

        Parameters
        ----------
        code
            Position in ``detectors``; all rows have this detector.
        rows
            Rows of the models, shape ``(n,)``, int64.
        series
            One series per row, never empty: the window to score, after the windows that the detector looks back on.
        """
        chosen = self.detectors[code]
        params = chosen.params.take(pa.array(chosen.place[rows]))
        raw = chosen.detector.score(params, series)
        return self.calibration.scores(rows, raw[series.offsets[1:] - 1])


_NOTHING = ServedModels(
    (),
    np.empty(0, np.int8),
    Calibration(*(np.empty(0) for _ in Calibration.columns)),
    np.empty(0, np.int64),
    np.empty(0),
    np.empty(0),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    (),
    np.empty(0, np.int32),
    np.empty(0, np.int32),
)


def validate(models: pa.Table, policy: EstimatorPolicy | None = None) -> None:
    """Check that the models of a shard can score, before they are served.

    Every model is checked for parameters and calibration, and some models of each detector score a short series.

    Parameters
    ----------
    models
        Table in the format of :mod:`sensorwatch.models.table`.
    policy
        Stored estimators that may be loaded; None for the defaults of the configuration.

    Raises
    ------
    CorruptModelError
        A model has no parameters or no calibration, or no tried model of a detector gives a score.
    InvalidInputError
        A model has a detector that this version of the code does not know.
    """
    served = ServedModels.of([models], policy)
    without = np.flatnonzero((served.code < 0) | ~np.isfinite(served.calibration.threshold))
    if len(without):
        ids = without_fallbacks(models)["sensor_id"].to_numpy()[without[:5]]
        raise CorruptModelError(
            f"{len(without)} models have no parameters or calibration, for example those of the sensors "
            f"{', '.join(map(str, ids.tolist()))}; train them again, or roll back to another version"
        )
    for code, of_detector in enumerate(served.detectors):
        rows = np.flatnonzero(served.code == code)[:_TRIED]
        scores = served.score(code, rows, _trial_series(served, rows))
        if np.isnan(scores).all():
            raise CorruptModelError(
                f"none of the {len(rows)} tried models of the detector {of_detector.detector.name} gives a score"
            )


def history_windows(scorer: Detector, kept: int) -> int:
    """Return the number of preceding windows that a detector needs: all ``kept`` ones if it looks back, else none."""
    return kept if isinstance(scorer, StatefulDetector) else 0


def _trial_series(served: ServedModels, rows: Integers) -> Series:
    """Return a short constant series for each model after its training, at its highest normal value or 0."""
    value = np.nan_to_num(served.expected_high[rows])
    ends = served.training_end[rows, None] + np.arange(1, _TRIAL_WINDOWS + 1)
    return Series(np.arange(len(rows) + 1) * _TRIAL_WINDOWS, ends.ravel(), np.repeat(value, _TRIAL_WINDOWS))
