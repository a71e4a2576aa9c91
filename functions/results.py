"""Blob trigger of publishing: prediction files become anomalies and alerts."""

from __future__ import annotations

import logging
import os

import azure.functions as func

from sensorwatch.app import get_product

__all__ = ["blueprint"]

blueprint = func.Blueprint()
_log = logging.getLogger(__name__)

# Decorators run before the settings are validated. Any other value fails here, and the error names it.
_SOURCE = func.BlobSource(os.environ.get("BLOB_TRIGGER_SOURCE") or func.BlobSource.LOGS_AND_CONTAINER_SCAN.value)


@blueprint.function_name("publish")
@blueprint.blob_trigger(
    arg_name="blob", path="%PREDICTIONS_CONTAINER%/{name}", connection="AzureWebJobsStorage", source=_SOURCE
)
def publish(blob: func.InputStream) -> None:
    """Publish one prediction file."""
    container_and_name = blob.name or ""
    name = container_and_name.partition("/")[2]
    # The object has metadata, although the type that the worker requires does not declare it.
    traceparent = (getattr(blob, "metadata", None) or {}).get("traceparent")
    _log.info("%s: %s", name, get_product().publish(name, blob.read(), traceparent))
