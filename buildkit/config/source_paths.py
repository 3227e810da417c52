"""Paths of the Go tree, written ``${source}/path`` wherever a path may stand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PREFIX = "${source}"


def with_source_paths(data: Mapping[str, Any], tree: Path, root: Path) -> dict[str, Any]:
    """Return a targets file with the paths of the Go tree as they are seen from a directory.

    Those of commands stay: there the name may stand anywhere in an argument.

    Args:
        data: the file; strings in it that begin with the prefix are paths.
        tree: the Go tree.
        root: the directory that other paths are relative to.
    """
    return {
        key: item if key == "command" else _placed(item, tree, root) for key, item in data.items()
    }


def _placed(value: Any, tree: Path, root: Path) -> Any:
    match value:
        case dict():
            return {key: _placed(item, tree, root) for key, item in value.items()}
        case list():
            return [_placed(item, tree, root) for item in value]
        case str() if value == PREFIX or value.startswith(f"{PREFIX}/"):
            rest = value.removeprefix(PREFIX).strip("/")
            return Path(os.path.relpath(tree / rest, root)).as_posix()
        case _:
            return value
