"""Which files can matter to a graph of units: what a watching run waits for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from buildkit.config.layers import local_path
from buildkit.config.load import Project
from buildkit.config.lock import lock_path
from buildkit.plan.command_files import glob_root
from buildkit.plan.graph import Graph
from buildkit.plan.records import RecordBook
from buildkit.plan.sources import is_build_name
from buildkit.plan.units import (
    BuildImage,
    BuildPackage,
    Compile,
    Download,
    Override,
    RunCommand,
    SourceDirectory,
    Unit,
)

_MAGIC = re.compile(r"[*?\[\\]")
_LEFTOVER = re.compile(r"\.#.*|#.*#|.*~|.*\.sw.|4913|.*___jb_(tmp|old)___|\.DS_Store")
"""What Emacs, Vim, JetBrains and the Finder put beside a file that is saved or looked at."""


_Names = set[str] | frozenset[str]
_Patterns = set[tuple[str, str]] | frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What to look at; all paths are absolute and normal.

    Attributes:
        files: matter by their own name, whether they exist or not.
        packages: directories in which what a compiler could take matters.
        patterns: directories, and which names in them matter (``*`` for all).
        places: every directory to watch, by itself and not below it, with its inode: one that
            was removed and made again has to be watched anew.
        present: which of the files were there.
        appearing: directories in which every name that appears or goes matters. What else a
            file there holds does not: a log that lies in the tree would call for turns for ever.
    """

    files: frozenset[str]
    packages: frozenset[str]
    patterns: frozenset[tuple[str, str]]
    places: tuple[tuple[str, int], ...] = ()
    present: frozenset[str] = field(default=frozenset(), compare=False)
    appearing: frozenset[str] = frozenset()

    def matters(self, path: str, *, is_name: bool = False) -> bool:
        """Tell whether a change of a path can change what is made.

        Args:
            path: what changed.
            is_name: whether it appeared or went.
        """
        if path in self.files:
            return True
        folder, name = os.path.split(path)
        if folder in self.packages and is_build_name(name):
            return True
        if _LEFTOVER.fullmatch(name):
            return False
        return (is_name and folder in self.appearing) or any(
            folder == place and fnmatchcase(name, pattern) for place, pattern in self.patterns
        )

    def again(self) -> Watched:
        """Return the same, with the directories that are there now."""
        return _settled(self.files, self.packages, self.patterns, self.appearing)

    def changed_since(self, limit_ns: int) -> tuple[str, ...]:
        """Return what matters and changed at or after a time, in nanoseconds since 1970.

        What was removed from a directory of which every name matters shows as that directory.
        """
        whole = self.appearing | {f for f, pattern in self.patterns if pattern == "*"}
        found = [path for path in self.present if not os.path.lexists(path)]
        for folder, _ in self.places:
            names = _changed_names(folder, limit_ns)
            found += [n for n in names if self.matters(n) or (n == folder and n in whole)]
        return tuple(sorted(set(found)))


def watched_files(
    graph: Graph, book: RecordBook, project: Project, out: Path, *, wide: bool
) -> Watched:
    """Return what can matter to a graph, as far as the records know.

    Args:
        graph: its templates, copied files and sources.
        book: the directories that earlier compiles read.
        project: its targets file and the lock.
        out: where outputs go; never watched.
        wide: take the whole source tree. Where a compile fails, no record tells what it needs:
            the package that a new import names may come with the next save.
    """
    draft = _Draft()
    own = (project.targets, lock_path(project.targets), local_path(project.targets))
    draft.files |= set(map(str, (*own, *project.files)))
    if project.config.version.file:
        draft.files.add(f"{project.source}/{project.config.version.file}")
    draft.files |= {f"{project.source}/{name}" for name in project.values_from}
    for unit in graph.units:
        draft.add_unit(unit, book)
    tree = frozenset(_source_folders(str(project.source), str(out)) if wide else ())
    return _settled(draft.files, draft.packages | tree, draft.patterns, tree)


class _Draft:
    def __init__(self) -> None:
        self.files: set[str] = set()
        self.packages: set[str] = set()
        self.patterns: set[tuple[str, str]] = set()

    def add_unit(self, unit: Unit, book: RecordBook) -> None:
        match unit.action:
            case Compile(source=source):
                record = book.get(unit.id)
                for directory in map(book.directory, record.sources if record else ()):
                    if directory is not None:
                        self._add_sources(str(source), directory)
            case BuildImage(template=template, context=context):
                self.files.add(str(template))
                self._add_contents(context)
            case BuildPackage(contents=contents, scripts=scripts):
                self.files |= {str(path) for _, path in scripts}
                self._add_contents(contents)
            case RunCommand(inputs=inputs):
                for _, path in inputs:
                    self._add_tree(glob_root(str(path)))
            case Download(override=Override(path=Path() as path)):
                self.files.add(str(path))
            case _:
                pass

    def _add_contents(self, contents: tuple[tuple[str, str], ...]) -> None:
        for _, need in contents:
            if need.startswith("file:"):
                self._add_tree(need.removeprefix("file:"))

    def _add_sources(self, root: str, source: SourceDirectory) -> None:
        folder = os.path.normpath(f"{root}/{source.path}")
        every = {*source.names, *(name for name, _ in source.files)}
        self.files |= {os.path.normpath(f"{folder}/{name}") for name in every}
        if source.pattern:
            self._add_pattern(folder, source)
        elif source.path:
            self.packages.add(folder)

    def _add_pattern(self, package: str, source: SourceDirectory) -> None:
        parts = source.pattern.removeprefix("all:").split("/")
        plain = next((i for i, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
        below = os.path.normpath("/".join((package, *parts[:plain])))
        if plain != len(parts) - 1:
            self._add_tree(below)
            return
        self.patterns.add((below, "*" if "\\" in parts[plain] else parts[plain]))
        folders = {os.path.dirname(f"{package}/{name}") for name in source.names}  # noqa: PTH120 - see hashing
        self.patterns |= {(folder, "*") for folder in folders - {below}}

    def _add_tree(self, path: str) -> None:
        path = os.path.normpath(path)
        self.files.add(path)
        self.patterns |= {(folder, "*") for folder in _folders(path)}


def _settled(
    files: _Names, packages: _Names, patterns: _Patterns, appearing: frozenset[str]
) -> Watched:
    places: dict[str, int] = {}
    above: set[str] = set()
    folders = packages | {folder for folder, _ in patterns}
    for folder in folders | {os.path.dirname(path) for path in files}:  # noqa: PTH120 - see hashing
        _add_place(folder, places, above)
    return Watched(
        files=frozenset(files | above),
        packages=frozenset(packages),
        patterns=frozenset(patterns),
        places=tuple(sorted(places.items())),
        present=frozenset(path for path in files if os.path.lexists(path)),
        appearing=appearing,
    )


def _add_place(folder: str, places: dict[str, int], absent: set[str]) -> None:
    """Watch a directory, or the nearest above it, where it would appear."""
    while folder not in places:
        try:
            places[folder] = os.stat(folder).st_ino  # noqa: PTH116 - see hashing
        except OSError:
            absent.add(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120 - see hashing


def _folders(top: str) -> Iterator[str]:
    for folder, _, _ in os.walk(top):
        yield folder


def _source_folders(top: str, out: str) -> Iterator[str]:
    """Return a source tree's directories, without hidden ones and what is written there."""
    for folder, below, _ in os.walk(top):
        below[:] = [
            n for n in below if n[0] != "." and n != "node_modules" and f"{folder}/{n}" != out
        ]
        yield folder


def _changed_names(folder: str, limit_ns: int) -> Iterator[str]:
    try:
        if os.stat(folder).st_mtime_ns >= limit_ns:  # noqa: PTH116 - see hashing
            yield folder
        with os.scandir(folder) as entries:
            for entry in entries:
                found = entry.stat()
                if max(found.st_mtime_ns, found.st_ctime_ns) >= limit_ns:
                    yield entry.path
    except OSError:
        yield folder
