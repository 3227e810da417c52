"""The files of a command: which it reads, and what its outputs are."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from buildkit.config.interpolate import interpolate
from buildkit.digest import Digest
from buildkit.plan.hashing import Hasher
from buildkit.plan.units import RunCommand

_MAGIC = re.compile(r"[*?\[]")


def command_files(action: RunCommand) -> Iterator[tuple[str, Path]]:
    """Yield every input file by its name below what targets.toml writes, and its path.

    A directory stands for all files in it; what git keeps for itself, and outputs in the
    source, are left out. An input that is not there is yielded by its own name.
    """
    own = tuple(action.folder / output for output in action.outputs)
    for written, place in action.inputs:
        found = [p for p in _expand(str(place)) if not _is_below(p, own)]
        root = Path(glob_root(str(place)))
        shown = glob_root(written)
        for path in found:
            name = path.relative_to(root).as_posix()
            yield (shown if name == "." else f"{shown}/{name}"), path
        if not found:
            yield written, place


def glob_root(path: str) -> str:
    """Return the directory that all matches of a glob lie in; a path without magic is its own."""
    parts = path.split("/")
    plain = next((i for i, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    return "/".join(parts[:plain])


def outputs_digest(folder: Path, outputs: Iterable[str], hasher: Hasher) -> str:
    """Return the digest of all outputs of a command, by name, mode and content."""
    return str(Digest.of_json([(name, hasher.tree(folder / name) or "") for name in outputs]))


def filled(action: RunCommand, out: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return argv and own variables of a command with every path in its place.

    Args:
        action: the command.
        out: what ``${out}`` is this time.
    """
    values = {name: str(path) for name, path in action.paths} | {"out": str(out)}
    argv = tuple(interpolate(text, values) for text in action.argv)
    return argv, {name: interpolate(text, values) for name, text in action.env}


def _expand(place: str) -> Iterator[Path]:
    # A directory above the glob may have such characters in its name.
    root = glob_root(place)
    pattern = place[len(root) :].lstrip("/")
    names = glob.glob(pattern, root_dir=root, recursive=True, include_hidden=True)  # noqa: PTH207 - root_dir
    tops = [Path(root, name) for name in names] if pattern else [Path(root)]
    found: set[Path] = set()
    for top in tops:
        if top.is_file():
            found.add(top)
        elif top.is_dir() and not pattern:
            found.update(_below(top))
    return iter(sorted(path for path in found if ".git" not in path.relative_to(root).parts))


def _below(top: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(top):
        names[:] = [name for name in names if name != ".git"]
        yield from (Path(folder, name) for name in files)


def _is_below(path: Path, places: Iterable[Path]) -> bool:
    return any(path == place or place in path.parents for place in places)
