"""Whether what a configuration asks for can be made, beyond what its text shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.detectors.external.sklearn_estimator import Estimator, make_estimator
from sensorwatch.errors import InvalidInputError, SettingsError

if TYPE_CHECKING:
    from sensorwatch.config.file import Configuration

__all__ = ["check_detectors"]


def check_detectors(configuration: Configuration, place: str) -> None:
    """Make every estimator that the rules name once.

    Parameters
    ----------
    configuration
        The configuration.
    place
        What to call its file in messages.

    Raises
    ------
    SettingsError
        One line per rule whose estimator can't be made.
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
