"""Imported ONNX models, scored with onnxruntime, which is loaded on first use.

A model takes one column, shape ``(n, 1)``, of 32- or 64-bit floating-point numbers. Its decision function is the output
called ``decision``, ``decision_function``, ``scores`` or ``score``, or else its only output of floating-point numbers.
It has one number per row, which is negative for an anomalous value, as in scikit-learn and after conversion by
skl2onnx.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import Detector, Fitted
from sensorwatch.detectors.external.export import ONNX_MISSING
from sensorwatch.detectors.external.stored import first_line
from sensorwatch.errors import InvalidInputError, SettingsError

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]

__all__ = ["OnnxModel", "OnnxSession", "packed_onnx"]

_PARAMS = pa.struct([pa.field("specification", pa.string()), pa.field("model", pa.large_binary())])
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}
_OUTPUTS = ("decision", "decision_function", "scores", "score")
_ERRORS_ONLY = 3

_log = logging.getLogger(__name__)


class OnnxModel(Detector):
    """An imported ONNX model per sensor."""

    name = "onnx"
    threshold = 0.0

    def with_parameters(self, specification: str, policy: EstimatorPolicy) -> OnnxModel:
        """Return the detector as it is: parameters matter to fitting only, and it fits nothing."""
        del specification, policy
        return self

    def fit(self, series: Series) -> Fitted:
        """Return the same reason for every sensor: ONNX models are imported, not trained."""
        reason = "ONNX models can't be trained; import one with `sensorwatch models import`"
        return Fitted(pa.nulls(series.n_sensors, _PARAMS), (reason,) * series.n_sensors)

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return the negated decision function; see :meth:`~sensorwatch.detectors.base.Detector.score`.

        If a model can't be used, an error is logged, and its sensor has no scores.

        Raises
        ------
        SettingsError
            onnxruntime is not installed.
        """
        raw = np.full(len(series.values), np.nan)
        for i, row in enumerate(params.to_pylist()):
            place = slice(series.offsets[i], series.offsets[i + 1])
            if row is None or place.start == place.stop:
                continue
            try:
                raw[place] = OnnxSession(row["model"]).raw_scores(series.values[place])
            except InvalidInputError as exc:
                _log.error("a stored ONNX model can't be used, and its sensor is not scored: %s", exc)
        return raw


class OnnxSession:
    """A loaded ONNX model.

    Parameters
    ----------
    content
        The model file.

    Raises
    ------
    InvalidInputError
        The content is not an ONNX model, or its inputs or outputs are not as expected.
    SettingsError
        onnxruntime is not installed.
    """

    def __init__(self, content: bytes) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise SettingsError(f"onnxruntime {ONNX_MISSING}") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as exc:
            # The errors of the runtime have no common base class.
            raise InvalidInputError(f"expected an ONNX model, got {len(content)} bytes: {first_line(exc)}") from exc
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            found = ", ".join(f"{each.name}: {each.type}" for each in inputs)
            raise InvalidInputError(f"expected an ONNX model with one input of floating-point numbers, got {found}")
        self._input = inputs[0].name
        self._type = _TYPES[inputs[0].type]
        self._output = self._decision()

    def raw_scores(self, values: Floats) -> Floats:
        """Return raw scores, shape ``(n,)``; NaN for NaN, infinity for infinite values.

        Raises
        ------
        InvalidInputError
            The model fails, or does not return one number per row.
        """
        raw = np.full(len(values), np.nan)
        raw[np.isinf(values)] = np.inf
        known = np.isfinite(values)
        column = values[known].reshape(-1, 1).astype(self._type)
        try:
            (decision,) = self._session.run([self._output], {self._input: column})
        except Exception as exc:
            raise InvalidInputError(f"the ONNX model failed to score {len(column)} values: {first_line(exc)}") from exc
        decision = np.asarray(decision, np.float64)
        if decision.size != len(column):
            raise InvalidInputError(
                f"the ONNX model's output {self._output}: expected {len(column)} numbers, got shape {decision.shape}"
            )
        raw[known] = -decision.reshape(-1)
        return raw

    def _decision(self) -> str:
        outputs: dict[str, str] = {each.name: each.type for each in self._session.get_outputs() if each.type in _TYPES}
        candidates: tuple[str, ...] = (*_OUTPUTS, *(outputs if len(outputs) == 1 else ()))
        for name in candidates:
            if name in outputs:
                return name
        raise InvalidInputError(
            f"expected an ONNX model with an output called {', '.join(_OUTPUTS)}, or with one output of floating-point "
            f"numbers, got {', '.join(outputs) or 'none'}"
        )


def packed_onnx(specification: str, content: bytes) -> pa.StructArray:
    """Return an imported model as the parameters of one sensor."""
    return pa.array([{"specification": specification, "model": content}], _PARAMS)
