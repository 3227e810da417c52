"""Words of a Dockerfile: quotes, escapes and variables.

The rules are those of moby's BuildKit (``frontend/dockerfile/shell/lex.go``):
``$NAME``, ``${NAME}``, ``${NAME:-word}``, ``${NAME:+word}``, ``${NAME:?word}``
and their forms without a colon, which test for being set instead of non-empty.
Its pattern forms (``${NAME#...}``) are refused, since older builders lack them.
"""

from __future__ import annotations

import string
from collections.abc import Mapping

_NAME_START = frozenset(string.ascii_letters + "_")
_NAME = _NAME_START | frozenset(string.digits)
_SPECIAL = frozenset("@*#?-$!0")


class WordError(ValueError):
    """A word that BuildKit refuses as well: an open quote or brace, a bad substitution."""


def expand(word: str, variables: Mapping[str, str], *, escape: str = "\\") -> str:
    """Remove quotes and escapes from a word and put in variables; unset ones are empty.

    Raises:
        WordError: a quote or brace is not closed, or a substitution is malformed.
    """
    scanner = _Scanner(word, variables, escape)
    result = scanner.until("")
    if scanner.rest:
        raise WordError(f"unexpected '{scanner.rest[0]}' in {word}")
    return result


def split_words(text: str, *, escape: str = "\\") -> tuple[str, ...]:
    """Split at white space outside of quotes, keeping quotes and escapes as written."""
    words: list[str] = []
    current, quote, position = "", "", 0
    while position < len(text):
        char = text[position]
        if char == escape and quote != "'" and position + 1 < len(text):
            current += text[position : position + 2]
            position += 2
            continue
        if char.isspace() and not quote:
            if current:
                words.append(current)
            current = ""
        else:
            quote = _next_quote(quote, char)
            current += char
        position += 1
    return (*words, current) if current else tuple(words)


def _next_quote(quote: str, char: str) -> str:
    if quote:
        return "" if char == quote else quote
    return char if char in {'"', "'"} else ""


class _Scanner:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str) -> None:
        self.text = text
        self.variables = variables
        self.escape = escape
        self.position = 0

    @property
    def rest(self) -> str:
        return self.text[self.position :]

    def take(self) -> str:
        if self.position >= len(self.text):
            raise WordError(f"unexpected end of {self.text}")
        self.position += 1
        return self.text[self.position - 1]

    def until(self, stop: str) -> str:
        parts = []
        while self.rest and self.rest[0] != stop:
            char = self.take()
            if char == "'":
                parts.append(self._single())
            elif char == '"':
                parts.append(self._double())
            elif char == "$":
                parts.append(self._dollar())
            elif char == self.escape:
                parts.append(self.take() if self.rest else "")
            else:
                parts.append(char)
        return "".join(parts)

    def _single(self) -> str:
        end = self.text.find("'", self.position)
        if end < 0:
            raise WordError(f"a single quote is not closed in {self.text}")
        value = self.text[self.position : end]
        self.position = end + 1
        return value

    def _double(self) -> str:
        parts = []
        while (char := self._take_quoted()) != '"':
            if char == "$":
                parts.append(self._dollar())
            elif char == self.escape and self.rest[:1] in {'"', "$", self.escape}:
                parts.append(self.take())
            else:
                parts.append(char)
        return "".join(parts)

    def _take_quoted(self) -> str:
        if not self.rest:
            raise WordError(f"a double quote is not closed in {self.text}")
        return self.take()

    def _dollar(self) -> str:
        if not self.rest.startswith("{"):
            name = self._name()
            return self.variables.get(name, "") if name else "$"
        self.take()
        name = self._name()
        if not name:
            raise WordError(f"bad substitution in {self.text}")
        return self._braced(name)

    def _braced(self, name: str) -> str:
        char = self.take()
        value = self.variables.get(name)
        if char == "}":
            return value or ""
        colon = char == ":"
        operator = self.take() if colon else char
        if operator not in {"-", "+", "?"}:
            raise WordError(f"unsupported substitution ${{{name}{char}...}} in {self.text}")
        word = self.until("}")
        if self.take() != "}":
            raise WordError(f"a brace is not closed in {self.text}")
        present = bool(value) if colon else value is not None
        return _choose(operator, name, value or "", word, present=present)

    def _name(self) -> str:
        start = self.position
        if self.rest[:1] in _NAME_START:
            while self.rest[:1] in _NAME and self.rest:
                self.position += 1
        elif self.rest[:1].isdecimal():
            while self.rest[:1].isdecimal():
                self.position += 1
        elif self.rest and self.rest[0] in _SPECIAL:
            self.position += 1
        return self.text[start : self.position]


def _choose(operator: str, name: str, value: str, word: str, *, present: bool) -> str:
    if operator == "-":
        return value if present else word
    if operator == "+":
        return word if present else ""
    if not present:
        raise WordError(f"{name}: {word or 'is not set'}")
    return value
