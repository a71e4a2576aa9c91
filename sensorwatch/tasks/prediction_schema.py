"""Columns of predictions, which scoring writes to prediction files and publishing reads.

============== ======== ================================================================================================
Column         Type     Meaning
============== ======== ================================================================================================
sensor_id      int64
device         string
tag            string
ts             int64    End of the window, in seconds since 1970-01-01T00:00:00Z.
value          double   Mean of the window's readings.
prediction     int8     1 normal, -1 anomalous, as ``predict`` of scikit-learn's outlier detectors returns it.
score          double   0-100; 50 or more is anomalous.
severity       string   ``normal``, ``low``, ``medium``, ``high`` or ``critical``.
expected_low   double   Lowest and highest normal value; null if the detector has none.
expected_high  double
model_version  string   Model version in which the sensor's model first appeared.
rescored       bool     True if the window changed after an earlier scoring, whose anomaly may have to be withdrawn.
training_start int64    The model was trained on windows with ``training_start < end <= training_end``, in seconds as
training_end   int64    ``ts``; null if not known.
expected_value double   Expected value; null if the detector has none.
explanation    string   Explanation of an anomalous window: an :class:`~sensorwatch.detectors.explanation.Explanation`
                        as JSON (:mod:`sensorwatch.alerts.explanation_text`); null for a normal window.
warming        bool     True if the model is the fallback of a cold start, which raises no alerts. Null means false.
============== ======== ================================================================================================

Older files lack the columns from ``training_start`` on; in a table that was read from such a file they are null.
Strings may be dictionary-encoded in memory, because a table contains few different ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ANOMALOUS", "NORMAL", "OPTIONAL", "prediction_schema"]

NORMAL = 1
ANOMALOUS = -1

OPTIONAL = ("training_start", "training_end", "expected_value", "explanation", "warming")
"""Columns that a file may lack. They are read as null then."""


def prediction_schema() -> pa.Schema:
    """Return the schema. pyarrow is loaded here, so that importing this module stays cheap."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("sensor_id", pa.int64(), nullable=False),
            pa.field("device", pa.string(), nullable=False),
            pa.field("tag", pa.string(), nullable=False),
            pa.field("ts", pa.int64(), nullable=False),
            pa.field("value", pa.float64(), nullable=False),
            pa.field("prediction", pa.int8(), nullable=False),
            pa.field("score", pa.float64(), nullable=False),
            pa.field("severity", pa.string(), nullable=False),
            pa.field("expected_low", pa.float64()),
            pa.field("expected_high", pa.float64()),
            pa.field("model_version", pa.string(), nullable=False),
            pa.field("rescored", pa.bool_(), nullable=False),
            pa.field("training_start", pa.int64()),
            pa.field("training_end", pa.int64()),
            pa.field("expected_value", pa.float64()),
            pa.field("explanation", pa.string()),
            pa.field("warming", pa.bool_()),
        ]
    )
