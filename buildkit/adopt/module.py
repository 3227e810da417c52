"""What go.mod says beyond what is needed to compile: the module, its Go, and its limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from buildkit.adopt.walk import files_below
from buildkit.errors import UsageError

_MODULE = re.compile(r"^module\s+(\S+)", re.MULTILINE)
_GO = re.compile(r"^go\s+(\d\S*)", re.MULTILINE)
_QTLS = re.compile(r"^\s*(?:require\s+)?\S+/qtls-go1-(\d+)\s+v", re.MULTILINE)
_MINOR = re.compile(r"1\.(\d+)")
_QTLS_FOR_ALL = 20
"""From 1.20 on, one such module serves what comes after it too."""


class Module(Struct, frozen=True, kw_only=True):
    """A Go module.

    Attributes:
        path: its name.
        go: the language version that it asks for; empty where it says none.
        limit: a specifier of the Go versions that its modules compile with; empty for any.
        limit_reason: the module that has the limit.
    """

    path: str
    go: str
    limit: str = ""
    limit_reason: str = ""


def read_module(tree: Path) -> Module:
    """Read the go.mod at the root of a tree.

    Raises:
        UsageError: there is none; modules below the root are named.
    """
    try:
        text = (tree / "go.mod").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        inner = [path.parent.relative_to(tree).as_posix() for path in sorted(inner_modules(tree))]
        raise UsageError(
            f"there is no go.mod in {tree}",
            details=f"Modules below it: {', '.join(inner)}" if inner else "",
            resolution="Name the root of a Go module with --source.",
        ) from error
    return parse_module(text)


def parse_module(text: str) -> Module:
    """Read the text of a go.mod.

    quic-go before 0.37 reached into the TLS code of the standard library by a module per
    Go release, and refuses every other release (https://github.com/quic-go/qtls-go1-20).
    """
    module, go = _MODULE.search(text), _GO.search(text)
    version = go[1] if go else ""
    minors = [int(minor) for minor in _QTLS.findall(text)]
    limit = ""
    if minors and max(minors) < _QTLS_FOR_ALL:
        asked = _MINOR.match(version)
        least = max(min(minors), int(asked[1]) if asked else 0)
        limit = f">=1.{least},<1.{max(minors) + 1}"
    return Module(
        path=module[1].strip('"') if module else "",
        go=version,
        limit=limit,
        limit_reason="its quic-go refuses newer releases" if limit else "",
    )


def inner_modules(tree: Path) -> Iterator[Path]:
    """Return the go.mod files below the root, in order."""
    return (path for path in files_below(tree) if path.name == "go.mod" and path.parent != tree)
