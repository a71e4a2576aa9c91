"""Parameters of detectors, validated, and validation errors as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, ValidationError

from sensorwatch.sensors.patterns import Section, ZoneName

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = [
    "PARAMETERS",
    "DetectorParameters",
    "EnsembleParameters",
    "MlpParameters",
    "SeasonParameters",
    "describe",
]

_SHOWN_CHARACTERS = 120


class DetectorParameters(Section):
    """Parameters of a detector."""

    @classmethod
    def checked(cls, parameters: object) -> Self:
        """Return validated parameters.

        Raises
        ------
        ValueError
            A parameter is unknown or out of its range; the text names it and what was expected.
        """
        try:
            return cls.model_validate(parameters)
        except ValidationError as exc:
            found = (describe("parameters", error) for error in exc.errors(include_url=False))
            raise ValueError("; ".join(found)) from None


class MlpParameters(DetectorParameters):
    """Parameters of the detector ``mlp``.

    Attributes
    ----------
    width
        Number of a sensor's latest windows that are the network's input.
    hidden
        Sizes of the hidden layers.
    """

    width: int = Field(default=3, ge=1, le=64)
    hidden: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(default=(16, 16), min_length=1, max_length=3)


class SeasonParameters(DetectorParameters):
    """Parameters of the detectors that know seasons, ``ar_season`` and ``shift``.

    Attributes
    ----------
    time_zone
        IANA name of the time zone whose days and weeks the sensor follows.
    """

    time_zone: ZoneName = "UTC"


class EnsembleParameters(DetectorParameters):
    """Parameters of ``auto`` and ``ensemble``.

    Attributes
    ----------
    new_normal_seconds
        Time after which a lasting change counts as normal, in seconds; None: the setting's.
    """

    new_normal_seconds: int | None = Field(default=None, ge=1)


PARAMETERS: dict[str, type[DetectorParameters]] = {
    "ar_season": SeasonParameters,
    "auto": EnsembleParameters,
    "ensemble": EnsembleParameters,
    "mlp": MlpParameters,
    "shift": SeasonParameters,
}
"""Parameters by detector; the others take none."""


def describe(place: str, error: ErrorDetails) -> str:
    """Return a validation error as one line: the place, the problem, and the value."""
    path = ".".join(str(part) for part in error["loc"])
    where = f"{place}: {path}" if path else place
    problem = error["msg"].removeprefix("Value error, ")
    if error["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        problem = f"unknown key `{error['loc'][-1]}`; correct or remove it"
        return f"{where}: {problem}"
    if not path and error["type"] == "model_type":
        problem = (
            "expected a mapping with the sections detectors, estimators, serving, alerts, maintenance and machines"
        )
    if error["type"] == "tuple_type":
        problem = "expected a list"
    if error["type"] == "value_error" and not path:
        return f"{where}: {problem}"
    got = str(error["input"])
    shown = got if len(got) <= _SHOWN_CHARACTERS else f"{got[:_SHOWN_CHARACTERS]}…"
    return f"{where}: {problem}; got `{shown}`"
