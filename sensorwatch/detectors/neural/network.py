"""Small neural networks of many sensors, trained one at a time and applied all at once.

A network takes the last ``width`` standardised values of a sensor through hidden layers of rectified linear units and
returns the log-odds ``z`` of the newest value being anomalous. The probabilities of the two classes, normal and
anomalous, are the soft-max of ``(-z/2, z/2)``; for two classes, this is the logistic function that scikit-learn uses.

All networks of one shape are applied by one ONNX graph in onnxruntime, whose inputs include the weights, with the
sensors as first axis. A session per sensor would take longer to open than its windows take to score. The same graph
with the weights of one sensor as constants is the exported model of that sensor.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sensorwatch.detectors.external.export import IR_VERSION, ONNX_MISSING, OPSET
from sensorwatch.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["Network", "log_odds", "n_weights", "network_as_onnx", "onnx_problem", "stacked", "train_network"]

_ITERATIONS = 50
"""Iterations of L-BFGS: more of them improve the fit to training windows, but not to later windows."""

_PENALTY = 3.0
"""Penalty on the squares of the weights (scikit-learn's ``alpha``, whose default of 0.0001 overfits few labels)."""

_SEED = 0


class Network(NamedTuple):
    """Weights of one network.

    Attributes
    ----------
    matrices
        Matrix of each layer, shape ``(inputs, outputs)``; the last layer has one output.
    biases
        Bias of each layer, shape ``(outputs,)``.
    """

    matrices: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def flat(self) -> Floats:
        """Return all weights as one array, layer by layer; in each layer the matrix, row by row, then the bias."""
        layers = zip(self.matrices, self.biases, strict=True)
        return np.concatenate([np.concatenate((matrix.ravel(), bias)) for matrix, bias in layers])


def _shapes(width: int, hidden: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise((width, *hidden, 1)))


def stacked(flat: Floats, width: int, hidden: Sequence[int]) -> Network:
    """Return networks with the sensors as leading axis.

    Parameters
    ----------
    flat
        Rows of :meth:`Network.flat`, shape ``(n_sensors, n_weights)``.
    width
        Number of values that a network takes.
    hidden
        Sizes of its hidden layers.
    """
    matrices, biases, first = [], [], 0
    for inputs, outputs in _shapes(width, hidden):
        matrices.append(flat[:, first : first + inputs * outputs].reshape(-1, inputs, outputs))
        first += inputs * outputs
        biases.append(flat[:, None, first : first + outputs])
        first += outputs
    return Network(tuple(matrices), tuple(biases))


def n_weights(width: int, hidden: Sequence[int]) -> int:
    """Return the number of weights of a network of this shape."""
    return sum((inputs + 1) * outputs for inputs, outputs in _shapes(width, hidden))


def train_network(windows: Floats, anomalous: npt.NDArray[np.bool_], hidden: Sequence[int]) -> Network:
    """Return a network fitted to labelled windows; equal windows give equal networks.

    Parameters
    ----------
    windows
        Standardised lagged values, shape ``(n_windows, width)``.
    anomalous
        Labels, shape ``(n_windows,)``; both kinds occur.
    hidden
        Sizes of the hidden layers.
    """
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier(hidden, solver="lbfgs", alpha=_PENALTY, max_iter=_ITERATIONS, random_state=_SEED)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Stopping before convergence is intended.
        warnings.simplefilter("ignore")
        classifier.fit(windows, anomalous)
    return Network(tuple(classifier.coefs_), tuple(classifier.intercepts_))


def log_odds(flat: Floats, windows: Floats, hidden: Sequence[int]) -> Floats:
    """Return the log-odds of windows of several sensors, shape ``(n_sensors, n_windows)``.

    Parameters
    ----------
    flat
        Rows of :meth:`Network.flat`, shape ``(n_sensors, n_weights)``.
    windows
        Standardised lagged values, shape ``(n_sensors, n_windows, width)``.
    hidden
        Sizes of the hidden layers.

    Raises
    ------
    SettingsError
        The packages that ONNX needs are not installed.
    """
    networks = stacked(flat, windows.shape[2], hidden)
    inputs = {"standardised": windows}
    for layer, (matrix, bias) in enumerate(zip(networks.matrices, networks.biases, strict=True)):
        inputs[f"matrix_{layer}"], inputs[f"bias_{layer}"] = np.ascontiguousarray(matrix), np.ascontiguousarray(bias)
    (found,) = _session(len(hidden)).run(["log_odds"], inputs)
    return np.asarray(found, np.float64)[:, :, 0]


def onnx_problem() -> str | None:
    """Return which package for applying networks is missing, None if all are installed."""
    try:
        import onnx
        import onnxruntime
    except ImportError as exc:
        return f"{exc.name} {ONNX_MISSING}"
    del onnx, onnxruntime
    return None


@lru_cache(maxsize=8)
def _session(hidden_layers: int) -> Any:
    if problem := onnx_problem():
        raise SettingsError(problem)
    import onnxruntime
    from onnx import TensorProto, helper

    names = [f"{kind}_{layer}" for layer in range(hidden_layers + 1) for kind in ("matrix", "bias")]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, None, None]) for name in ("standardised", *names)
    ]
    graph = helper.make_graph(
        _layers(hidden_layers),
        "sensorwatch",
        inputs,
        [helper.make_tensor_value_info("log_odds", TensorProto.DOUBLE, [None, None, 1])],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(_model(graph), options, providers=["CPUExecutionProvider"])


def network_as_onnx(network: Network, mean: float, scale: float, low: float, high: float) -> bytes:
    """Return one sensor's network as an ONNX model, including standardisation.

    The input is ``values``, float64 of shape ``(n, width)``: lagged values, oldest first. The outputs are ``log_odds``,
    shape ``(n, 1)``, and ``probabilities`` of normal and anomalous, shape ``(n, 2)``.

    Parameters
    ----------
    network
        Weights of the network.
    mean, scale
        The standardised value is ``(value - mean) / scale``.
    low, high
        Range to which values are clipped first.

    Raises
    ------
    SettingsError
        The packages that ONNX needs are not installed.
    """
    if problem := onnx_problem():
        raise SettingsError(problem)
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, value: float | Floats) -> Any:
        return numpy_helper.from_array(np.ascontiguousarray(value, np.float64), name)

    layers = list(enumerate(zip(network.matrices, network.biases, strict=True)))
    numbers = {"low": low, "high": high, "mean": mean, "scale": scale}
    constants = [constant(name, value) for name, value in numbers.items()]
    constants.append(constant("halves", np.array([[-0.5, 0.5]])))
    constants += [constant(f"matrix_{layer}", matrix) for layer, (matrix, _) in layers]
    constants += [constant(f"bias_{layer}", bias) for layer, (_, bias) in layers]
    nodes = [
        helper.make_node("Clip", ["values", "low", "high"], ["within"]),
        helper.make_node("Sub", ["within", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["standardised"]),
        *_layers(len(layers) - 1),
        helper.make_node("MatMul", ["log_odds", "halves"], ["halved"]),
        helper.make_node("Softmax", ["halved"], ["probabilities"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "sensorwatch",
        [helper.make_tensor_value_info("values", TensorProto.DOUBLE, ["n", len(network.matrices[0])])],
        [
            helper.make_tensor_value_info("log_odds", TensorProto.DOUBLE, ["n", 1]),
            helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["n", 2]),
        ],
        constants,
    )
    return _model(graph)


def _layers(hidden_layers: int) -> list[Any]:
    from onnx import helper

    nodes, last = [], "standardised"
    for layer in range(hidden_layers + 1):
        output = "log_odds" if layer == hidden_layers else f"hidden_{layer}"
        before = output if layer == hidden_layers else f"sum_{layer}"
        nodes.append(helper.make_node("MatMul", [last, f"matrix_{layer}"], [f"product_{layer}"]))
        nodes.append(helper.make_node("Add", [f"product_{layer}", f"bias_{layer}"], [before]))
        if layer < hidden_layers:
            nodes.append(helper.make_node("Relu", [before], [output]))
        last = output
    return nodes


def _model(graph: Any) -> bytes:
    from onnx import helper

    model = helper.make_model(
        graph, producer_name="sensorwatch", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    return bytes(model.SerializeToString())
