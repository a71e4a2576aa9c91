"""Export of one sensor's model as a scikit-learn pipeline or as an ONNX graph.

Both have a decision function as in scikit-learn, which is negative for anomalous values. It equals the negated raw
score of the model within 1e-9. Raw scores of ``ocsvm`` up to 1e-9 are normal, so the decision function of a value on
the boundary may have either sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sensorwatch.detectors.svm.one_class_svm import GAMMA
from sensorwatch.detectors.windowing.summary import CONSTANT_TOLERANCE
from sensorwatch.errors import InvalidInputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["IR_VERSION", "ONNX_MISSING", "OPSET", "support_vectors_as_estimator", "support_vectors_as_onnx"]

ONNX_MISSING = "is not installed; install what ONNX models need with: pip install -r requirements-onnx.txt"

OPSET = 17
IR_VERSION = 9
"""Version of ONNX 1.14, which all later runtimes support."""

_STEP_GAMMA = 1e4
"""So large that the kernel of values in different bins is exactly 0."""


def support_vectors_as_estimator(params: Mapping[str, Any]) -> Any:
    """Return a pipeline whose ``decision_function`` is that of a one-class SVM.

    A constant sensor has no SVM. Its pipeline assigns values to one of three bins (below, equal and above), and only
    equal values are normal.

    Parameters
    ----------
    params
        Parameters of one sensor, as ``ocsvm`` stores them.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

    if params["scale"] == 0:
        lowest, highest = _constant_range(params["mean"])
        edges = np.array([-np.inf, lowest, np.nextafter(highest, np.inf), np.inf])
        bins = KBinsDiscretizer(n_bins=3, encode="ordinal", strategy="uniform", subsample=None)
        bins.fit(np.array([[0.0], [1.0]]))
        bins.bin_edges_[0] = edges
        return make_pipeline(bins, _svm(np.array([1.0]), np.array([1.0]), -1.0, _STEP_GAMMA))
    scaler = StandardScaler().fit(np.array([[0.0], [1.0]]))
    scaler.mean_ = np.array([params["mean"]])
    scaler.scale_ = np.array([params["scale"]])
    scaler.var_ = scaler.scale_**2
    vectors, weights = np.array(params["support_vectors"]), np.array(params["dual_coefficients"])
    return make_pipeline(scaler, _svm(vectors, weights, params["intercept"], GAMMA))


def support_vectors_as_onnx(params: Mapping[str, Any]) -> bytes:
    """Return an ONNX model of a one-class SVM: input ``value`` and output ``decision``, float64, shape ``(n, 1)``.

    Raises
    ------
    SettingsError
        The package onnx is not installed.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise SettingsError(f"onnx {ONNX_MISSING}") from None

    def constant(name: str, value: float | Floats) -> Any:
        return numpy_helper.from_array(np.asarray(value, np.float64), name)

    if params["scale"] == 0:
        lowest, highest = _constant_range(params["mean"])
        constants = [
            constant("lowest", lowest),
            constant("highest", highest),
            constant("normal", 0.0),
            constant("anomalous", -1.0),
        ]
        nodes = [
            helper.make_node("GreaterOrEqual", ["value", "lowest"], ["not_below"]),
            helper.make_node("LessOrEqual", ["value", "highest"], ["not_above"]),
            helper.make_node("And", ["not_below", "not_above"], ["equal"]),
            helper.make_node("Where", ["equal", "normal", "anomalous"], ["decision"]),
        ]
    else:
        constants = [
            constant("mean", params["mean"]),
            constant("scale", params["scale"]),
            constant("vectors", np.array(params["support_vectors"])[np.newaxis, :]),
            constant("weights", np.array(params["dual_coefficients"])[:, np.newaxis]),
            constant("intercept", params["intercept"]),
            constant("minus_gamma", -GAMMA),
        ]
        nodes = [
            helper.make_node("Sub", ["value", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "scale"], ["standardised"]),
            helper.make_node("Sub", ["standardised", "vectors"], ["distance"]),
            helper.make_node("Mul", ["distance", "distance"], ["squared"]),
            helper.make_node("Mul", ["squared", "minus_gamma"], ["exponent"]),
            helper.make_node("Exp", ["exponent"], ["kernel"]),
            helper.make_node("MatMul", ["kernel", "weights"], ["weighted"]),
            helper.make_node("Add", ["weighted", "intercept"], ["decision"]),
        ]
    graph = helper.make_graph(
        nodes,
        "sensorwatch",
        [helper.make_tensor_value_info("value", TensorProto.DOUBLE, ["n", 1])],
        [helper.make_tensor_value_info("decision", TensorProto.DOUBLE, ["n", 1])],
        constants,
    )
    model = helper.make_model(
        graph, producer_name="sensorwatch", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    return bytes(model.SerializeToString())


def _constant_range(value: float) -> tuple[float, float]:
    slack = CONSTANT_TOLERANCE * abs(value)
    return value - slack, value + slack


def _svm(vectors: Floats, weights: Floats, intercept: float, gamma: float) -> Any:
    from sklearn.svm import OneClassSVM

    if not len(vectors):
        raise InvalidInputError("the model has no support vectors and can't be exported")
    svm = OneClassSVM(kernel="rbf", gamma=gamma).fit(np.array([[0.0], [1.0]]))
    svm.support_ = np.arange(len(vectors), dtype=np.int32)
    svm.support_vectors_ = np.ascontiguousarray(vectors, np.float64).reshape(-1, 1)
    svm._n_support = np.full_like(svm._n_support, len(vectors))
    svm.dual_coef_ = svm._dual_coef_ = np.ascontiguousarray(weights, np.float64).reshape(1, -1)
    svm.intercept_ = svm._intercept_ = np.array([intercept])
    svm.offset_ = -svm.intercept_
    svm.shape_fit_ = (len(vectors), 1)
    return svm
