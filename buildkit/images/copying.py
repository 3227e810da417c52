"""COPY and ADD: which files go where, with which owner and mode.

The rules are those of BuildKit (``dockerfile2llb`` and ``tonistiigi/fsutil``'s
copy): links in the target are followed, what a source names is followed, links
inside a copied directory are kept; a directory gives its contents; a directory
that is made on the way is 0755 and belongs to ``--chown``; one that was there
keeps its mode where it is the target itself, and takes the source's below it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from buildkit.errors import BuildkitError
from buildkit.images.tree import ROOT, LinkLoopError, Tree
from buildkit.oci.layer import Entry, EntryType, directory

Refuse = Callable[[str], BuildkitError]
"""Makes the error for a problem, with the line of the instruction in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """One COPY or ADD, everything known.

    ``target`` is absolute and ends in a slash where a directory is meant;
    ``owner`` is user and group, None keeps the source's; ``mode`` None too.
    """

    sources: tuple[str, ...]
    target: str
    owner: tuple[int, int] | None = None
    mode: int | None = None


@dataclass(slots=True, kw_only=True)
class Changes:
    """A file system and what was changed in it: the next layer.

    Attributes:
        tree: changed in place.
        refuse: makes errors.
        made: what was placed, by path.
    """

    tree: Tree
    refuse: Refuse
    made: dict[str, Entry] = field(default_factory=dict)

    def put(self, entry: Entry) -> None:
        """Place an entry."""
        if entry.path:
            self.tree.put(entry)
            self.made[entry.path] = entry

    def make_directory(self, path: str, owner: tuple[int, int] | None) -> None:
        """Make a directory and those above it where they are missing; links are followed."""
        uid, gid = owner or (0, 0)
        place = ""
        for part in self.resolve(path).split("/"):
            place = f"{place}/{part}".lstrip("/")
            if self.tree.get(place) is None:
                self.put(directory(place, uid=uid, gid=gid))
            elif not self.tree.is_directory(place):
                raise self.refuse(f"/{place} is there already and is no directory")

    def resolve(self, path: str) -> str:
        """Follow the links of a path."""
        try:
            return self.tree.resolve(path)
        except LinkLoopError as error:
            raise self.refuse(str(error)) from error

    def copy(self, source: Tree, request: CopyRequest) -> None:
        """Copy what a request names from another file system."""
        for pattern in request.sources:
            for name in find_sources(source, pattern, self.refuse):
                self._copy_one(source, name, request)

    def _copy_one(self, source: Tree, name: str, request: CopyRequest) -> None:
        try:
            entry = source.get(source.resolve(name))
        except LinkLoopError as error:
            raise self.refuse(str(error)) from error
        if entry is None:
            raise self.refuse(f"{name} is not there to be copied")
        head, _, tail = request.target.rpartition("/")
        self.make_directory(request.target if tail in {"", "."} else head, request.owner)
        target = self.resolve(request.target)
        is_directory = entry.type is EntryType.DIRECTORY
        if not is_directory and self.tree.is_directory(target):
            target = f"{target}/{posixpath.basename(name)}".lstrip("/")
        if is_directory and self.tree.get(target) is None:
            self.make_directory(target, request.owner)
        self._place(source, entry, target, request, top=True)

    def _place(
        self, source: Tree, entry: Entry, target: str, request: CopyRequest, *, top: bool
    ) -> None:
        uid, gid = request.owner or (entry.uid, entry.gid)
        placed = replace(entry, path=target, uid=uid, gid=gid)
        if request.mode is not None and entry.type is not EntryType.SYMLINK:
            placed = replace(placed, mode=request.mode)
        there = self.tree.get(target)
        is_there = there is not None and there.type is EntryType.DIRECTORY
        if entry.type is not EntryType.DIRECTORY:
            if is_there:
                raise self.refuse(f"/{target} is a directory, which a file cannot replace")
            self.put(placed)
            return
        if there is not None and not is_there:
            raise self.refuse(f"/{target} is there already and is no directory")
        if not (is_there and top):
            self.put(placed)
        for child in source.children(entry.path):
            name = posixpath.basename(child.path)
            self._place(source, child, f"{target}/{name}".lstrip("/"), request, top=False)


def find_sources(source: Tree, pattern: str, refuse: Refuse) -> tuple[str, ...]:
    """Return the paths that a source of COPY names, wildcards as Go's ``path.Match`` reads them.

    Raises:
        BuildkitError: a name without wildcards is not there, or a pattern is malformed.
    """
    normal = posixpath.normpath("/" + pattern).lstrip("/")
    if not re.search(r"[*?\[\\]", normal):
        return (normal,)
    try:
        compiled = re.compile(_regex(normal))
    except (re.error, IndexError) as error:
        raise refuse(f"{pattern} is not a valid pattern") from error
    names = [item.path for item in source.below(ROOT.path) if compiled.fullmatch(item.path)]
    if not names:
        raise refuse(f"nothing matches {pattern}")
    return tuple(names)


def _regex(pattern: str) -> str:
    found, position = "", 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char in "*?":
            found += "[^/]*" if char == "*" else "[^/]"
        elif char == "[":
            end = pattern.index("]", position + 1) if "]" in pattern[position + 1 :] else -1
            inner = pattern[position:end]
            negated = inner.startswith("^")
            found += f"[{'^/' if negated else ''}{_class(inner[negated:])}]"
            position = end + 1 if end >= 0 else len(pattern) + 1
        elif char == "\\":
            found += re.escape(pattern[position])
            position += 1
        else:
            found += re.escape(char)
    return found


def _class(inner: str) -> str:
    return "".join(char if char in "-\\" else re.escape(char) for char in inner)
