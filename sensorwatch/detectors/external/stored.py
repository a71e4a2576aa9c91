"""Storage of fitted scikit-learn estimators as bytes.

The format is skops: a zip file with a description in JSON and arrays. Reading creates only types that skops trusts
itself or that the configuration lists; nothing is unpickled. skops writes memory addresses and the time into its files.
They are replaced by consecutive numbers and a fixed date, so that equal estimators give equal bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sensorwatch.config.detectors import EstimatorPolicy

__all__ = ["estimator_from_bytes", "estimator_to_bytes", "first_line"]

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_MAX_MODEL_BYTES = 256 * 1024 * 1024
"""In unpacked bytes: more than the model of one sensor needs, and less than the memory of a node."""


def first_line(exc: Exception) -> str:
    """Return the type and the first line of an exception from another library."""
    return f"{type(exc).__name__}: {(str(exc).splitlines() or [''])[0]}"


def estimator_to_bytes(estimator: Any) -> bytes:
    """Return a fitted estimator as skops; equal estimators give equal bytes.

    Raises
    ------
    InvalidInputError
        The estimator contains an object that skops can't store.
    """
    import skops.io

    try:
        content = skops.io.dumps(estimator)
    except Exception as exc:
        raise InvalidInputError(f"{type(estimator).__name__} can't be stored: {first_line(exc)}") from exc
    return _canonical(content)


def estimator_from_bytes(content: bytes, policy: EstimatorPolicy) -> Any:
    """Return the estimator in a skops file.

    Raises
    ------
    InvalidInputError
        The content is not a skops file, is too large, or contains types that are not trusted; the message lists them.
    """
    import skops.io

    with _reading(content), zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _MAX_MODEL_BYTES:
        raise InvalidInputError(f"a model of {size} bytes; expected at most {_MAX_MODEL_BYTES}")
    with _reading(content):
        foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - set(policy.trusted_types))
    if foreign:
        raise InvalidInputError(
            f"the model contains types that are not trusted: {', '.join(foreign)}; if you trust them and the "
            "origin of the model, list them in sensorwatch.yaml under estimators.trusted_types"
        )
    with _reading(content):
        return skops.io.loads(content, trusted=list(policy.trusted_types))


@contextmanager
def _reading(content: bytes) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        # A damaged file may cause any exception in its reader.
        raise InvalidInputError(f"expected a skops file, got {len(content)} bytes: {first_line(exc)}") from exc


def _canonical(content: bytes) -> bytes:
    """Return a skops file without the differences between equal estimators: addresses, file names and dates."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(sink, "w") as target:
        numbers: dict[int, int] = {}
        files: dict[str, str] = {}
        schema = _renumbered(json.loads(source.read("schema.json")), numbers, files)
        entries = [(new, source.read(old)) for old, new in files.items()]
        entries.append(("schema.json", json.dumps(schema, separators=(",", ":")).encode()))
        for name, data in entries:
            target.writestr(zipfile.ZipInfo(name, _ZIP_DATE), data, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


def _renumbered(node: Any, numbers: dict[int, int], files: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_renumbered(each, numbers, files) for each in node]
    if not isinstance(node, dict):
        return node
    renumbered: dict[str, Any] = {}
    for key, value in node.items():
        if key == "__id__" and isinstance(value, int):
            renumbered[key] = numbers.setdefault(value, len(numbers))
        elif key == "file" and isinstance(value, str) and "__loader__" in node:
            renumbered[key] = files.setdefault(value, f"{len(files)}{value[value.rfind('.') :]}")
        else:
            renumbered[key] = _renumbered(value, numbers, files)
    return renumbered
