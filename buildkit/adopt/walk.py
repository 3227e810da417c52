"""The files of a tree that people wrote, without what was fetched or built into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PRUNED = frozenset({"node_modules", "out", "testdata", "third_party", "vendor"})
"""Directories that hold the work of others, or of a build; hidden ones are left out too."""


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files of a directory and of all below it, in order."""
    for root, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if name not in PRUNED and name[0] != ".")
        for name in sorted(files):
            yield Path(root) / name
