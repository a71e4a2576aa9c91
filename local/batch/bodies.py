"""Request bodies: parsing, and the checks of Azure Batch."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from local.batch.errors import ServiceError, bad_property, not_supported
from local.batch.pools import parse_formula
from local.batch.records import JobSpec, PoolSpec, TaskSpec

__all__ = ["job_spec", "parse_body", "pool_spec", "scaling_interval", "task_spec"]

_Spec = TypeVar("_Spec", PoolSpec, JobSpec, TaskSpec)

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRETS = frozenset({"accountKey", "password", "sasKey", "sshPrivateKey"})
_UNSUPPORTED = {
    PoolSpec: ("applicationPackageReferences", "mountConfiguration", "startTask"),
    JobSpec: ("jobManagerTask", "jobPreparationTask", "jobReleaseTask"),
    TaskSpec: ("applicationPackageReferences", "multiInstanceSettings", "resourceFiles"),
}
_SHORTEST_INTERVAL = timedelta(minutes=5)
_LONGEST_INTERVAL = timedelta(hours=168)


def parse_body(body: bytes) -> dict[str, Any]:
    """Parse a body, which must be a JSON object.

    An empty body counts as ``{}``, a null as absent. Passwords and keys are removed, as the service does not need them
    and must not store them.
    """
    if not body.strip():
        return {}
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise _bad_body(str(exc)) from exc
    if not isinstance(document, dict):
        raise _bad_body("expected a JSON object")
    return {name: _cleaned(value) for name, value in document.items() if value is not None and name not in _SECRETS}


def pool_spec(document: dict[str, Any]) -> PoolSpec:
    """Check the document of a pool and return its spec."""
    spec = _convert(document, PoolSpec)
    if not 1 <= spec.task_slots_per_node <= 256:
        raise bad_property("taskSlotsPerNode", spec.task_slots_per_node, "expected 1 to 256")
    if spec.enable_auto_scale:
        if document.keys() & {"targetDedicatedNodes", "targetLowPriorityNodes"}:
            raise bad_property("enableAutoScale", True, "a pool has either node targets or an autoscale formula")
        parse_formula(spec.auto_scale_formula)
        scaling_interval(spec.auto_scale_evaluation_interval)
    for name in ("targetDedicatedNodes", "targetLowPriorityNodes"):
        if document.get(name, 0) < 0:
            raise bad_property(name, document[name], "expected 0 or more")
    return spec


def scaling_interval(interval: timedelta) -> timedelta:
    """Check the interval between evaluations of a formula, and return it."""
    if not _SHORTEST_INTERVAL <= interval <= _LONGEST_INTERVAL:
        raise bad_property("autoScaleEvaluationInterval", interval, "expected 5 minutes to 168 hours")
    return interval


def job_spec(document: dict[str, Any]) -> JobSpec:
    """Check the document of a job and return its spec."""
    spec = _convert(document, JobSpec)
    if not -1000 <= spec.priority <= 1000:
        raise bad_property("priority", spec.priority, "expected -1000 to 1000")
    if spec.max_parallel_tasks < 1 and spec.max_parallel_tasks != -1:
        raise bad_property("maxParallelTasks", spec.max_parallel_tasks, "expected 1 or more, or -1")
    _check_constraints(spec.constraints.max_wall_clock_time, spec.constraints.max_task_retry_count)
    return spec


def task_spec(document: dict[str, Any], job: JobSpec) -> TaskSpec:
    """Check the document of a task of a job and return its spec."""
    spec = _convert(document, TaskSpec)
    if not spec.command_line.strip():
        raise bad_property("commandLine", spec.command_line, "expected a command line")
    if spec.required_slots < 1:
        raise bad_property("requiredSlots", spec.required_slots, "expected 1 or more")
    _check_constraints(spec.constraints.max_wall_clock_time, spec.constraints.max_task_retry_count)
    if (spec.depends_on.task_ids or spec.depends_on.task_id_ranges) and not job.uses_task_dependencies:
        raise ServiceError(
            400,
            "TaskDependenciesNotSpecifiedOnJob",
            "A task was specified as depending on other tasks, but the job did not specify that it would use task "
            "dependencies.",
        )
    if job.on_task_failure == "noaction" and _job_actions(spec):
        raise bad_property("jobAction", _job_actions(spec)[0], "the job's onTaskFailure is noaction")
    return spec


def _convert(document: dict[str, Any], spec: type[_Spec]) -> _Spec:
    for name in _UNSUPPORTED[spec]:
        if document.get(name):
            raise not_supported(name)
    try:
        converted = msgspec.convert(document, spec)
    except msgspec.ValidationError as exc:
        raise _bad_body(str(exc)) from exc
    if not _ID.fullmatch(converted.id):
        raise bad_property("id", converted.id, "expected 1 to 64 letters, digits, hyphens and underscores")
    return converted


def _check_constraints(wall_clock: timedelta | None, retries: int | None) -> None:
    if wall_clock is not None and wall_clock <= timedelta():
        raise bad_property("maxWallClockTime", wall_clock, "expected a time above zero")
    if retries is not None and retries < -1:
        raise bad_property("maxTaskRetryCount", retries, "expected -1 or more")


def _job_actions(spec: TaskSpec) -> list[str]:
    conditions = spec.exit_conditions
    options = [
        *(code.exit_options for code in conditions.exit_codes),
        *(span.exit_options for span in conditions.exit_code_ranges),
        conditions.pre_processing_error,
        conditions.file_upload_error,
        conditions.default,
    ]
    return [option.job_action for option in options if option is not None and option.job_action is not None]


def _cleaned(value: object) -> object:
    if isinstance(value, dict):
        return {name: _cleaned(item) for name, item in value.items() if item is not None and name not in _SECRETS}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value


def _bad_body(reason: str) -> ServiceError:
    return ServiceError(
        400, "InvalidRequestBody", "The specified Request Body is not syntactically valid.", ("Reason", reason)
    )
