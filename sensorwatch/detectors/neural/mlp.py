"""Small neural network per sensor that learns from labels, which people or a simulation have given to windows.

The network takes the last ``width`` windows of a sensor, standardised with the mean and the standard deviation of the
training values. It returns the log-odds of the newest window being anomalous
(:mod:`sensorwatch.detectors.neural.network`). The raw score is these log-odds, limited to ±20; so a window is anomalous
where that is the more probable class. With three windows it is the supervised model of Lightbend's anomaly detection
for the load of a processor.

**Outside its experience**, the output of a network means nothing. A value outside the range of the training values,
widened by a quarter at both ends, is therefore anomalous regardless of the network: 20, and more the farther away it
is. For the same reason, values before the newest one are clipped to that range.

**Hold-out.** A separate model is fitted on the first four fifths of the labelled windows and measured on the rest. No
value occurs in both parts, and the rest does not affect the standardisation. Precision, recall and F1 are stored with
the model, which is then fitted on all labelled windows.

Windows without a label are used as lagged values only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.config.detectors import NO_PARAMETERS
from sensorwatch.config.parameters import MlpParameters
from sensorwatch.detectors.base import CHECKPOINT, Advanced, Fitted, StatefulDetector, fit_each
from sensorwatch.detectors.neural.network import Network, log_odds, n_weights, onnx_problem, stacked, train_network
from sensorwatch.detectors.windowing.lagged_values import Split, lagged, positions, split
from sensorwatch.detectors.windowing.summary import CONSTANT_TOLERANCE
from sensorwatch.errors import InvalidInputError
from sensorwatch.sensors.labels import LABELLED_ANOMALOUS, LABELLED_NORMAL, UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["Mlp", "network_of"]

_HOLDOUT_SHARE = 0.2
_LIMIT = 20.0
_MARGIN = 0.25
_TILES_AT_ONCE = 1 << 12
"""Each tile comes with the weights of its sensor: the limit keeps the working arrays small."""

_TILE = 8
"""Windows of one sensor that go through the network together. All products have this size, so rounding does not depend
on the number of windows."""

_CHECKPOINT = pa.struct([pa.field("as_of", pa.int64()), pa.field("values", pa.list_(pa.float64()))])
_PARAMS = pa.struct(
    [
        pa.field("specification", pa.string()),
        pa.field("width", pa.int64()),
        pa.field("hidden", pa.list_(pa.int64())),
        pa.field("mean", pa.float64()),
        pa.field("scale", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("weights", pa.list_(pa.float64())),
        pa.field("labelled_windows", pa.int64()),
        pa.field("labelled_anomalies", pa.int64()),
        pa.field("holdout_windows", pa.int64()),
        pa.field("holdout_anomalies", pa.int64()),
        pa.field("holdout_precision", pa.float64()),
        pa.field("holdout_recall", pa.float64()),
        pa.field("holdout_f1", pa.float64()),
        pa.field(CHECKPOINT, _CHECKPOINT),
    ]
)


class Mlp(StatefulDetector):
    """A supervised network per sensor.

    Parameters
    ----------
    specification
        Parameters as JSON (:class:`~sensorwatch.config.parameters.MlpParameters`), for new models.

    Raises
    ------
    InvalidInputError
        A parameter is unknown or out of range.
    """

    name = "mlp"
    threshold: float = 0.0
    learns_from_labels = True

    def __init__(self, specification: str = NO_PARAMETERS) -> None:
        self._specification = specification
        parameters = _parameters(specification)
        self._width, self._hidden = parameters.width, parameters.hidden

    def with_parameters(self, specification: str, policy: EstimatorPolicy) -> Mlp:
        """Return the detector with another shape; see :meth:`~sensorwatch.detectors.base.Detector.with_parameters`."""
        del policy
        return Mlp(specification)

    def fit(self, series: Series) -> Fitted:
        """Fit a network to each sensor's labelled windows; see :meth:`~sensorwatch.detectors.base.Detector.fit`."""
        from threadpoolctl import threadpool_limits

        if missing := onnx_problem():
            return Fitted(pa.nulls(series.n_sensors, _PARAMS), (missing,) * series.n_sensors)
        # The matrices are small: with more threads, waiting takes several times as long as computing.
        with threadpool_limits(1):
            return fit_each(series.finite(), self._fit_one, _PARAMS)

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return the log-odds of being anomalous; see :meth:`~sensorwatch.detectors.base.Detector.score`.

        For a series that does not continue from the checkpoint, the first value also stands for the values before it.

        Raises
        ------
        SettingsError
            The packages that ONNX needs are not installed.
        """
        raw = np.full(len(series.values), np.nan)
        finite = series.finite()
        scores = np.full(len(finite.values), np.nan)
        modelled = np.zeros(series.n_sensors, np.bool_)
        for models in _by_shape(params):
            modelled |= models.own
            own = np.repeat(models.own, finite.lengths)
            scores[own] = models.raw_scores(finite.kept(own))
        raw[np.isfinite(series.values)] = scores
        # An infinity is farther away than every number.
        raw[np.isinf(series.values) & np.repeat(modelled, series.lengths)] = np.inf
        return raw

    def advance(self, params: pa.StructArray, series: Series, threshold: Floats | None = None) -> Advanced:
        """Return scores and checkpoints; see :meth:`~sensorwatch.detectors.base.Detector.advance`."""
        del threshold
        finite = series.finite()
        widths, checkpoints = params.field("width").to_pylist(), params.field(CHECKPOINT).to_pylist()
        for i in np.flatnonzero(finite.lengths).tolist():
            if (before := checkpoints[i]) is not None:
                own = finite.part(i, i + 1)
                values = before["values"] if own.times[0] > before["as_of"] else ()
                checkpoints[i] = _checkpoint(own, widths[i], values)
        return Advanced(self.score(params, series), pa.array(checkpoints, _CHECKPOINT))

    def expected_range(self, params: pa.StructArray) -> tuple[Floats, Floats]:
        """Return the value of constant sensors; see :meth:`~sensorwatch.detectors.base.Detector.expected_range`."""
        rows = params.to_pylist()
        constant = np.array([np.nan if row is None or row["scale"] else row["mean"] for row in rows], np.float64)
        return constant, constant.copy()

    def _fit_one(self, series: Series) -> dict[str, object]:
        labels = np.full(len(series.values), UNLABELLED, np.int8) if series.labels is None else series.labels
        labelled, anomalous = np.flatnonzero(labels != UNLABELLED), labels == LABELLED_ANOMALOUS
        if len(series.values) < 2:
            raise InvalidInputError(f"a model needs at least 2 finite values, got {len(series.values)}")
        if not anomalous.any() or not (labels == LABELLED_NORMAL).any():
            raise InvalidInputError(_too_few_labels(len(series.values), len(labelled), int(anomalous.sum())))
        windows = lagged(series, self._width)
        row: dict[str, object] = {
            "specification": self._specification,
            "width": self._width,
            "hidden": list(self._hidden),
            "labelled_windows": len(labelled),
            "labelled_anomalies": int(anomalous.sum()),
            CHECKPOINT: _checkpoint(series, self._width),
        }
        taught = _teach(windows[labelled], anomalous[labelled], self._hidden)
        row |= {**taught._asdict(), "weights": taught.weights.tolist()}
        return row | self._holdout(windows, anomalous, split(labelled, self._width, _HOLDOUT_SHARE))

    def _holdout(self, windows: Floats, anomalous: Flags, places: Split) -> dict[str, object]:
        """Return the quality, on the last part, of a network fitted on the first, as far as the labels allow."""
        expected = anomalous[places.test]
        measured: dict[str, object] = {
            "holdout_windows": len(expected),
            "holdout_anomalies": int(expected.sum()),
        }
        known = anomalous[places.train]
        if known.all() or not known.any() or not expected.any():
            return measured
        taught = _teach(windows[places.train], known, self._hidden)
        found = taught.raw_scores(windows[places.test], self._width, self._hidden) > self.threshold
        hits = int((found & expected).sum())
        return measured | {
            "holdout_precision": hits / int(found.sum()) if found.any() else None,
            "holdout_recall": hits / int(expected.sum()),
            "holdout_f1": 2 * hits / int(found.sum() + expected.sum()),
        }


class _Taught(NamedTuple):
    """Result of fitting one sensor: scaling, widened range of the training values, and weights of the network."""

    mean: float
    scale: float
    low: float
    high: float
    weights: Floats

    def raw_scores(self, windows: Floats, width: int, hidden: tuple[int, ...]) -> Floats:
        """Return raw scores, shape ``(n_windows,)``.

        Parameters
        ----------
        windows
            Lagged values, shape ``(n_windows, width)``.
        width
            Number of windows that the network takes.
        hidden
            Sizes of its hidden layers.
        """
        models = _Models(
            width=width,
            hidden=hidden,
            own=np.ones(1, np.bool_),
            mean=np.array([self.mean]),
            scale=np.array([self.scale]),
            low=np.array([self.low]),
            high=np.array([self.high]),
            weights=self.weights[np.newaxis],
            history=np.full((1, width - 1), np.nan),
            as_of=np.zeros(1, np.int64),
        )
        return models.scores_of(windows, np.zeros(len(windows), np.int64), np.arange(len(windows)))


def _teach(windows: Floats, anomalous: Flags, hidden: tuple[int, ...]) -> _Taught:
    """Fit a network to the labelled windows of one sensor; both labels occur.

    Raises
    ------
    InvalidInputError
        The spread of the values can't be computed.
    """
    values = windows[:, -1]
    low, high = float(values.min()), float(values.max())
    slack = CONSTANT_TOLERANCE * max(abs(low), abs(high))
    with np.errstate(over="ignore", invalid="ignore"):
        margin = _MARGIN * (high - low)
        mean, scale = float(values.mean()), float(values.std())
    if high - low <= slack:
        middle = low / 2 + high / 2
        nothing = np.zeros(n_weights(windows.shape[1], hidden))
        return _Taught(middle, 0.0, middle - slack, middle + slack, nothing)
    if not np.isfinite([high - low + 2 * margin, mean, scale]).all() or scale * scale < np.finfo(np.float64).tiny:
        raise InvalidInputError(
            f"values from {low:g} to {high:g}: their spread can't be computed in double precision; bring the sensor to "
            "another unit"
        )
    standardised = (np.clip(windows, low - margin, high + margin) - mean) / scale
    network = train_network(standardised, anomalous, hidden)
    return _Taught(mean, scale, low - margin, high + margin, network.flat())


@dataclass(frozen=True, slots=True)
class _Models:
    """Models of one shape, with empty rows for the sensors that have none of this shape (``own`` is False).

    Arrays have shape ``(n_sensors,)``, except ``weights``, which has a row per sensor, and ``history``: the values up
    to the checkpoint's time ``as_of``, oldest first, shape ``(n_sensors, width - 1)``, NaN where there are fewer.
    """

    width: int
    hidden: tuple[int, ...]
    own: Flags
    mean: Floats
    scale: Floats
    low: Floats
    high: Floats
    weights: Floats
    history: Floats
    as_of: Integers

    def raw_scores(self, series: Series) -> Floats:
        """Return the raw scores of finite values; the sensors that are not ``own`` have no values."""
        filled = np.flatnonzero(series.lengths)
        known = np.zeros(series.n_sensors, np.bool_)
        known[filled] = series.times[series.offsets[filled]] > self.as_of[filled]
        history = np.where(known[:, np.newaxis], self.history, np.nan)
        windows = lagged(series, self.width, history)
        sensor = np.repeat(np.arange(series.n_sensors), series.lengths)
        return self.scores_of(windows, sensor, positions(series))

    def scores_of(self, windows: Floats, sensor: Integers, place: Integers) -> Floats:
        """Return the raw scores of windows that are ordered by sensor and by place in its series.

        Parameters
        ----------
        windows
            Lagged values, shape ``(n_windows, width)``.
        sensor
            Position of each window's sensor, shape ``(n_windows,)``.
        place
            Place of each window in its sensor's series, shape ``(n_windows,)``.
        """
        low, high = self.low[sensor], self.high[sensor]
        scale = np.where(self.scale > 0, self.scale, 1.0)[sensor]
        standardised = np.clip(windows, low[:, np.newaxis], high[:, np.newaxis])
        standardised -= self.mean[sensor, np.newaxis]
        standardised /= scale[:, np.newaxis]
        raw = np.clip(self._log_odds(standardised, sensor, place), -_LIMIT, _LIMIT)
        newest = windows[:, -1]
        with np.errstate(over="ignore"):
            beyond = np.maximum(low - newest, newest - high) / scale
        return np.asarray(np.where(beyond > 0, _LIMIT + beyond, raw))

    def _log_odds(self, standardised: Floats, sensor: Integers, place: Integers) -> Floats:
        new = np.ones(len(sensor), np.bool_)
        new[1:] = (sensor[1:] != sensor[:-1]) | (place[1:] // _TILE != place[:-1] // _TILE)
        tile = np.cumsum(new) - 1
        slot = tile * _TILE + place % _TILE
        owner = sensor[new]
        padded = np.zeros((len(owner), _TILE, self.width))
        padded.reshape(-1, self.width)[slot] = standardised
        found = np.empty((len(owner), _TILE))
        for first in range(0, len(owner), _TILES_AT_ONCE):
            some = slice(first, first + _TILES_AT_ONCE)
            found[some] = log_odds(self.weights[owner[some]], padded[some], self.hidden)
        return np.asarray(found.ravel()[slot])


def _by_shape(params: pa.StructArray) -> Iterator[_Models]:
    """Yield the models of each shape; they have the same number of weights, so that one array holds them."""
    asked = pc.struct_field(params, "specification").dictionary_encode()
    for code, specification in enumerate(asked.dictionary.to_pylist()):
        shape = _parameters(specification)
        own = pc.fill_null(pc.equal(asked.indices, code), False).to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(own)
        models = params.take(pa.array(rows))
        columns = {name: np.zeros(len(params)) for name in ("mean", "scale", "low", "high")}
        for name, column in columns.items():
            column[rows] = pc.struct_field(models, name).to_numpy(zero_copy_only=False)
        weights = np.zeros((len(params), n_weights(shape.width, shape.hidden)))
        weights[rows] = pc.list_flatten(pc.struct_field(models, "weights")).to_numpy().reshape(len(rows), -1)
        checkpoint = pc.struct_field(models, CHECKPOINT)
        as_of = np.zeros(len(params), np.int64)
        as_of[rows] = pc.struct_field(checkpoint, "as_of").to_numpy()
        values = pc.struct_field(checkpoint, "values")
        history = np.full((len(params), shape.width - 1), np.nan)
        lengths = pc.list_value_length(values).to_numpy()
        known = np.zeros(history.shape, np.bool_)
        # Right-aligned: the newest value comes last.
        known[rows] = np.arange(shape.width - 1) >= shape.width - 1 - lengths[:, np.newaxis]
        history[known] = pc.list_flatten(values).to_numpy()
        yield _Models(shape.width, shape.hidden, own, **columns, weights=weights, history=history, as_of=as_of)


@lru_cache(maxsize=64)
def _parameters(specification: str) -> MlpParameters:
    try:
        return MlpParameters.checked(json.loads(specification))
    except ValueError as exc:
        raise InvalidInputError(f"the detector `mlp` with {specification}: {exc}") from None


def network_of(params: Mapping[str, Any]) -> Network:
    """Return the network in one sensor's parameters."""
    flat = np.array([params["weights"]], np.float64)
    networks = stacked(flat, params["width"], params["hidden"])
    return Network(tuple(matrix[0] for matrix in networks.matrices), tuple(bias[0, 0] for bias in networks.biases))


def _checkpoint(series: Series, width: int, before: Sequence[float] = ()) -> dict[str, object]:
    """Return the checkpoint after one sensor's series, which follows the values ``before``."""
    values = [*before, *series.values.tolist()]
    return {"as_of": int(series.times[-1]), "values": values[max(len(values) - (width - 1), 0) :]}


def _too_few_labels(windows: int, labelled: int, anomalous: int) -> str:
    if not labelled:
        found = f"none of its {windows} windows has a label"
    else:
        found = f"of its {windows} windows {anomalous} are labelled anomalous and {labelled - anomalous} normal"
    return (
        f"{found}; mlp learns from both kinds: import labels with `sensorwatch labels import`, or judge alerts with "
        "`sensorwatch alerts feedback`"
    )
