"""Consequences of a task's end for its job and for the tasks that depend on it. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from local.batch.records import ExitOptions, JobSpec, TaskSpec
    from local.batch.runner import Outcome

__all__ = ["exit_options", "job_action", "retries_left", "satisfies_dependents"]


def exit_options(task: TaskSpec, outcome: Outcome) -> ExitOptions:
    """Return the options for an outcome: by stage, else by exit code, else by range of exit codes, else the default."""
    conditions = task.exit_conditions
    if outcome.stage == "start":
        return conditions.pre_processing_error or conditions.default
    if outcome.stage == "upload":
        return conditions.file_upload_error or conditions.default
    for code in conditions.exit_codes:
        if code.code == outcome.exit_code:
            return code.exit_options
    for span in conditions.exit_code_ranges:
        if outcome.exit_code is not None and span.start <= outcome.exit_code <= span.end:
            return span.exit_options
    return conditions.default


def satisfies_dependents(task: TaskSpec, outcome: Outcome) -> bool:
    """Return whether tasks that depend on this one may run; by default only after success."""
    action = exit_options(task, outcome).dependency_action
    return outcome.failure is None if action is None else action == "satisfy"


def job_action(job: JobSpec, task: TaskSpec, outcome: Outcome) -> Literal["none", "disable", "terminate"]:
    """Return the action that an outcome requires on the job.

    Parameters
    ----------
    job
        The job; without ``performexitoptionsjobaction`` the action is ``none``.
    task
        The task that ended.
    outcome
        Its outcome.
    """
    if job.on_task_failure == "noaction":
        return "none"
    return exit_options(task, outcome).job_action or ("none" if outcome.failure is None else "terminate")


def retries_left(job: JobSpec, task: TaskSpec, retries: int, outcome: Outcome) -> bool:
    """Return whether a task runs again: after a non-zero exit code, as long as retries are left.

    Parameters
    ----------
    job, task
        Their retry limits; the task's wins, -1 is unlimited.
    retries
        Number of retries so far.
    outcome
        Outcome of the last run.
    """
    if outcome.failure is None or outcome.failure.code != "FailureExitCode":
        return False
    limit = task.constraints.max_task_retry_count
    limit = job.constraints.max_task_retry_count if limit is None else limit
    return limit < 0 or retries < limit
