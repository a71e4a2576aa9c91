"""What lists understand of OData: ``$filter``, ``$select``, ``maxresults`` and pages."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from local.batch.errors import ServiceError, bad_query

__all__ = ["Page", "keep", "paginate", "predicate"]

Predicate: TypeAlias = Callable[[Mapping[str, Any]], bool]
_Operand: TypeAlias = Callable[[Mapping[str, Any]], object]

_MAX_RESULTS = 1000
_MAX_NESTING = 50
_TOKEN = re.compile(
    r"""(?P<skip>\s+)
      | (?P<date>[Dd]ate[Tt]ime'[^']*')
      | (?P<text>'(?:[^']|'')*')
      | (?P<number>-?\d+(?:\.\d+)?(?![\w-]))
      | (?P<name>[A-Za-z_]\w*(?:/\w+)*)
      | (?P<symbol>[(),])""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


class Page(NamedTuple):
    """One page of a list; ``next_after`` is the sequence number after which the next one starts."""

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
        What the filter asks for.
    select, max_results, after
        The query's ``$select``, ``maxresults`` (1-1000) and ``$skiptoken``, as they came.

    Raises
    ------
    ServiceError
        400: ``maxresults`` is out of range, or the token is not one of ours.
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
    """Return the properties that ``$select`` names (``id,executionInfo/result``), all of them without it."""
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
    return _Parser(text).predicate()


def _whole(name: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise bad_query(name, text, "expected a whole number") from None


class _Token(NamedTuple):
    kind: str
    text: str


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenize()
        self._next = 0
        self._nesting = 0

    def predicate(self) -> Predicate:
        parsed = self._or()
        if self._peek().kind != "end":
            raise self._unexpected("the end")
        return parsed

    def _or(self) -> Predicate:
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise self._error(f"nested more than {_MAX_NESTING} deep")
        terms = [self._and()]
        while self._accept("or"):
            terms.append(self._and())
        self._nesting -= 1
        return lambda document: any(term(document) for term in terms)

    def _and(self) -> Predicate:
        factors = [self._not()]
        while self._accept("and"):
            factors.append(self._not())
        return lambda document: all(factor(document) for factor in factors)

    def _not(self) -> Predicate:
        negated = False
        while self._accept("not"):
            negated = not negated
        factor = self._comparison()
        return (lambda document: not factor(document)) if negated else factor

    def _comparison(self) -> Predicate:
        if self._accept("("):
            inner = self._or()
            self._expect(")")
            return inner
        if self._peek().text.lower() == "startswith":
            return self._startswith()
        left = self._operand()
        name = self._take().text.lower()
        if name not in _COMPARISONS:
            raise self._error(f"expected one of {', '.join(_COMPARISONS)}, got `{name}`")
        right = self._operand()
        return lambda document: _compare(_COMPARISONS[name], left(document), right(document))

    def _startswith(self) -> Predicate:
        self._take()
        self._expect("(")
        text = self._operand()
        self._expect(",")
        start = self._operand()
        self._expect(")")
        return lambda document: str(text(document) or "").lower().startswith(str(start(document)).lower())

    def _operand(self) -> _Operand:
        token = self._take()
        match token.kind:
            case "text":
                value = token.text[1:-1].replace("''", "'")
                return lambda _document: value
            case "number":
                number = float(token.text)
                return lambda _document: number
            case "date":
                moment = self._moment(token.text[9:-1])
                return lambda _document: moment
            case "name":
                constants: dict[str, object] = {"null": None, "true": True, "false": False}
                if token.text in constants:
                    return lambda _document: constants[token.text]
                return lambda document: _property(document, token.text)
        raise self._error(f"expected a property or a value, got `{token.text}`")

    def _moment(self, text: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise self._error(f"expected a date and time in ISO 8601, got `{text}`") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _tokenize(self) -> list[_Token]:
        tokens = []
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._error(f"unexpected `{self._text[position]}` at character {position + 1}")
            if match.lastgroup != "skip":
                tokens.append(_Token(match.lastgroup or "", match.group()))
            position = match.end()
        return [*tokens, _Token("end", "the end")]

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek()
        if token.kind == "end":
            raise self._unexpected("more")
        self._next += 1
        return token

    def _accept(self, word: str) -> bool:
        found = self._peek().kind in {"name", "symbol"} and self._peek().text.lower() == word
        self._next += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            raise self._unexpected(f"`{symbol}`")

    def _unexpected(self, expected: str) -> ServiceError:
        return self._error(f"expected {expected}, got `{self._peek().text}`")

    def _error(self, reason: str) -> ServiceError:
        return bad_query("$filter", self._text, reason)


def _property(document: Mapping[str, Any], path: str) -> object:
    value: object = document
    for name in path.split("/"):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _compare(comparison: Callable[[Any, Any], bool], left: object, right: object) -> bool:
    if isinstance(left, str) and isinstance(right, datetime):
        left = datetime.fromisoformat(left)
    elif isinstance(left, datetime) and isinstance(right, str):
        right = datetime.fromisoformat(right)
    try:
        return bool(comparison(left, right))
    except TypeError:
        return False
