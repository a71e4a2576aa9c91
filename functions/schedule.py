"""Timer triggers: training, scoring, the sweep and housekeeping."""

from __future__ import annotations

import logging

import azure.functions as func

from sensorwatch.app import get_product

__all__ = ["blueprint"]

blueprint = func.Blueprint()
_log = logging.getLogger(__name__)


@blueprint.function_name("train")
@blueprint.timer_trigger(arg_name="timer", schedule="%TRAIN_SCHEDULE%", run_on_startup=False)
def train(timer: func.TimerRequest) -> None:
    """Submit the training that is due."""
    _log.info("train%s: %s", _late(timer), get_product().submit_due("train", past_due=timer.past_due))


@blueprint.function_name("score")
@blueprint.timer_trigger(arg_name="timer", schedule="%SCORE_SCHEDULE%", run_on_startup=False)
def score(timer: func.TimerRequest) -> None:
    """Submit the scoring that is due."""
    _log.info("score%s: %s", _late(timer), get_product().submit_due("score", past_due=timer.past_due))


@blueprint.function_name("maintenance")
@blueprint.timer_trigger(arg_name="timer", schedule="%MAINTENANCE_SCHEDULE%", run_on_startup=False)
def maintenance(timer: func.TimerRequest) -> None:
    """Submit the training and scoring of machines that are due."""
    due = "; ".join(str(submission) for submission in get_product().machines.submit_due(past_due=timer.past_due))
    _log.info("maintenance%s: %s", _late(timer), due)


@blueprint.function_name("sweep")
@blueprint.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%", run_on_startup=False)
def sweep(timer: func.TimerRequest) -> None:
    """Collect ended tasks, publish missed prediction files and send waiting notifications."""
    _log.info("sweep%s: %s", _late(timer), get_product().sweep())


@blueprint.function_name("housekeeping")
@blueprint.timer_trigger(arg_name="timer", schedule="%HOUSEKEEPING_SCHEDULE%", run_on_startup=False)
def housekeeping(timer: func.TimerRequest) -> None:
    """Delete old jobs from the pool, and old windows."""
    product = get_product()
    jobs, windows = len(product.delete_old_jobs()), product.delete_old_windows()
    _log.info("housekeeping%s: deleted %d jobs and %d windows", _late(timer), jobs, windows)


def _late(timer: func.TimerRequest) -> str:
    return " (past due)" if timer.past_due else ""
