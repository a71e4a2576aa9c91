"""Export of one sensor's model as a file that gives the same scores in other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from sensorwatch.detectors.external.export import support_vectors_as_estimator, support_vectors_as_onnx
from sensorwatch.detectors.external.stored import estimator_to_bytes
from sensorwatch.detectors.neural.mlp import Mlp, network_of
from sensorwatch.detectors.neural.network import network_as_onnx
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.models.table import params_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["export_model", "model_row"]

_SUPPORT_VECTORS = ("ocsvm", "ocsvm_sklearn")
_FORMATS = {
    Mlp.name: (".onnx",),
    **dict.fromkeys(_SUPPORT_VECTORS, (".onnx", ".skops")),
    "onnx": (".onnx",),
    "sklearn": (".skops",),
}
"""Formats in which models of a detector can be exported, by the detector."""


def model_row(models: pa.Table, sensor_id: int) -> dict[str, Any]:
    """Return a sensor's row of a model table, with the parameters of its detector under ``params``.

    Raises
    ------
    NotFoundError
        The table has no row of the sensor.
    """
    found = models.filter(pc.equal(models["sensor_id"], sensor_id)).to_pylist()
    if not found:
        raise NotFoundError(f"sensor {sensor_id} has no model in this version; it was not trained yet")
    (row,) = found
    params = row.get(params_column(row["detector"]))
    return {name: value for name, value in row.items() if not name.startswith("params_")} | {"params": params}


def export_model(row: dict[str, Any], suffix: str) -> bytes:
    """Return a sensor's model as the content of a file.

    Parameters
    ----------
    row
        As :func:`model_row` returns it.
    suffix
        The format: ``.skops`` or ``.onnx``.

    Raises
    ------
    NotFoundError
        The sensor has no model.
    InvalidInputError
        Models of the detector can't be exported, or not in this format. The message names the detectors and formats
        that can be exported.
    SettingsError
        A package that writes the format is not installed.
    """
    detector, params = row["detector"], row["params"]
    if params is None:
        raise NotFoundError(f"the sensor has no model: it is {row['state']}, {row['reason']}")
    formats = _FORMATS.get(detector, ())
    if not formats:
        known = ", ".join(f"{name} ({' or '.join(_FORMATS[name])})" for name in sorted(_FORMATS))
        raise InvalidInputError(
            f"models of the detector `{detector}` can't be exported, expected one of {known}; to export this sensor's "
            "model, name one of these detectors for it in sensorwatch.yaml and train it again"
        )
    if suffix not in formats:
        raise InvalidInputError(
            f"models of the detector `{detector}` can be exported as {' or '.join(formats)} only, got {suffix}"
        )
    if detector in _SUPPORT_VECTORS:
        if suffix == ".onnx":
            return support_vectors_as_onnx(params)
        return estimator_to_bytes(support_vectors_as_estimator(params))
    if detector == Mlp.name:
        return network_as_onnx(
            network_of(params), params["mean"], params["scale"] or 1.0, params["low"], params["high"]
        )
    if params["model"] is None:
        of_one_value = {"mean": params["constant"], "scale": 0.0}
        return estimator_to_bytes(support_vectors_as_estimator(of_one_value))
    return bytes(params["model"])
