"""Autoscale formulas: a parser and evaluator for the language of Azure Batch, without ``eval``.

Understood are assignments, ``? :``, ``|| && !``, comparisons, ``+ - * /``, numbers, texts, the functions in
:data:`~local.batch.formula_values.FUNCTIONS`, the ``TimeInterval_…`` constants, ``time()`` with the parts of a
timestamp, and on the task variables ``GetSample(count | interval[, percent])``, ``GetSamplePercent(interval)`` and
``GetSamplePeriod()``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias

from local.batch.formula_values import (
    INTERVALS,
    TIMESTAMP_PARTS,
    FormulaError,
    Samples,
    Value,
    apply_operator,
    call_function,
    number_of,
    read_samples,
    truth_of,
)

__all__ = ["Formula", "FormulaError", "parse"]


@dataclass
class _Scope:
    samples: Mapping[str, Samples]
    now: datetime
    variables: dict[str, Value] = field(default_factory=dict)


_Expression: TypeAlias = Callable[[_Scope], Value]

_MAX_LENGTH = 8192
_MAX_NESTING = 50
_WRITABLE = frozenset({"$TargetDedicatedNodes", "$TargetLowPriorityNodes", "$NodeDeallocationOption"})
_DEALLOCATIONS = frozenset({"requeue", "terminate", "taskcompletion", "retaineddata"})


class Formula:
    """A parsed formula."""

    def __init__(self, statements: Sequence[tuple[str, _Expression]]) -> None:
        self._statements = statements

    def evaluate(
        self, *, samples: Mapping[str, Samples], values: Mapping[str, float], now: datetime
    ) -> dict[str, Value]:
        """Run the statements in order.

        Parameters
        ----------
        samples
            The past of each task variable (``$PendingTasks``).
        values
            Variables that can be read as they stand (``$CurrentDedicatedNodes``, ``$TargetDedicatedNodes``).
        now
            What ``time()`` is, in UTC.

        Returns
        -------
        dict
            The variables that the formula assigned, in the order of their first assignment.

        Raises
        ------
        FormulaError
            A variable is unknown, types don't fit, or a number is divided by zero.
        """
        scope = _Scope(samples, now, dict(values))
        assigned: dict[str, Value] = {}
        for name, expression in self._statements:
            assigned[name] = scope.variables[name] = expression(scope)
        for name in _WRITABLE - {"$NodeDeallocationOption"} & assigned.keys():
            assigned[name] = max(0.0, float(int(number_of(assigned[name]))))
        option = assigned.get("$NodeDeallocationOption", "requeue")
        if option not in _DEALLOCATIONS:
            raise FormulaError(f"$NodeDeallocationOption must be one of {sorted(_DEALLOCATIONS)}, got `{option}`")
        return assigned


def parse(text: str) -> Formula:
    """Parse a formula.

    Raises
    ------
    FormulaError
        Its syntax is wrong; the text names the place.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> parse("$TargetDedicatedNodes = min(4, 2 + 3);").evaluate(samples={}, values={}, now=datetime.now(UTC))
    {'$TargetDedicatedNodes': 4.0}
    """
    if len(text) > _MAX_LENGTH:
        raise FormulaError(f"the formula has {len(text)} characters; at most {_MAX_LENGTH} are allowed")
    return _Parser(text).formula()


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)
      | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)
      | (?P<name>\$?[A-Za-z_]\w*)
      | (?P<text>"[^"\n]*"|'[^'\n]*')
      | (?P<symbol>\|\||&&|[=!<>]=|[-+*/<>=!?:;,.()])""",
    re.VERBOSE,
)
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/"))


class _Parser:
    """Recursive descent, one method a rule; expressions become closures."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._nesting = 0

    def formula(self) -> Formula:
        statements = []
        while self._peek().kind != "end":
            name = self._take("name").text
            if name.startswith("$") and name not in _WRITABLE:
                raise FormulaError(f"`{name}` can't be assigned; only {', '.join(sorted(_WRITABLE))} can")
            self._expect("=")
            statements.append((name, self._expression()))
            if self._peek().kind != "end":
                self._expect(";")
        if not statements:
            raise FormulaError("the formula is empty")
        return Formula(statements)

    def _expression(self) -> _Expression:
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise FormulaError(f"the formula is nested more than {_MAX_NESTING} deep")
        condition = self._binary(0)
        if self._accept("?"):
            yes = self._expression()
            self._expect(":")
            no = self._expression()
            self._nesting -= 1
            return lambda scope: yes(scope) if truth_of(condition(scope)) else no(scope)
        self._nesting -= 1
        return condition

    def _binary(self, level: int) -> _Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while (symbol := self._peek().text) in _LEVELS[level] and self._peek().kind == "symbol":
            self._next += 1
            left = _operation(symbol, left, self._binary(level + 1))
        return left

    def _unary(self) -> _Expression:
        signs = []
        while self._peek().kind == "symbol" and self._peek().text in {"!", "-"}:
            signs.append(self._take("symbol").text)
        operand = self._member()
        for sign in reversed(signs):
            operand = _negation(sign, operand)
        return operand

    def _member(self) -> _Expression:
        token = self._peek()
        value = self._primary()
        while self._accept("."):
            member = self._take("name").text
            if self._accept("("):
                value = _sampling(token.text, member, self._arguments())
            else:
                value = _timestamp_part(member, value)
        return value

    def _primary(self) -> _Expression:
        token = self._peek()
        self._next += 1
        match token.kind, token.text:
            case "number", text:
                number = float(text)
                return lambda _scope: number
            case "text", text:
                return lambda _scope: text[1:-1]
            case "symbol", "(":
                inner = self._expression()
                self._expect(")")
                return inner
            case "name", name:
                if self._accept("("):
                    arguments = self._arguments()
                    return lambda scope: call_function(name, [argument(scope) for argument in arguments], scope.now)
                return lambda scope: _lookup(name, scope)
        raise _unexpected(token, "a value")

    def _arguments(self) -> list[_Expression]:
        arguments: list[_Expression] = []
        while not self._accept(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._expression())
        return arguments

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _accept(self, symbol: str) -> bool:
        found = self._peek().kind == "symbol" and self._peek().text == symbol
        self._next += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            raise _unexpected(self._peek(), f"`{symbol}`")

    def _take(self, kind: str) -> _Token:
        token = self._peek()
        if token.kind != kind:
            raise _unexpected(token, f"a {kind}")
        self._next += 1
        return token


def _tokens(text: str) -> Sequence[_Token]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise FormulaError(f"unexpected `{text[position]}` at character {position + 1}")
        if match.lastgroup != "skip":
            tokens.append(_Token(match.lastgroup or "", match.group(), position))
        position = match.end()
    return [*tokens, _Token("end", "the end", position)]


def _unexpected(token: _Token, expected: str) -> FormulaError:
    return FormulaError(f"expected {expected} at character {token.position + 1}, got `{token.text}`")


def _operation(symbol: str, left: _Expression, right: _Expression) -> _Expression:
    if symbol == "&&":
        return lambda scope: float(truth_of(left(scope)) and truth_of(right(scope)))
    if symbol == "||":
        return lambda scope: float(truth_of(left(scope)) or truth_of(right(scope)))
    return lambda scope: apply_operator(symbol, left(scope), right(scope))


def _negation(sign: str, operand: _Expression) -> _Expression:
    if sign == "!":
        return lambda scope: float(not truth_of(operand(scope)))
    return lambda scope: apply_operator("*", -1.0, operand(scope))


def _sampling(variable: str, method: str, arguments: Sequence[_Expression]) -> _Expression:
    return lambda scope: read_samples(scope.samples, variable, method, [argument(scope) for argument in arguments])


def _timestamp_part(part: str, value: _Expression) -> _Expression:
    def read(scope: _Scope) -> Value:
        at = value(scope)
        if not isinstance(at, datetime) or part not in TIMESTAMP_PARTS:
            raise FormulaError(f"`.{part}` is not known of `{at}`")
        return float(TIMESTAMP_PARTS[part](at))

    return read


def _lookup(name: str, scope: _Scope) -> Value:
    if name in scope.variables:
        return scope.variables[name]
    if name in INTERVALS:
        return INTERVALS[name]
    if name in _DEALLOCATIONS:
        return name
    raise FormulaError(f"unknown variable `{name}`")
