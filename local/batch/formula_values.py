"""Values of autoscale formulas (numbers, texts, times, vectors), their operators, functions and methods."""

from __future__ import annotations

import math
import operator
import statistics
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from local.batch.samples import SAMPLE_PERIOD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "FUNCTIONS",
    "INTERVALS",
    "FormulaError",
    "Samples",
    "Value",
    "apply_operator",
    "call_function",
    "number_of",
    "read_samples",
    "read_timestamp",
    "truth_of",
]

Value: TypeAlias = float | str | datetime | timedelta | list[float]


class FormulaError(ValueError):
    """The formula can't be parsed or evaluated; the message says where and why."""


class Samples(Protocol):
    """Past values of a task variable."""

    def latest(self, count: int) -> list[float]:
        """Return up to ``count`` samples, newest first."""
        ...

    def within(self, interval: timedelta) -> list[float]:
        """Return the samples of the last interval."""
        ...

    def percent(self, interval: timedelta) -> float:
        """Return the percentage of the last interval that has samples (0-100)."""
        ...


INTERVALS: Mapping[str, timedelta] = {
    "TimeInterval_Zero": timedelta(),
    "TimeInterval_Microsecond": timedelta(microseconds=1),
    "TimeInterval_Millisecond": timedelta(milliseconds=1),
    "TimeInterval_Second": timedelta(seconds=1),
    "TimeInterval_Minute": timedelta(minutes=1),
    "TimeInterval_Hour": timedelta(hours=1),
    "TimeInterval_Day": timedelta(days=1),
    "TimeInterval_Week": timedelta(weeks=1),
    "TimeInterval_Year": timedelta(days=365),
}
"""Named lengths of time."""

_TIMESTAMP_PARTS: dict[str, Callable[[datetime], int]] = {
    "year": lambda at: at.year,
    "month": lambda at: at.month,
    "day": lambda at: at.day,
    "weekday": lambda at: at.isoweekday() % 7,  # Batch counts from Sunday, 0
    "hour": lambda at: at.hour,
    "minute": lambda at: at.minute,
    "second": lambda at: at.second,
}

_COMPARISONS: dict[str, Callable[[Any, Any], object]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Value]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
FUNCTIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "avg": statistics.fmean,
    "ceil": lambda values: math.ceil(_only(values)),
    "floor": lambda values: math.floor(_only(values)),
    "len": len,
    "max": max,
    "min": min,
    "round": lambda values: math.floor(_only(values) + 0.5),
    "std": statistics.stdev,
    "sum": math.fsum,
}
"""Functions of numbers; a vector among the arguments contributes all its elements."""


def _only(values: Sequence[float]) -> float:
    if len(values) != 1:
        raise FormulaError(f"expected one number, got {len(values)}")
    return values[0]


def number_of(value: Value) -> float:
    """Return a number, or the element of a vector with one element; raise FormulaError for anything else."""
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, list):
        return _only(value)
    raise FormulaError(f"expected a number, got `{value}`")


def truth_of(value: Value) -> bool:
    """Return whether a number is not zero."""
    return bool(number_of(value))


def _plain(value: Value) -> float | str | datetime | timedelta:
    return _only(value) if isinstance(value, list) else value


def apply_operator(symbol: str, left: Value, right: Value) -> Value:
    """Calculate with two values, or compare them.

    Parameters
    ----------
    symbol
        Operator.
    left, right
        Operands.

    Returns
    -------
    Value
        Of a comparison 1 or 0.

    Raises
    ------
    FormulaError
        The operands have the wrong types, or the divisor is zero.
    """
    try:
        if symbol in _COMPARISONS:
            return float(bool(_COMPARISONS[symbol](_plain(left), _plain(right))))
        result = _ARITHMETIC[symbol](_plain(left), _plain(right))
    except ZeroDivisionError:
        raise FormulaError("a number is divided by zero") from None
    except (TypeError, OverflowError):
        raise FormulaError(f"`{left}` {symbol} `{right}` can't be calculated") from None
    return float(result) if isinstance(result, int) else result


def call_function(name: str, arguments: Sequence[Value], now: datetime) -> Value:
    """Call a function of the language.

    Parameters
    ----------
    name
        Name of the function.
    arguments
        Evaluated arguments.
    now
        Result of ``time()``, in UTC.

    Raises
    ------
    FormulaError
        The function is unknown, or the arguments have the wrong number or types.
    """
    if name == "time":
        return _timestamp(arguments, now)
    if name == "val":
        return _element(arguments)
    if name == "percentile":
        return _percentile(arguments)
    values = [number for value in arguments for number in (value if isinstance(value, list) else [number_of(value)])]
    try:
        return float(FUNCTIONS[name](values))
    except KeyError:
        raise FormulaError(f"unknown function `{name}`; known are {', '.join(sorted(FUNCTIONS))}") from None
    except (ValueError, TypeError) as exc:
        raise FormulaError(f"{name}({', '.join(map(str, arguments))}): {exc}") from None


def _timestamp(arguments: Sequence[Value], now: datetime) -> datetime:
    if not arguments:
        return now
    try:
        at = datetime.fromisoformat(str(arguments[0]))
    except ValueError:
        raise FormulaError(f"time() expects an ISO 8601 text, got `{arguments[0]}`") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _element(arguments: Sequence[Value]) -> float:
    match arguments:
        case [list(vector), position] if 0 <= number_of(position) < len(vector):
            return vector[int(number_of(position))]
    raise FormulaError("val() expects a vector and a position in it")


def _percentile(arguments: Sequence[Value]) -> float:
    match arguments:
        case [list(vector), percent] if vector and 0 <= number_of(percent) <= 100:
            position = (len(vector) - 1) * number_of(percent) / 100
            low, high = sorted(vector)[math.floor(position)], sorted(vector)[math.ceil(position)]
            return low + (high - low) * (position - math.floor(position))
    raise FormulaError("percentile() expects a vector and a number from 0 to 100")


def read_samples(sampled: Mapping[str, Samples], variable: str, method: str, arguments: Sequence[Value]) -> Value:
    """Call a method of a task variable.

    Parameters
    ----------
    sampled
        Samples by variable.
    variable, method
        Variable and method (``$PendingTasks``, ``GetSample``).
    arguments
        Evaluated arguments.

    Raises
    ------
    FormulaError
        The variable or the method is unknown, the arguments have wrong types, or too few samples exist.
    """
    samples = sampled.get(variable)
    if samples is None:
        raise FormulaError(f"`{variable}` has no samples; variables with samples are {', '.join(sorted(sampled))}")
    match method, arguments:
        case "GetSamplePeriod", []:
            return SAMPLE_PERIOD
        case "GetSamplePercent", [timedelta() as interval]:
            return samples.percent(interval)
        case "GetSample", [timedelta() as interval]:
            return samples.within(interval)
        case "GetSample", [timedelta() as interval, percent]:
            if samples.percent(interval) < number_of(percent):
                raise FormulaError(f"{variable}: fewer than {percent} % of the samples of {interval} exist")
            return samples.within(interval)
        case "GetSample", [count]:
            return samples.latest(max(1, int(number_of(count))))
    raise FormulaError(f"{variable}.{method}() can't be called with {len(arguments)} arguments of these types")


def read_timestamp(moment: Value, part: str) -> float:
    """Return a part of a timestamp (``time().hour``); raise FormulaError for an unknown part or another type."""
    if not isinstance(moment, datetime) or part not in _TIMESTAMP_PARTS:
        raise FormulaError(f"`{moment}` has no part `.{part}`; a timestamp has {', '.join(_TIMESTAMP_PARTS)}")
    return float(_TIMESTAMP_PARTS[part](moment))
