"""Source directories of Go packages: what a compiler could take from them.

Everything is named relative to the source tree, so that what is said of one
checkout holds for any other with the same content.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.plan.hashing import Hasher, changed_ns
from buildkit.plan.units import SourceDirectory

_SUFFIXES = (
    *(".go", ".s", ".S", ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inc"),
    *(".m", ".sx", ".f", ".F", ".for", ".f90", ".swig", ".swigcxx", ".syso"),
)
"""What the go command takes from a package directory (``go help packages``, go/build)."""

_MODULE = "go.mod"
"""In a package's directory it makes that another module."""

_WORKSPACE = "go.work"

_CONSTRAINTS = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|//[^\n]*|/\*.*?\*/)*+(?P<package>package\s+\w+)?", re.DOTALL
)
"""What go/build decides by: the comments that a file begins with, and its package clause."""


_HEAD = re.compile(
    rb"""
    (?:\xef\xbb\xbf)?
    (?:\s | //[^\n]* | /\*.*?\*/)*+
    package\s+\w+
    (?:
        \s | ; | //[^\n]* | /\*.*?\*/
        | import\s*(?:[\w.]+\s+)?(?:"[^"\n]*"|`[^`]*`)
        | import\s*\((?:\s | ; | //[^\n]* | /\*.*?\*/ | [\w.]+ | "[^"\n]*" | `[^`]*`)*+\)
    )*+
    (?=(?:func|var|const|type)\b|\Z)
    """,
    re.DOTALL | re.VERBOSE,
)
"""A Go file up to its first declaration that is no import (the Go specification, "Source file
organization"); no match where it is written in another way."""

_EMBED = b"//go:embed"


class SourceTree(Struct, frozen=True, kw_only=True):
    """A Go tree on disk.

    Attributes:
        root: the resolved path that everything is relative to.
        hasher: tells digests of files.
    """

    root: str
    hasher: Hasher

    def relative(self, path: str) -> str:
        """Return an absolute path as records name it."""
        return os.path.relpath(path, self.root)

    def package(
        self, directory: str, files: Iterable[str] = (), excluded: Iterable[str] = ()
    ) -> SourceDirectory:
        """Describe a package directory.

        Args:
            directory: its path, relative to the tree.
            files: names in it that were embedded.
            excluded: names in it that build constraints left out.
        """
        folder = self._absolute(directory)
        names = build_names(folder)
        left_out = frozenset(excluded) & frozenset(names)
        hashed = ((name, self._digest(folder, name)) for name in sorted({*names, *files}))
        found = tuple((name, digest) for name, digest in hashed if digest)
        return SourceDirectory(
            path=directory,
            names=names,
            files=tuple(item for item in found if item[0] not in left_out),
            excluded=tuple(
                (name, digest, self._constraints(directory, name))
                for name, digest in found
                if name in left_out
            ),
        )

    def embedded(self, directory: str, pattern: str) -> SourceDirectory:
        """Describe what a go:embed pattern of a package could take: names alone."""
        names = embed_names(self._absolute(directory), pattern)
        return SourceDirectory(path=directory, pattern=pattern, names=names, files=())

    def files(self, names: Iterable[str]) -> SourceDirectory:
        """Describe single files, absent ones too: one that appears is a change."""
        hashed = tuple((name, self._digest(self.root, name)) for name in sorted(names))
        return SourceDirectory(path="", files=hashed)

    def digest(self, path: str) -> str | None:
        """Return the digest of a file, named relative to the tree; None where there is none."""
        return self.hasher.digest(self._absolute(path))

    def again(self, before: SourceDirectory) -> SourceDirectory:
        """Describe as it is now what was described before, by what was read of it then."""
        names = tuple(name for name, _ in before.files)
        if not before.path:
            return self.files(names)
        if before.pattern:
            return self.embedded(before.path, before.pattern)
        return self.package(before.path, names, (name for name, *_ in before.excluded))

    def change(self, before: SourceDirectory) -> str | None:
        """Say what differs in a directory since it was described; None where nothing does."""
        if before.path:
            names = self._names(before)
            if names != before.names:
                return self._moved(before.path, set(before.names), set(names))
        folder = self._absolute(before.path)
        for name, digest in before.files:
            if self._digest(folder, name) != digest:
                return f"{self._short(before.path, name)} changed"
        for name, digest, constraints in before.excluded:
            same = self._digest(folder, name) == digest
            if not same and self._constraints(before.path, name) != constraints:
                return f"{self._short(before.path, name)} changed"
        return None

    def outline(self, source: SourceDirectory) -> str:
        """Return the digest of what the go command goes by when it lists packages.

        That is which files there are, and of Go files what is above the first declaration; a
        file that embeds others counts whole, as one of another language does.
        """
        if not source.path:
            return str(Digest.of_json(source))
        parts = [(name, self._head(source.path, name, digest)) for name, digest in source.files]
        left_out = [(name, constraints) for name, _, constraints in source.excluded]
        return str(Digest.of_json([source.path, source.pattern, source.names, parts, left_out]))

    def changed_since(self, source: SourceDirectory, limit_ns: int) -> bool:
        """Tell whether anything of a directory changed at or after a time, in ns since 1970.

        A file that was removed or renamed away shows in its directory's time alone.
        """
        folder = self._absolute(source.path)
        every = {*source.names, *(name for name, _ in source.files)}
        paths = {f"{folder}/{name}" for name in every}
        if source.path:
            below = {os.path.dirname(name) for name in every if "/" in name}  # noqa: PTH120 - see hashing
            paths |= {folder, *(f"{folder}/{name}" for name in below)}
        now = self.hasher.now_ns()
        return any(_changed_ns(path, now) >= limit_ns for path in paths)

    def _absolute(self, *parts: str) -> str:
        path = "/".join((self.root, *(part for part in parts if part)))
        return os.path.normpath(path) if "/." in path else path

    def _digest(self, folder: str, name: str) -> str:
        path = f"{folder}/{name}"
        return self.hasher.digest(os.path.normpath(path) if "/." in path else path) or ""

    def _constraints(self, directory: str, name: str) -> str:
        """Return the digest of what decides that a file is left out; empty if it is gone."""
        data = self._read(directory, name)
        if data is None:
            return ""
        head = _CONSTRAINTS.match(data)
        # Without cgo an import of "C" leaves a file out as well.
        counts = name.endswith(".go") and (b'"C"' in data or not (head and head["package"]))
        return str(Digest.of_bytes(data if counts or head is None else head[0]))

    def _head(self, directory: str, name: str, digest: str) -> str:
        """Return the digest of what of a file counts in an outline; empty for none of it."""
        if not name.endswith(".go"):
            return digest if is_build_name(name) else ""
        data = self._read(directory, name)
        head = None if data is None or _EMBED in data else _HEAD.match(data)
        return str(Digest.of_bytes(head[0])) if head else digest

    def _read(self, directory: str, name: str) -> bytes | None:
        try:
            with open(self._absolute(directory, name), "rb") as stream:  # noqa: PTH123 - see hashing
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _names(self, source: SourceDirectory) -> tuple[str, ...]:
        path = self._absolute(source.path)
        return embed_names(path, source.pattern) if source.pattern else build_names(path)

    def _moved(self, directory: str, before: set[str], now: set[str]) -> str:
        added, removed = sorted(now - before), sorted(before - now)
        if added:
            return f"{self._short(directory, added[0])} is new"
        return f"{self._short(directory, removed[0])} was removed"

    def _short(self, directory: str, name: str) -> str:
        """Shorten to the last three parts, which is what a reader needs to find the file."""
        return "/".join(self._absolute(directory, name).split("/")[-3:])


def find_workspace(source: str) -> str:
    """Return the go.work that the go command finds, relative to a source; empty if none.

    As ``go help work`` says: in the directory or the nearest one above it.
    """
    folder = source
    while True:
        if os.path.isfile(f"{folder}/{_WORKSPACE}"):  # noqa: PTH113 - see hashing
            return os.path.relpath(f"{folder}/{_WORKSPACE}", source)
        above = os.path.dirname(folder)  # noqa: PTH120 - see hashing
        if above == folder:
            return ""
        folder = above


def build_names(directory: str) -> tuple[str, ...]:
    """Return the names in a package directory that a compiler could take, sorted."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if is_build_name(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(names))


def embed_names(directory: str, pattern: str) -> tuple[str, ...]:
    """Return what a go:embed pattern of a package could take, below its directory, sorted.

    Hidden files and nested modules are among it, which Go leaves out of most patterns.
    """
    plain = pattern.removeprefix("all:")
    # Python's globs have no escapes; whatever lies there includes what such a pattern means.
    plain = "*" if "\\" in plain else plain.replace("[^", "[!")
    found = set()
    for name in glob.glob(plain, root_dir=directory, include_hidden=True):  # noqa: PTH207 - root_dir
        folder = f"{directory}/{name}"
        inside = [
            os.path.relpath(f"{below}/{file}", directory)
            for below, _, files in os.walk(folder)
            for file in files
        ]
        found.update([name] if not os.path.isdir(folder) else inside)  # noqa: PTH112 - see hashing
    return tuple(sorted(found))


def _changed_ns(path: str, now_ns: int) -> int:
    try:
        found = os.stat(path)  # noqa: PTH116 - see hashing
    except (FileNotFoundError, NotADirectoryError):
        return 0
    # A directory's ctime moves with its name and mode too.
    if stat.S_ISDIR(found.st_mode) and found.st_mtime_ns <= now_ns:
        return found.st_mtime_ns
    return changed_ns(found, now_ns)


def is_build_name(name: str) -> bool:
    """Tell whether a compiler could take a file of this name from a package directory."""
    return name == _MODULE or (
        name.endswith(_SUFFIXES)
        and not name.endswith("_test.go")
        and not name.startswith(("_", "."))
    )
