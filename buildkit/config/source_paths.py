"""Paths of the Go tree, written ``${source}/path`` wherever a path may stand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

PREFIX = "${source}"


def is_below_source(text: str) -> bool:
    """Tell whether a value is the Go tree or a path in it."""
    return text == PREFIX or text.startswith(f"{PREFIX}/")


def with_source_paths(value: Any, tree: Path, root: Path) -> Any:
    """Return TOML values with the paths of the Go tree as they are seen from a directory.

    Args:
        value: a table, a list or a leaf; strings in it that begin with the prefix are paths.
        tree: the Go tree.
        root: the directory that other paths are relative to.
    """
    match value:
        case dict():
            return {key: with_source_paths(item, tree, root) for key, item in value.items()}
        case list():
            return [with_source_paths(item, tree, root) for item in value]
        case str() if is_below_source(value):
            rest = value.removeprefix(PREFIX).strip("/")
            return Path(os.path.relpath(tree / rest, root)).as_posix()
        case _:
            return value
