"""Dockerfiles as typed instructions with line numbers.

The grammar is that of moby's BuildKit (``frontend/dockerfile/parser``), whose
``docs/reference.md`` describes it: parser directives, comments (also between
continuation lines), here-documents, flags, the JSON and the shell form.
``dockerfile-parse`` from PyPI was looked at: it drops lines it does not
understand, knows neither flags nor here-documents, and works on files.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from buildkit.errors import ConfigError
from buildkit.images.words import split_words

_JSON = frozenset({"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"})
_PLAIN = frozenset(
    {"ARG", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD"}
    | {"STOPSIGNAL", "USER", "WORKDIR"}
)
INSTRUCTIONS = _JSON | _PLAIN

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_HEREDOC = re.compile(r"(?:^|\s)\d*<<(-?)([\"']?)([A-Za-z0-9_.]+)\2(?=\s|$)")
_WITH_HEREDOC = frozenset({"ADD", "COPY", "RUN"})


class Instruction(Struct, frozen=True, kw_only=True):
    """One instruction.

    ``line`` and ``end_line`` count from 1. ``value`` is what follows the name
    and the flags, continuation lines joined. ``words`` are the elements of the
    JSON form, else ``value`` split at white space outside of quotes.
    """

    line: int
    end_line: int
    name: str
    value: str
    words: tuple[str, ...]
    flags: tuple[tuple[str, str], ...] = ()
    json_form: bool = False
    heredocs: tuple[str, ...] = ()

    def flag(self, name: str) -> str | None:
        """Return a flag's value, ``""`` for one without, None where it is not given."""
        return dict(self.flags).get(name)


class Dockerfile(Struct, frozen=True, kw_only=True):
    """A parsed Dockerfile; ``origin`` names it in messages, ``text`` is what was parsed."""

    origin: str
    text: str
    escape: str
    instructions: tuple[Instruction, ...]
    front_end: tuple[int, str] | None = None
    """Line and image of ``# syntax=``: BuildKit fetches it and reads the file with it."""

    def error(self, line: int, problem: str, *, resolution: str = "") -> ConfigError:
        """Return an error that points at a line."""
        return ConfigError(
            f"{self.origin}, line {line}: {problem}",
            details=self.text.split("\n")[line - 1].strip(),
            resolution=resolution,
        )


def parse(text: str, *, origin: str = "Dockerfile") -> Dockerfile:
    """Parse a Dockerfile.

    Raises:
        ConfigError: an unknown instruction, a missing argument, a here-document
            that does not end, or no FROM; the message names the line.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines = text.split("\n")
    directives = _directives(lines, origin)
    frame = Dockerfile(
        origin=origin,
        text=text,
        escape=_escape(directives, origin),
        instructions=(),
        front_end=directives.get("syntax"),
    )
    instructions = tuple(_instructions(lines, frame))
    if not any(item.name == "FROM" for item in instructions):
        raise ConfigError(
            f"{origin} has no FROM",
            resolution="Start it with FROM {{ base }}, which names the image's base.",
        )
    return replace(frame, instructions=instructions)


def _directives(lines: list[str], origin: str) -> dict[str, tuple[int, str]]:
    """Return line and value of each parser directive: those above everything else."""
    seen: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines, start=1):
        match = _DIRECTIVE.fullmatch(line.strip())
        if not match:
            break
        key = match[1].lower()
        if key in seen:
            raise ConfigError(f"{origin}, line {number}: the directive '{key}' is given twice")
        if key in _DIRECTIVES:
            seen[key] = (number, match[2])
    return seen


def _escape(directives: Mapping[str, tuple[int, str]], origin: str) -> str:
    line, escape = directives.get("escape", (0, "\\"))
    if escape not in {"\\", "`"}:
        raise ConfigError(
            f"{origin}, line {line}: the escape character is {escape}",
            resolution="It can be \\ or `.",
        )
    return escape


def _instructions(lines: list[str], frame: Dockerfile) -> Iterator[Instruction]:
    position = 0
    while position < len(lines):
        if not _content(lines[position]):
            position += 1
            continue
        start = position
        logical, position = _join(lines, position, frame.escape)
        if not logical:
            continue
        item = _instruction(logical, start + 1, frame)
        item, position = _with_heredocs(item, lines, position, frame)
        yield item


def _content(line: str) -> str:
    stripped = line.strip()
    return "" if stripped.startswith("#") else stripped


def _join(lines: list[str], position: int, escape: str) -> tuple[str, int]:
    mark = re.escape(escape)
    # An escaped escape at the end of a line does not continue it.
    continues = re.compile(rf"(?:^|[^{mark}]){mark}[ \t]*$")
    joined, first = "", position
    while position < len(lines):
        line = lines[position]
        position += 1
        if position > first + 1 and not _content(line):
            continue
        if not continues.search(line):
            return (joined + line).strip(), position
        joined += line.rstrip(" \t")[:-1]
    return joined.strip(), position


def _instruction(logical: str, line: int, frame: Dockerfile) -> Instruction:
    word, *rest = logical.split(maxsplit=1)
    name = word.upper()
    if name not in INSTRUCTIONS:
        near = difflib.get_close_matches(name, sorted(INSTRUCTIONS), n=1)
        raise frame.error(
            line,
            f"unknown instruction '{name}'",
            resolution=f"Did you mean {near[0]}?" if near else "",
        )
    flags, value = _flags("".join(rest), frame.escape)
    if not value:
        raise frame.error(line, f"{name} needs an argument")
    try:
        elements = json_words(value) if name in _JSON else None
    except TypeError as error:
        raise frame.error(line, str(error)) from error
    return Instruction(
        line=line,
        end_line=line,
        name=name,
        value=value,
        words=split_words(value, escape=frame.escape) if elements is None else elements,
        flags=flags,
        json_form=elements is not None,
    )


def _flags(rest: str, escape: str) -> tuple[tuple[tuple[str, str], ...], str]:
    flags: list[tuple[str, str]] = []
    while rest.startswith("--"):
        word, rest = _flag_word(rest, escape)
        if word == "--":
            break
        name, _, value = word.removeprefix("--").partition("=")
        flags.append((name, value))
    return tuple(flags), rest


def _flag_word(text: str, escape: str) -> tuple[str, str]:
    # Quotes and escapes of a flag go at once, whatever is in them; variables stay.
    word, quote, position = "", "", 0
    while position < len(text) and (quote or not text[position].isspace()):
        char = text[position]
        position += 1
        if char == escape:
            word += text[position : position + 1]
            position += 1
        elif char == quote or (not quote and char in "\"'"):
            quote = "" if quote else char
        else:
            word += char
    return word, text[position:].lstrip()


def json_words(value: str) -> tuple[str, ...] | None:
    """Return the elements of the JSON form, None where a text is not of that form.

    Raises:
        TypeError: it is an array of other things than strings.
    """
    if not value.startswith("["):
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, list):
        return None
    if not all(isinstance(item, str) for item in parsed):
        raise TypeError("the JSON form takes strings alone")
    return tuple(parsed)


def _with_heredocs(
    item: Instruction, lines: list[str], position: int, frame: Dockerfile
) -> tuple[Instruction, int]:
    names: list[str] = []
    if item.name in _WITH_HEREDOC and not item.json_form:
        for match in _HEREDOC.finditer(item.value):
            position = _heredoc_end(lines, position, match[3], tabs=bool(match[1]))
            if position < 0:
                raise frame.error(item.line, f"the here-document {match[3]} does not end")
            names.append(match[3])
    done = Instruction(
        line=item.line,
        end_line=position,
        name=item.name,
        value=item.value,
        words=item.words,
        flags=item.flags,
        json_form=item.json_form,
        heredocs=tuple(names),
    )
    return done, position


def _heredoc_end(lines: list[str], position: int, name: str, *, tabs: bool) -> int:
    for number in range(position, len(lines)):
        line = lines[number].lstrip("\t") if tabs else lines[number]
        if line == name:
            return number + 1
    return -1
