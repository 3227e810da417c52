"""Whole directories of the user's cache, and whether they still hold what they held at first.

What is out of place is found by stat and decided by content, as with what a build reads.
A file that was added is no damage: programs leave things where they work.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.store import discard, read_sealed, write_sealed


class _File(Struct, frozen=True, array_like=True):
    """One file; ``modified`` in nanoseconds since 1970, ``content`` a digest or a link's target."""

    size: int
    modified: int
    content: str


def seal(tree: Path, home: Path) -> None:
    """Write down what a directory holds.

    Args:
        tree: where it is now, complete.
        home: where it will be.
    """
    files = {name: _look(tree, name) for name in _names(tree)}
    write_sealed(_place(home), msgspec.json.encode(files))


def install(tree: Path, home: Path) -> None:
    """Move a complete directory to its place in the cache, and write down what it holds.

    Args:
        tree: where it is, on the same file system.
        home: where it will be; nothing lies there.
    """
    seal(tree, home)
    # Sizes and times, which are looked at, can be on the disk before the content is.
    os.sync()
    tree.rename(home)


def first_altered(home: Path) -> str:
    """Return the name of a file that is not as :func:`seal` saw it; empty where all are."""
    try:
        known = decode_json(read_sealed(_place(home)) or b"", dict[str, _File])
    except msgspec.MsgspecError:
        return "the list of its files"
    moved = {}
    for name, file in known.items():
        try:
            found = os.lstat(f"{home}/{name}")
            if found.st_size == file.size and found.st_mtime_ns == file.modified:
                continue
            moved[name] = _look(home, name)
        except OSError:
            return name
        if moved[name].content != file.content:
            return name
    if moved:
        write_sealed(_place(home), msgspec.json.encode({**known, **moved}), sync=False)
    return ""


def forget(home: Path) -> None:
    """Remove what was written down of a directory that is gone."""
    discard(_place(home))


def _place(home: Path) -> Path:
    return home.with_name(f".{home.name}.files")


def _names(tree: Path) -> Iterator[str]:
    for folder, below, names in os.walk(tree):
        links = [name for name in below if Path(folder, name).is_symlink()]
        yield from (os.path.relpath(f"{folder}/{name}", tree) for name in (*names, *links))


def _look(tree: Path, name: str) -> _File:
    path = tree / name
    found = path.lstat()
    linked = stat.S_ISLNK(found.st_mode)
    content = str(path.readlink()) if linked else str(Digest.of_file(path))
    return _File(size=found.st_size, modified=found.st_mtime_ns, content=content)
