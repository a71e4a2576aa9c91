"""Signal files: the composed signal of each tag of a simulated fleet.

::

    tags:
      temperature:
        sum:                                    # the additive model: noise, a cycle, and a step after ten minutes
          - 20                                  # a number is a constant
          - sinusoid: {period_seconds: 3600, amplitude: 2}
          - normal: {deviation: 0.2}
          - step: {at: 600, after: 3}
      load:
        product:                                # the multiplicative model
          - sum: [5, {uniform: {low: -0.5, high: 0.5}}]
          - random_pulses: {every_seconds: 300, shortest_seconds: 5, longest_seconds: 20, height: 3, rest: 1}

A shape has the name of a class in :mod:`sensorwatch.simulation.shapes` and its fields. Times (``at``, ``begin``,
``end``) are absolute, or in seconds after the beginning of the simulated time.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from sensorwatch.config.file import parse_document
from sensorwatch.config.parameters import describe
from sensorwatch.errors import InvalidInputError, SettingsError
from sensorwatch.simulation.markov import MarkovSignal
from sensorwatch.simulation.moments import START
from sensorwatch.simulation.shapes import (
    Constant,
    Normal,
    Product,
    Pulse,
    Ramp,
    RandomPulses,
    Sinusoid,
    Step,
    Sum,
    Uniform,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from sensorwatch.simulation.shapes import Shape

__all__ = ["SHAPES", "read_signals"]

SHAPES: Mapping[str, TypeAdapter[Any]] = {
    "constant": TypeAdapter(Constant),
    "markov": TypeAdapter(MarkovSignal),
    "normal": TypeAdapter(Normal),
    "pulse": TypeAdapter(Pulse),
    "ramp": TypeAdapter(Ramp),
    "random_pulses": TypeAdapter(RandomPulses),
    "sinusoid": TypeAdapter(Sinusoid),
    "step": TypeAdapter(Step),
    "uniform": TypeAdapter(Uniform),
}
"""Basic shapes, which have no nested signals, by name."""

_COMBINATIONS: Mapping[str, type[Sum | Product]] = {"product": Product, "sum": Sum}
_DEEPEST = 20
_SHOWN_CHARACTERS = 120
_NAME_CHARACTERS = 64


def read_signals(path: Path, start: datetime) -> dict[str, Shape]:
    """Return the signals in a file by tag.

    Parameters
    ----------
    path
        A YAML file.
    start
        Beginning of the simulated time (aware).

    Raises
    ------
    InvalidInputError
        The file can't be read, or has errors. The message has one line for each error, with its place, what was
        expected and what was found.
    """
    try:
        document = parse_document(path.read_bytes(), str(path))
    except OSError as exc:
        raise InvalidInputError(f"{path}: can't be read: {exc.strerror}; expected a YAML file of signals") from None
    except SettingsError as exc:
        raise InvalidInputError(str(exc)) from None
    tags = document.get("tags") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(tags, dict) or not tags:
        raise InvalidInputError(
            f"{path}: expected `tags` with a signal for each tag, and nothing else; got `{_shown(document)}`"
        )
    reader = _Reader(str(path), start.timestamp())
    signals = {str(tag): reader.shape(f"tags.{tag}", given) for tag, given in tags.items()}
    reader.errors += [
        f"{path}: tags: expected names of 1 to {_NAME_CHARACTERS} characters, got `{tag}`"
        for tag in signals
        if not 0 < len(tag) <= _NAME_CHARACTERS
    ]
    if reader.errors:
        raise InvalidInputError("\n".join(reader.errors))
    return signals


class _Reader:
    """Reads the signals of a file and collects its errors."""

    def __init__(self, place: str, start: float) -> None:
        self.errors: list[str] = []
        self._place = place
        self._start = start

    def shape(self, where: str, given: object, depth: int = 0) -> Shape:
        """Return the signal in a value; a constant if the value has an error.

        Parameters
        ----------
        where
            Place of the value in the file, for error messages.
        given
            The value.
        depth
            Number of sums and products around the value.
        """
        if isinstance(given, str):
            # YAML reads a number with an exponent but without a point, such as 1e3, as text.
            with suppress(ValueError):
                given = float(given)
        if isinstance(given, int | float) and not isinstance(given, bool):
            return self._basic(where, "constant", {"value": given})
        names = ", ".join(sorted({*SHAPES, *_COMBINATIONS}))
        if not isinstance(given, dict) or len(given) != 1:
            return self._error(where, f"expected a number, or one of {names} with its fields", given)
        ((name, arguments),) = given.items()
        if name in _COMBINATIONS:
            inside = f"{where}.{name}"
            if not isinstance(arguments, list) or not arguments:
                return self._error(inside, "expected a list of signals", arguments)
            if depth == _DEEPEST:
                return self._error(inside, f"expected at most {_DEEPEST} nested sums and products", "more")
            parts = [self.shape(f"{inside}.{number}", part, depth + 1) for number, part in enumerate(arguments)]
            return _COMBINATIONS[name](tuple(parts))
        if name in SHAPES:
            return self._basic(f"{where}.{name}", name, {} if arguments is None else arguments)
        return self._error(where, f"expected one of {names}", name)

    def _basic(self, where: str, name: str, arguments: object) -> Shape:
        if not isinstance(arguments, dict):
            return self._error(where, "expected a mapping of its fields", arguments)
        try:
            shape: Shape = SHAPES[name].validate_python(arguments, context={START: self._start})
        except ValidationError as exc:
            self.errors += [describe(f"{self._place}: {where}", error) for error in exc.errors(include_url=False)]
        except InvalidInputError as exc:
            self.errors.append(f"{self._place}: {where}: {exc}")
        else:
            return shape
        return Constant(0)

    def _error(self, where: str, expected: str, got: object) -> Shape:
        self.errors.append(f"{self._place}: {where}: {expected}; got `{_shown(got)}`")
        return Constant(0)


def _shown(given: object) -> str:
    text = str(given)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
