from __future__ import annotations

from typing import Any, cast

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from sensorwatch.azure.blobs import blob_service, translate_blob_errors
from sensorwatch.errors import ConflictError, NotFoundError, SensorwatchError, SettingsError, TransientError


def answer(
    kind: type[HttpResponseError], status: int | None, code: str = "", message: str = "why"
) -> HttpResponseError:
    error = kind(message)
    error.status_code = status
    cast("Any", error).error_code = code
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answer(ResourceNotFoundError, 404), NotFoundError),
        (answer(ResourceExistsError, 409, "BlobAlreadyExists"), ConflictError),
        (answer(ResourceModifiedError, 412, "ConditionNotMet"), ConflictError),
        (answer(ResourceExistsError, 409, "ContainerBeingDeleted"), TransientError),
        (answer(ClientAuthenticationError, 401), SettingsError),
        (answer(HttpResponseError, 403, "AuthorizationPermissionMismatch"), SettingsError),
        (answer(HttpResponseError, 429), TransientError),
        (answer(HttpResponseError, 503, "ServerBusy"), TransientError),
        (answer(HttpResponseError, None), TransientError),
        (ServiceRequestError("connection refused"), TransientError),
        (ServiceResponseError("connection reset"), TransientError),
        (answer(HttpResponseError, 400, "InvalidResourceName"), SensorwatchError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_each_error_of_the_sdk_becomes_one_of_ours(error: AzureError, expected: type[SensorwatchError]) -> None:
    with pytest.raises(SensorwatchError) as caught, translate_blob_errors():
        raise error
    assert type(caught.value) is expected
    assert caught.value.__cause__ is error


def test_only_the_first_line_is_shown_and_never_a_signature() -> None:
    error = answer(HttpResponseError, 500, message="GET http://x/y?sv=1&sig=hunter2&se=2 failed\nRequestId:1")
    with pytest.raises(TransientError) as caught, translate_blob_errors():
        raise error
    assert "hunter2" not in str(caught.value)
    assert "sig=***&se=2 failed" in str(caught.value)
    assert "RequestId" not in str(caught.value)


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), translate_blob_errors():
        raise KeyError("x")


def test_the_account_is_named_by_connection_string_or_by_name() -> None:
    assert blob_service("UseDevelopmentStorage=true", None).url.startswith("http://127.0.0.1:10000/devstoreaccount1")
    assert blob_service(None, "fleet").url == "https://fleet.blob.core.windows.net/"


@pytest.mark.parametrize("connection", ["hunter2", "=;="])
def test_a_connection_string_that_cannot_be_used_is_not_shown(connection: str) -> None:
    with pytest.raises(SettingsError, match="AzureWebJobsStorage: expected a storage connection string") as caught:
        blob_service(connection, None)
    assert "hunter2" not in str(caught.value)


def test_a_missing_account_is_a_matter_of_settings() -> None:
    with pytest.raises(SettingsError, match="AzureWebJobsStorage: missing"):
        blob_service(None, None)
