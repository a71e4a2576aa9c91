"""Autoscale formulas of Azure Batch: a parser and an evaluator without ``eval``.

The grammar below is the supported part of the language. Functions, the parts of a timestamp and the methods of task
variables are in :mod:`local.batch.formula_values`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.batch.formula_values import (
    INTERVALS,
    FormulaError,
    Samples,
    Value,
    apply_operator,
    call_function,
    number_of,
    read_samples,
    read_timestamp,
    truth_of,
)
from local.batch.grammar import Grammar, GrammarError, Node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

__all__ = ["Formula", "FormulaError", "parse"]

_MAX_LENGTH = 8192
_WRITABLE = frozenset({"$TargetDedicatedNodes", "$TargetLowPriorityNodes", "$NodeDeallocationOption"})
_DEALLOCATIONS = frozenset({"requeue", "terminate", "taskcompletion", "retaineddata"})

# A rule with `?` leaves no node in the tree where it has a single child. A run of equal operators is one flat node, so
# that a long sum is not a deep tree.
_GRAMMAR = Grammar(r"""
    start: assignment (";" assignment)* ";"?
    assignment: NAME "=" expression
    ?expression: any | any "?" expression ":" expression -> choice
    ?any: all ("||" all)*
    ?all: equality ("&&" equality)*
    ?equality: order (EQUALITY order)*
    ?order: sum (ORDER sum)*
    ?sum: product (SUM product)*
    ?product: signed (PRODUCT signed)*
    ?signed: SIGN* member
    ?member: primary
        | member "." NAME -> part
        | member "." NAME "(" arguments ")" -> samples
    ?primary: "(" expression ")" -> group
        | NUMBER -> number
        | TEXT -> text
        | NAME -> variable
        | NAME "(" arguments ")" -> call
    arguments: (expression ("," expression)*)?

    EQUALITY: "==" | "!="
    ORDER: "<=" | "<" | ">=" | ">"
    SUM: "+" | "-"
    PRODUCT: "*" | "/"
    SIGN: "!" | "-"
    NUMBER: /\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+/
    NAME: /\$?[A-Za-z_]\w*/
    TEXT: /"[^"\n]*"|'[^'\n]*'/
    COMMENT: /\/\/[^\n]*/
    %ignore /\s+/
    %ignore COMMENT
""")


@dataclass
class _Scope:
    samples: Mapping[str, Samples]
    now: datetime
    variables: dict[str, Value]


class Formula:
    """A parsed formula: the expressions that it assigns to variables, in order."""

    def __init__(self, assignments: Sequence[tuple[str, Node]]) -> None:
        self._assignments = assignments

    def evaluate(
        self, *, samples: Mapping[str, Samples], values: Mapping[str, float], now: datetime
    ) -> dict[str, Value]:
        """Run the assignments in order.

        Parameters
        ----------
        samples
            Past values of each task variable (``$PendingTasks``).
        values
            Variables with a current value only (``$CurrentDedicatedNodes``, ``$TargetDedicatedNodes``).
        now
            Result of ``time()``, in UTC.

        Returns
        -------
        dict
            The assigned variables, in the order of their first assignment.

        Raises
        ------
        FormulaError
            A variable is unknown, types do not fit, or a number is divided by zero.
        """
        scope = _Scope(samples, now, dict(values))
        assigned: dict[str, Value] = {}
        for name, expression in self._assignments:
            assigned[name] = scope.variables[name] = _value(expression, scope)
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
        The formula has a syntax error (the message names the place), is longer than 8,192 characters, or assigns a
        variable that is read-only.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> parse("$TargetDedicatedNodes = min(4, 2 + 3);").evaluate(samples={}, values={}, now=datetime.now(UTC))
    {'$TargetDedicatedNodes': 4.0}
    """
    if len(text) > _MAX_LENGTH:
        raise FormulaError(f"the formula has {len(text)} characters; at most {_MAX_LENGTH} are allowed")
    try:
        tree = _GRAMMAR.parse(text)
    except GrammarError as exc:
        raise FormulaError(str(exc)) from None
    assignments = [(str(name), expression) for name, expression in (each.children for each in tree.children)]
    for name, _ in assignments:
        if name.startswith("$") and name not in _WRITABLE:
            raise FormulaError(f"`{name}` can't be assigned; only {', '.join(sorted(_WRITABLE))} can")
    return Formula(assignments)


def _value(node: Node, scope: _Scope) -> Value:
    match node.data, node.children:
        case "number", [text]:
            return float(text)
        case "text", [text]:
            return str(text[1:-1])
        case "group", [inner]:
            return _value(inner, scope)
        case "variable", [name]:
            return _variable(str(name), scope)
        case "call", [name, arguments]:
            return call_function(name, _values(arguments, scope), scope.now)
        case "samples", [variable, method, arguments]:
            name = str(variable.children[0]) if variable.data == "variable" else "(…)"
            return read_samples(scope.samples, name, method, _values(arguments, scope))
        case "part", [moment, part]:
            return read_timestamp(_value(moment, scope), part)
        case "choice", [condition, yes, no]:
            return _value(yes if truth_of(_value(condition, scope)) else no, scope)
        case "any", terms:
            return float(any(truth_of(_value(term, scope)) for term in terms))
        case "all", terms:
            return float(all(truth_of(_value(term, scope)) for term in terms))
        case "signed", [*signs, operand]:
            value = _value(operand, scope)
            for sign in reversed(signs):
                value = float(not truth_of(value)) if sign == "!" else apply_operator("*", -1.0, value)
            return value
    first, *rest = node.children  # equality, order, sum, product: operands with operators between them
    value = _value(first, scope)
    for symbol, operand in zip(rest[::2], rest[1::2], strict=True):
        value = apply_operator(symbol, value, _value(operand, scope))
    return value


def _values(arguments: Node, scope: _Scope) -> list[Value]:
    return [_value(argument, scope) for argument in arguments.children]


def _variable(name: str, scope: _Scope) -> Value:
    if name in scope.variables:
        return scope.variables[name]
    if name in INTERVALS:
        return INTERVALS[name]
    if name in _DEALLOCATIONS:
        return name
    raise FormulaError(f"unknown variable `{name}`")
