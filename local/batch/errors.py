"""Errors of the service, in the format and with the codes of Azure Batch."""

from __future__ import annotations

__all__ = ["ServiceError", "bad_property", "bad_query", "conflict", "not_found", "not_supported"]

_CONFLICTS = {
    "JobBeingDeleted": "The specified job has been marked for deletion and is being garbage collected.",
    "JobBeingTerminated": "The specified job is being terminated.",
    "JobCompleted": "The specified job is already in a completed state.",
    "JobDisabled": "The specified job is disabled.",
    "JobExists": "The specified job already exists.",
    "NodeNotReady": "The node that ran the task has left the pool, and the task's files with it.",
    "OperationNotValidOnPool": "The pool scales automatically: disable autoscale before resizing it.",
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
    """The refusal of a request.

    Parameters
    ----------
    status
        HTTP status.
    code
        Error code of Azure Batch.
    message
        Message for people.
    *details
        Further (key, value) pairs.
    """

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
    """Return the 404 of a missing resource; ``what`` is as in Batch's code, for example ``Job``."""
    return ServiceError(404, f"{what}NotFound", f"The specified {what.lower()} does not exist.")


def conflict(code: str) -> ServiceError:
    """Return the 409 with a code of Azure Batch."""
    return ServiceError(409, code, _CONFLICTS[code])


def bad_property(name: str, value: object, reason: str) -> ServiceError:
    """Return the 400 for a property of the request's body.

    Parameters
    ----------
    name, value
        The property.
    reason
        Accepted values (``expected 1 to 256``).
    """
    return ServiceError(
        400,
        "InvalidPropertyValue",
        "The value provided for one of the properties in the request body is invalid.",
        ("PropertyName", name),
        ("PropertyValue", str(value)),
        ("Reason", reason),
    )


def bad_query(name: str, value: str, reason: str) -> ServiceError:
    """Return the 400 for a query parameter.

    Parameters
    ----------
    name, value
        The parameter.
    reason
        Accepted values, or the cause of the refusal.
    """
    return ServiceError(
        400,
        "InvalidQueryParameterValue",
        "Value for one of the query parameters specified in the request URI is invalid.",
        ("QueryParameterName", name),
        ("QueryParameterValue", value),
        ("Reason", reason),
    )


def not_supported(name: str) -> ServiceError:
    """Return the 400 for a property that Azure Batch supports and this service does not."""
    return ServiceError(
        400,
        "UnsupportedProperty",
        "One of the properties specified in the request body is not supported by the local Batch service.",
        ("PropertyName", name),
    )
