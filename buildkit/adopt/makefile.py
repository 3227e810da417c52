"""Variables of a makefile, as far as they can be told without running make."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ASSIGNMENT = re.compile(
    r"(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*(?P<kind>[:?+]?=|::=)(?P<text>.*)"
)
_REFERENCE = re.compile(r"\$[({](\w+)[)}]")
_DEPTH = 20


def read_variables(text: str) -> dict[str, str]:
    """Return the variables that lines assign outside of recipes, unexpanded.

    The last assignment counts, as in make; ``?=`` only where there is none yet, and
    ``+=`` adds. Conditions are not weighed: both branches are read, in order.
    """
    found: dict[str, str] = {}
    for line in logical_lines(text):
        match = None if line.startswith("\t") else _ASSIGNMENT.match(line.strip())
        if match is None:
            continue
        name, kind, value = match["name"], match["kind"], _uncommented(match["text"])
        if kind == "+=" and name in found:
            found[name] = f"{found[name]} {value}".strip()
        elif kind != "?=" or name not in found:
            found[name] = value
    return found


def expand(text: str, variables: Mapping[str, str], depth: int = _DEPTH) -> str:
    """Put variables in; a reference to what is unknown, or a function call, stays as it is."""
    if depth == 0:
        return text

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return expand(variables[name], variables, depth - 1) if name in variables else match[0]

    return _REFERENCE.sub(value, text)


def words(name: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words of a variable, references put in; none where it is not assigned."""
    return tuple(expand(variables.get(name, ""), variables).split())


def logical_lines(text: str) -> list[str]:
    """Return the lines of a makefile, those that a backslash continues as one."""
    return re.sub(r"\\\n[ \t]*", " ", text.replace("\r\n", "\n")).split("\n")


def _uncommented(text: str) -> str:
    return re.sub(r"(^|\s)#.*", "", text).strip()
