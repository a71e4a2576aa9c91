"""Parsing by a grammar, with messages that name the place of a syntax error."""

from __future__ import annotations

from typing import Any, TypeAlias

from lark import Lark, Tree, UnexpectedCharacters, UnexpectedToken
from lark.lexer import PatternStr

__all__ = ["Grammar", "GrammarError", "Node"]

# A lark.Tree. Its children are trees or tokens: the grammar decides which, so a type checker can't.
Node: TypeAlias = Any

_MAX_DEPTH = 50


class GrammarError(ValueError):
    """The text has a syntax error; the message says where and why."""


class Grammar:
    """A grammar in the notation of Lark; its first rule is ``start``."""

    def __init__(self, rules: str) -> None:
        self._lark = Lark(rules, parser="lalr")

    def parse(self, text: str) -> Node:
        """Return the syntax tree of a text.

        Raises
        ------
        GrammarError
            The text has a syntax error, or its tree is more than 50 levels deep.
        """
        try:
            tree = self._lark.parse(text)
        except UnexpectedCharacters as exc:
            raise GrammarError(f"unexpected `{exc.char}` at line {exc.line}, column {exc.column}") from None
        except UnexpectedToken as exc:
            found = "end" if exc.token.type == "$END" else f"`{exc.token}` at line {exc.line}, column {exc.column}"
            expected = sorted(self._describe(terminal) for terminal in exc.accepts or exc.expected)
            raise GrammarError(f"unexpected {found}; expected {' or '.join(expected)}") from None
        if _depth(tree) > _MAX_DEPTH:
            raise GrammarError(f"nested more than {_MAX_DEPTH} deep")
        return tree

    def _describe(self, terminal: str) -> str:
        if terminal == "$END":
            return "the end"
        pattern = self._lark.get_terminal(terminal).pattern
        return f"`{pattern.value}`" if isinstance(pattern, PatternStr) else terminal.lower()


def _depth(tree: Tree[Any]) -> int:
    # Level by level, as a recursive walk would itself fail on a tree that is too deep.
    depth = 0
    level = [tree]
    while level:
        level = [child for node in level for child in node.children if isinstance(child, Tree)]
        depth += 1
    return depth
