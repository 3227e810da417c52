"""Stamps: how a value is given to Go's linker, and whether a program holds it afterwards.

``-X`` of a variable that does not exist, or that nothing in the program reads, is
ignored by the linker without a word (cmd/link, ``addstrdata``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from buildkit.errors import ConfigError

_BLOCK = 1 << 20


def stamp_flag(name: str, value: str) -> str:
    """Return the linker's flag for a stamp.

    Raises:
        ConfigError: it cannot be written as one.
    """
    # The go command splits -ldflags at spaces, honouring quotes but no escapes.
    stamp = f"{name}={value}"
    if not any(character.isspace() for character in stamp):
        return f"-X={stamp}"
    quotes = [quote for quote in "'\"" if quote not in stamp]
    if not quotes:
        raise ConfigError(
            f"the stamp {name} cannot be passed to Go's linker",
            details=f"It has spaces and both kinds of quotes: {value}",
            resolution="Leave one kind of quotes out.",
        )
    return f"-X {quotes[0]}{stamp}{quotes[0]}"


def stamp_problem(program: Path, stamps: Mapping[str, str], packages: frozenset[str]) -> str:
    """Name the stamps that a program should hold and does not; empty where it holds all.

    Args:
        program: the linked file.
        stamps: Go variable and value.
        packages: what the program consists of; a stamp of another package does
            not concern it.

    Raises:
        OSError: the program cannot be read.
    """
    due = {name: value for name, value in stamps.items() if name.rpartition(".")[0] in packages}
    held = _held(program, {stored_stamp(value) for value in due.values() if value})
    absent = [
        name for name, value in sorted(due.items()) if value and stored_stamp(value) not in held
    ]
    if not absent:
        return ""
    values = ", ".join(f"'{due[name]}' in {name}" for name in absent)
    return f"lacks {values}: there is no such variable, or nothing in the program reads it"


def holds_text(program: Path, value: str) -> bool:
    """Tell whether a program holds a text as the linker stores a stamp's.

    Raises:
        OSError: it cannot be read.
    """
    return bool(_held(program, {stored_stamp(value)}))


def stored_stamp(value: str) -> bytes:
    """Return the bytes that a stamp's value is in a program."""
    # The linker ends what -X sets with a zero byte (cmd/link/internal/loader, Addstring), which
    # tells it from the same text among Go's other strings, such as a module's version.
    return value.encode() + b"\0"


def _held(program: Path, texts: set[bytes]) -> set[bytes]:
    """Return which of some texts a file holds, read from back to front.

    Data is the last that Go's linker writes of a program without symbols.
    """
    missing = set(texts)
    overlap = max(map(len, texts), default=1) - 1
    with program.open("rb", buffering=0) as stream:
        for start in reversed(range(0, os.fstat(stream.fileno()).st_size, _BLOCK)):
            if not missing:
                break
            window = os.pread(stream.fileno(), _BLOCK + overlap, start)
            missing -= {text for text in missing if text in window}
    return texts - missing
