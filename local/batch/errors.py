"""The service's errors, in the shape and with the codes of Azure Batch."""

from __future__ import annotations

__all__ = ["ServiceError", "bad_property", "bad_query", "conflict", "not_found", "not_supported"]

_CONFLICTS = {
    "JobBeingDeleted": "The specified job has been marked for deletion and is being garbage collected.",
    "JobBeingTerminated": "The specified job is being terminated.",
    "JobCompleted": "The specified job is already in a completed state.",
    "JobDisabled": "The specified job is disabled.",
    "JobExists": "The specified job already exists.",
    "NodeNotReady": "The node that ran the task has left the pool, and the task's files with it.",
    "OperationNotValidOnPool": "The pool scales automatically: disable autoscale before resizing it by hand.",
    "PoolBeingDeleted": "The specified pool has been marked for deletion and is being reclaimed.",
    "PoolExists": "The specified pool already exists.",
    "PoolNotAutoScaled": "The pool does not scale automatically: enable autoscale first.",
    "TaskCompleted": "The specified task is already in a completed state.",
    "TaskExists": "The specified task already exists.",
    "TaskFilesCleanedup": "The files of the specified task are cleaned up.",
    "TaskNotCompleted": "The specified task is not in a completed state.",
    "TaskSucceeded": "The specified task has already completed successfully.",
}


class ServiceError(Exception):
    """What a request is refused with: HTTP status, Batch's error code, a message, and details as (key, value)."""

    def __init__(self, status: int, code: str, message: str, *details: tuple[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def document(self) -> dict[str, object]:
        """Return the error as Batch's JSON document."""
        document: dict[str, object] = {"code": self.code, "message": {"lang": "en-US", "value": self.message}}
        if self.details:
            document["values"] = [{"key": key, "value": value} for key, value in self.details]
        return document


def not_found(what: str) -> ServiceError:
    """Return the 404 for a pool, job, task, node or file (``what`` as in Batch's code: ``Job``)."""
    return ServiceError(404, f"{what}NotFound", f"The specified {what.lower()} does not exist.")


def conflict(code: str) -> ServiceError:
    """Return the 409 with one of Batch's codes."""
    return ServiceError(409, code, _CONFLICTS[code])


def bad_property(name: str, value: object, reason: str) -> ServiceError:
    """Return the 400 for a property of the request's body."""
    return ServiceError(
        400,
        "InvalidPropertyValue",
        "The value provided for one of the properties in the request body is invalid.",
        ("PropertyName", name),
        ("PropertyValue", str(value)),
        ("Reason", reason),
    )


def bad_query(name: str, value: str, reason: str) -> ServiceError:
    """Return the 400 for a query parameter."""
    return ServiceError(
        400,
        "InvalidQueryParameterValue",
        "Value for one of the query parameters specified in the request URI is invalid.",
        ("QueryParameterName", name),
        ("QueryParameterValue", value),
        ("Reason", reason),
    )


def not_supported(name: str) -> ServiceError:
    """Return the 400 for a property that Azure Batch knows and this service does not."""
    return ServiceError(
        400,
        "UnsupportedProperty",
        "One of the properties specified in the request body is not supported by the local Batch service.",
        ("PropertyName", name),
    )
