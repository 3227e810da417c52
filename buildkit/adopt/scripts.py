"""Make files and scripts of a tree: what they build with, read as text and never run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from buildkit.adopt.walk import files_below

_SCRIPTS = re.compile(
    r"(Makefile.*|makefile|.*\.mk|.*\.sh|\.?goreleaser.*\.ya?ml|[Jj]ustfile|[\w-]+)"
)
_FOLDERS = frozenset({"bin", "build", "common", "hack", "make", "mk", "scripts", "tools"})
_MOST = 500_000
"""Bytes of a script; what is larger is a program."""
_TAGS = re.compile(r"\bgo\s+build\b[^\n]*?-tags[=\s]+[\"']?(?P<tags>[\w.,]+)")


def read_scripts(tree: Path) -> dict[str, str]:
    """Return the texts of make files and scripts by their paths below the tree."""
    return {
        path.relative_to(tree).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in _scripts(tree)
    }


def told_tags(scripts: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence for each set of build tags that scripts give to `go build`."""
    found: dict[str, str] = {}
    for name, text in scripts.items():
        for match in _TAGS.finditer(re.sub(r"\\\n\s*", " ", text)):
            found.setdefault(match["tags"], name)
    return tuple(
        f"{name} compiles with -tags {tags}: write it into [go] tags if binaries need it"
        for tags, name in found.items()
    )


def _scripts(tree: Path) -> Iterator[Path]:
    paths = [path for path in sorted(tree.iterdir()) if path.is_file()]
    paths += [path for name in sorted(_FOLDERS) for path in files_below(tree / name)]
    for path in paths:
        if _SCRIPTS.fullmatch(path.name) and path.is_file() and path.stat().st_size < _MOST:
            yield path
