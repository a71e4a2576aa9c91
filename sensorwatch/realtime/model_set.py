"""The models of one set, over all its shards, ready to score with: immutable, so that a swap is one assignment."""

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
"""In place of a row where a sensor has no model."""

_TRIED = 16
"""Models of each detector that a trial scores with: enough to find out that it can't be used, and no pause."""

_TRIAL_WINDOWS = 4


class _OfDetector(NamedTuple):
    """The parameters of one detector's models; ``place`` is where those of a row are, -1 for rows of others."""

    detector: Detector
    params: pa.StructArray
    place: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ServedModels:
    """Models as columns of shape ``(n_models,)``, a row each.

    Attributes
    ----------
    detectors
        Those that score; ``code`` is the position in it of each row's. An ensemble's surrogate scores in its place,
        with the calibration that it has there.
    calibration
        Turns raw scores into scores of 0-100.
    first_training_end
        Windows up to this end are never scored.
    expected_low, expected_high
        Lowest and highest normal value; NaN where there is none.
    training_start, training_end
        Each model was trained on windows with ``training_start < end <= training_end``, in seconds since 1970.
    versions, version
        The versions that there are, and the position in them of each row's.
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
        """Return the models of some shards together.

        Parameters
        ----------
        shards
            Tables as :mod:`sensorwatch.models.table` documents them, with their versions filled in.
        policy
            Which stored estimators may be loaded; None: the configuration's defaults.

        Raises
        ------
        InvalidInputError
            A model was made by a detector that this version of the code does not know.
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
        """The newest version that a model here first appeared in."""
        return max(self.versions, default="")

    def rows(self, sensor_ids: Integers) -> Integers:
        """Return the row of each sensor's model, :data:`NO_MODEL` where it has none."""
        if not len(self._row_of_sensor):
            return np.full(len(sensor_ids), NO_MODEL)
        known = sensor_ids < len(self._row_of_sensor)
        return np.where(known, self._row_of_sensor[np.where(known, sensor_ids, 0)], NO_MODEL).astype(np.int64)

    def score(self, code: int, rows: Integers, series: Series) -> Floats:
        """Return scores of 0-100 of the last window of each series, shape ``(n,)``; NaN where there is none.

        Parameters
        ----------
        code
            Position of the detector; all models are its.
        rows
            The models, shape ``(n,)``.
        series
            A series each, none of them empty: the window to score, and before it those that its score may depend on.
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
    """Try the models of a shard before they are served.

    Raises
    ------
    CorruptModelError
        A model has no parameters or no calibration, or those that are tried give no score.
    InvalidInputError
        A model was made by a detector that this version of the code does not know.
    """
    served = ServedModels.of([models], policy)
    without = np.flatnonzero((served.code < 0) | ~np.isfinite(served.calibration.threshold))
    if len(without):
        ids = without_fallbacks(models)["sensor_id"].to_numpy()[without[:5]]
        raise CorruptModelError(
            f"{len(without)} models without parameters or calibration, among them those of the sensors "
            f"{', '.join(map(str, ids.tolist()))}; train them anew, or go back to another version"
        )
    for code, of_detector in enumerate(served.detectors):
        rows = np.flatnonzero(served.code == code)[:_TRIED]
        scores = served.score(code, rows, _trial_series(served, rows))
        if np.isnan(scores).all():
            raise CorruptModelError(
                f"none of {len(rows)} models of the detector {of_detector.detector.name} that were tried gives a score"
            )


def history_windows(of: Detector, kept: int) -> int:
    """Return how many of the windows that are kept a detector gets before the one to score: all that may need some."""
    return kept if isinstance(of, StatefulDetector) else 0


def _trial_series(served: ServedModels, rows: Integers) -> Series:
    """Return some equal values for each model, right behind its training: its highest normal one, or 0."""
    value = np.nan_to_num(served.expected_high[rows])
    ends = served.training_end[rows, None] + np.arange(1, _TRIAL_WINDOWS + 1)
    return Series(np.arange(len(rows) + 1) * _TRIAL_WINDOWS, ends.ravel(), np.repeat(value, _TRIAL_WINDOWS))
