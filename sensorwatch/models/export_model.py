"""One sensor's model as a file that scores the same elsewhere."""

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


def model_row(models: pa.Table, sensor_id: int) -> dict[str, Any]:
    """Return a sensor's row of a shard, with its detector's parameters under ``params``.

    Raises
    ------
    NotFoundError
        The shard has no row of it.
    """
    found = models.filter(pc.equal(models["sensor_id"], sensor_id)).to_pylist()
    if not found:
        raise NotFoundError(f"sensor {sensor_id} has no model in this version; training has not looked at it")
    (row,) = found
    params = row.get(params_column(row["detector"]))
    return {name: value for name, value in row.items() if not name.startswith("params_")} | {"params": params}


def export_model(row: dict[str, Any], suffix: str) -> bytes:
    """Return a sensor's model as a file.

    Parameters
    ----------
    row
        As :func:`model_row` gives it.
    suffix
        The format: ``.skops`` or ``.onnx``.

    Raises
    ------
    NotFoundError
        The sensor has no model.
    InvalidInputError
        The model has no such form; says which it has.
    SettingsError
        What writes the format is not installed.
    """
    detector, params = row["detector"], row["params"]
    if params is None:
        raise NotFoundError(f"the sensor has no model: it is {row['state']}, {row['reason']}")
    if detector in _SUPPORT_VECTORS and suffix == ".skops":
        return estimator_to_bytes(support_vectors_as_estimator(params))
    if detector in _SUPPORT_VECTORS and suffix == ".onnx":
        return support_vectors_as_onnx(params)
    if detector == Mlp.name and suffix == ".onnx":
        return network_as_onnx(
            network_of(params), params["mean"], params["scale"] or 1.0, params["low"], params["high"]
        )
    stored = {Mlp.name: ".onnx", "sklearn": ".skops", "onnx": ".onnx"}.get(detector)
    if stored != suffix:
        raise InvalidInputError(f"a model of the detector `{detector}` can be exported as {stored} only, got {suffix}")
    if params["model"] is None:
        of_one_value = {"mean": params["constant"], "scale": 0.0}
        return estimator_to_bytes(support_vectors_as_estimator(of_one_value))
    return bytes(params["model"])
