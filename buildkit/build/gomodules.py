"""Which directories go.mod and go.work name as modules.

A module that gives no package to a binary still decides: in a workspace, or where
a version is replaced by a directory, its go.mod may ask for a newer version of
another one (``go help modules``, "Minimal version selection").
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

_COMMENT = re.compile(r"//.*")
_BLOCK = re.compile(r"\b(use|replace)\s*\(([^)]*)\)")
_QUOTES = '"`'


def local_modules(root: str, workspace: str) -> set[str]:
    """Return the directories of modules that the files of a tree name, relative to the tree.

    Args:
        root: the tree's absolute path.
        workspace: the go.work in force, relative to it; empty for none.
    """
    if not workspace:
        return set(_named(root, "go.mod"))
    named = set(_named(root, workspace))
    return named.union(*(_named(root, f"{module}/go.mod") for module in named))


def _named(root: str, file: str) -> Iterator[str]:
    folder = posixpath.dirname(file)
    try:
        text = Path(root, file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for path in named_directories(text):
        yield posixpath.relpath(posixpath.join(root, folder, path), root)


def named_directories(text: str) -> Iterator[str]:
    """Yield the directories after ``use`` and ``replace ... =>``, as they are written.

    See https://go.dev/ref/mod#workspaces and #go-mod-file-replace.
    """
    lines = _BLOCK.sub(_unfolded, _COMMENT.sub("", text)).splitlines()
    for words in map(str.split, lines):
        match words:
            case ["use", path]:
                yield path.strip(_QUOTES)
            case ["replace", *_, "=>", path]:
                # Without a version it is a path, which is what `go` tells them apart by.
                yield path.strip(_QUOTES)
            case _:
                pass


def _unfolded(block: re.Match[str]) -> str:
    entries = (line for line in block[2].splitlines() if line.strip())
    return "\n".join(f"{block[1]} {line}" for line in entries)
