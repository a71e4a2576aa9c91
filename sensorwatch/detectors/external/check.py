"""Checks of the estimators that a configuration names, beyond those of its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.detectors.external.sklearn_estimator import Estimator, make_estimator
from sensorwatch.errors import InvalidInputError, SettingsError

if TYPE_CHECKING:
    from sensorwatch.config.file import Configuration

__all__ = ["check_detectors"]


def check_detectors(configuration: Configuration, place: str) -> None:
    """Check that every estimator that the rules name can be made.

    Parameters
    ----------
    configuration
        The configuration.
    place
        Name of its file in messages.

    Raises
    ------
    SettingsError
        Estimators can't be made; the message has one line per rule.
    """
    problems = []
    for i, rule in enumerate(configuration.detectors):
        if rule.choice.detector == Estimator.name:
            try:
                make_estimator(rule.choice.specification, configuration.estimators)
            except InvalidInputError as exc:
                problems.append(f"{place}: detectors.{i}: {exc}")
    if problems:
        raise SettingsError("\n".join(problems))
