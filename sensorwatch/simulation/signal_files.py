"""Files of composed signals: what each tag of a simulated fleet reads.

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

A piece is one of those of :mod:`sensorwatch.simulation.shapes` by its name, with what it takes. A moment (``at``,
``begin``, ``end``) is a time, or a number of seconds after the simulated time begins.
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

__all__ = ["PIECES", "read_signals"]

PIECES: Mapping[str, TypeAdapter[Any]] = {
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
"""The pieces that have no parts, by their names."""

_MODELS: Mapping[str, type[Sum | Product]] = {"product": Product, "sum": Sum}
_DEEPEST = 20
_SHOWN_CHARACTERS = 120
_NAME_CHARACTERS = 64


def read_signals(path: Path, start: datetime) -> dict[str, Shape]:
    """Return the signals in a file by their tags.

    Parameters
    ----------
    path
        A YAML file.
    start
        When the simulated time begins (aware).

    Raises
    ------
    InvalidInputError
        The file can't be read, or has mistakes: a line for each, with its place, expected and got.
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
    reader.mistakes += [
        f"{path}: tags: expected names of 1 to {_NAME_CHARACTERS} characters, got `{tag}`"
        for tag in signals
        if not 0 < len(tag) <= _NAME_CHARACTERS
    ]
    if reader.mistakes:
        raise InvalidInputError("\n".join(reader.mistakes))
    return signals


class _Reader:
    """Makes signals of what a file holds, and collects its mistakes."""

    def __init__(self, place: str, start: float) -> None:
        self.mistakes: list[str] = []
        self._place = place
        self._start = start

    def shape(self, where: str, given: object, depth: int = 0) -> Shape:
        """Return the signal in a value; anything where that has a mistake."""
        if isinstance(given, str):
            # YAML takes a number without a point, such as 1e3, for text.
            with suppress(ValueError):
                given = float(given)
        if isinstance(given, int | float) and not isinstance(given, bool):
            return self._piece(where, "constant", {"value": given})
        names = ", ".join(sorted({*PIECES, *_MODELS}))
        if not isinstance(given, dict) or len(given) != 1:
            return self._mistake(where, f"expected a number, or one of {names} with what it takes", given)
        ((name, arguments),) = given.items()
        if name in _MODELS:
            inside = f"{where}.{name}"
            if not isinstance(arguments, list) or not arguments:
                return self._mistake(inside, "expected a list of pieces", arguments)
            if depth == _DEEPEST:
                return self._mistake(inside, f"expected at most {_DEEPEST} sums and products in one another", "more")
            parts = [self.shape(f"{inside}.{number}", part, depth + 1) for number, part in enumerate(arguments)]
            return _MODELS[name](tuple(parts))
        if name in PIECES:
            return self._piece(f"{where}.{name}", name, {} if arguments is None else arguments)
        return self._mistake(where, f"expected one of {names}", name)

    def _piece(self, where: str, name: str, arguments: object) -> Shape:
        if not isinstance(arguments, dict):
            return self._mistake(where, "expected a mapping of what it takes", arguments)
        try:
            piece: Shape = PIECES[name].validate_python(arguments, context={START: self._start})
        except ValidationError as exc:
            self.mistakes += [describe(f"{self._place}: {where}", error) for error in exc.errors(include_url=False)]
        except InvalidInputError as exc:
            self.mistakes.append(f"{self._place}: {where}: {exc}")
        else:
            return piece
        return Constant(0)

    def _mistake(self, where: str, expected: str, got: object) -> Shape:
        self.mistakes.append(f"{self._place}: {where}: {expected}; got `{_shown(got)}`")
        return Constant(0)


def _shown(given: object) -> str:
    text = str(given)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
