"""Source directories of Go packages: what a compiler could take from them."""

from __future__ import annotations

import os

from buildkit.plan.hashing import Hasher
from buildkit.plan.units import SourceDirectory

_SUFFIXES = (
    *(".go", ".s", ".S", ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inc"),
    *(".m", ".f", ".F", ".for", ".f90", ".swig", ".swigcxx", ".syso"),
)
"""What the go command takes from a package directory (``go help packages``, go/build)."""

_TREE = "tree:"


def build_names(directory: str) -> tuple[str, ...]:
    """Return the names in a package directory that a compiler could take, sorted."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if _counts(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(names))


def tree_names(directory: str) -> tuple[str, ...]:
    """Return the paths of all files below a directory that patterns of go:embed match in."""
    found = []
    for folder, _, names in os.walk(directory):
        relative = os.path.relpath(folder, directory)
        found += [os.path.normpath(os.path.join(relative, name)) for name in names]  # noqa: PTH118
    return tuple(sorted(found))


def snapshot(directory: str, files: list[str], hasher: Hasher) -> SourceDirectory:
    """Describe a package directory of which ``files`` (names in it) were compiled or embedded.

    Every file that could count is hashed, used or not: a changed build
    constraint can turn one that is not into one that is.
    """
    names = build_names(directory)
    return _describe(directory, names, sorted({*names, *files}), hasher)


def embed_snapshot(directory: str, hasher: Hasher) -> SourceDirectory:
    """Describe a directory below which a go:embed pattern looks: its names alone."""
    return _describe(_TREE + directory, tree_names(directory), [], hasher)


def files_snapshot(files: list[str], hasher: Hasher) -> SourceDirectory:
    """Describe single files by absolute path, absent ones too: one that appears is a change."""
    return SourceDirectory(
        path="", names=(), files=tuple((name, hasher.digest(name) or "") for name in sorted(files))
    )


def changed_source(before: SourceDirectory, hasher: Hasher) -> str | None:
    """Say what differs in a directory since it was described; None where nothing does."""
    path = before.path.removeprefix(_TREE)
    if path:
        names = tree_names(path) if path != before.path else build_names(path)
        if names != before.names:
            return _moved(path, set(before.names), set(names))
    for name, digest in before.files:
        file = f"{path}/{name}" if path else name
        if (hasher.digest(file) or "") != digest:
            return f"{_short(file)} changed"
    return None


def _describe(
    path: str, names: tuple[str, ...], files: list[str], hasher: Hasher
) -> SourceDirectory:
    hashed = ((name, hasher.digest(f"{path}/{name}")) for name in files)
    return SourceDirectory(
        path=path,
        names=names,
        files=tuple((name, digest) for name, digest in hashed if digest is not None),
    )


def _counts(name: str) -> bool:
    return (
        name.endswith(_SUFFIXES)
        and not name.endswith("_test.go")
        and not name.startswith(("_", "."))
    )


def _moved(path: str, before: set[str], now: set[str]) -> str:
    added, removed = sorted(now - before), sorted(before - now)
    if added:
        return f"{_short(f'{path}/{added[0]}')} is new"
    return f"{_short(f'{path}/{removed[0]}')} was removed"


def _short(path: str) -> str:
    """Shorten to the last three parts, which is what a reader needs to find the file."""
    return "/".join(path.split("/")[-3:])
