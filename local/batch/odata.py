"""OData queries of lists: ``$filter``, ``$select``, ``maxresults`` and pages."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from local.batch.errors import bad_query
from local.batch.grammar import Grammar, Node

__all__ = ["Page", "keep", "paginate", "predicate"]

Predicate: TypeAlias = Callable[[Mapping[str, Any]], bool]

_MAX_RESULTS = 1000
# A rule with `?` leaves no node in the tree where it has a single child.
_FILTER = Grammar(r"""
    ?start: any
    ?any: all (_OR all)*
    ?all: negation (_AND negation)*
    ?negation: NOT* condition
    ?condition: "(" any ")" -> group
        | operand COMPARISON operand -> comparison
        | _STARTSWITH "(" operand "," operand ")" -> startswith
    ?operand: CONSTANT -> constant
        | NAME -> property
        | NUMBER -> number
        | TEXT -> text
        | DATE -> date

    _OR.1: /or\b/i
    _AND.1: /and\b/i
    NOT.1: /not\b/i
    _STARTSWITH.1: /startswith\b/i
    COMPARISON: /(eq|ne|gt|ge|lt|le)\b/i
    CONSTANT.1: /(null|true|false)\b(?!\/)/
    NAME: /[A-Za-z_]\w*(\/\w+)*/
    NUMBER: /-?\d+(\.\d+)?(?![\w-])/
    TEXT: /'([^']|'')*'/
    DATE.1: /datetime'[^']*'/i
    %ignore /\s+/
""")
_CONSTANTS = {"null": None, "true": True, "false": False}


class Page(NamedTuple):
    """One page of a list; ``next_after`` is the sequence number after which the next page starts."""

    documents: list[dict[str, Any]]
    next_after: int | None


def paginate(
    entries: Iterable[tuple[int, dict[str, Any]]],
    *,
    keep_if: Predicate | None = None,
    select: str | None = None,
    max_results: str | None = None,
    after: str | None = None,
) -> Page:
    """Return one page of a list.

    Parameters
    ----------
    entries
        (sequence number, document), in ascending order of the number.
    keep_if
        The parsed ``$filter``.
    select, max_results, after
        The query's ``$select``, ``maxresults`` (1-1000) and ``$skiptoken``, as received.

    Raises
    ------
    ServiceError
        400: ``maxresults`` is out of range, or ``$skiptoken`` is not a token of this service.
    """
    limit = _whole("maxresults", max_results, _MAX_RESULTS)
    if not 1 <= limit <= _MAX_RESULTS:
        raise bad_query("maxresults", str(limit), f"expected 1 to {_MAX_RESULTS}")
    start = _whole("$skiptoken", after, -1)
    documents: list[dict[str, Any]] = []
    last = start
    for sequence, document in entries:
        if sequence <= start or (keep_if is not None and not keep_if(document)):
            continue
        if len(documents) == limit:
            return Page(documents, last)
        documents.append(keep(document, select))
        last = sequence
    return Page(documents, None)


def keep(document: dict[str, Any], select: str | None) -> dict[str, Any]:
    """Return the properties that ``$select`` names (``id,executionInfo/result``), all without a ``$select``."""
    if not select:
        return document
    names = {name.strip().partition("/")[0] for name in select.split(",")}
    return {name: value for name, value in document.items() if name in names}


def predicate(text: str) -> Predicate:
    """Parse a ``$filter``: comparisons, ``startswith``, ``and``, ``or``, ``not``, parentheses.

    A property that a document does not have compares as ``null``.

    Raises
    ------
    ServiceError
        400: the filter can't be parsed.

    Examples
    --------
    >>> wanted = predicate("state eq 'completed' and executionInfo/exitCode gt 0")
    >>> wanted({"state": "completed", "executionInfo": {"exitCode": 3}})
    True
    """
    try:
        tree = _FILTER.parse(text)
        for date in tree.find_data("date"):
            _value(date, {})
    except ValueError as exc:
        raise bad_query("$filter", text, str(exc)) from None
    return lambda document: _holds(tree, document)


def _whole(name: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise bad_query(name, text, "expected a whole number") from None


def _holds(node: Node, document: Mapping[str, Any]) -> bool:
    match node.data, node.children:
        case "any", terms:
            return any(_holds(term, document) for term in terms)
        case "all", terms:
            return all(_holds(term, document) for term in terms)
        case "negation", [*negations, condition]:
            return _holds(condition, document) is (len(negations) % 2 == 0)
        case "startswith", [text, start]:
            value = _value(text, document) or ""
            return str(value).lower().startswith(str(_value(start, document)).lower())
        case "comparison", [left, comparison, right]:
            return _compare(comparison, _value(left, document), _value(right, document))
    return _holds(node.children[0], document)


def _compare(comparison: str, left: object, right: object) -> bool:
    try:
        if isinstance(left, str) and isinstance(right, datetime):
            left = _moment(left)
        elif isinstance(left, datetime) and isinstance(right, str):
            right = _moment(right)
        return bool(getattr(operator, comparison.lower())(left, right))
    except (TypeError, ValueError):
        return False


def _value(operand: Node, document: Mapping[str, Any]) -> object:
    [token] = operand.children
    match operand.data:
        case "constant":
            return _CONSTANTS[token]
        case "number":
            return float(token)
        case "text":
            return token[1:-1].replace("''", "'")
        case "date":
            return _moment(token[9:-1])
    value: object = document
    for name in token.split("/"):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
