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
from collections.abc import Callable, Iterable

from msgspec import Struct, field
from msgspec.structs import replace

from buildkit.errors import BuildkitError
from buildkit.images.tree import LinkLoopError, Tree
from buildkit.oci.layer import Entry, EntryType, directory
from buildkit.oci.listing import WHITEOUT

Refuse = Callable[[str], BuildkitError]
"""Makes the error for a problem, with the line of the instruction in it."""


class CopyRequest(Struct, frozen=True, kw_only=True):
    """One COPY or ADD, everything known.

    ``target`` is absolute and ends in a slash where a directory is meant;
    ``owner`` is user and group, None keeps the source's; ``mode`` None too.
    """

    sources: tuple[str, ...]
    target: str
    owner: tuple[int, int] | None = None
    mode: int | None = None


class Changes(Struct, kw_only=True):
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
        """Place an entry; what it hides is forgotten."""
        if not entry.path:
            return
        if posixpath.basename(entry.path).startswith(WHITEOUT):
            raise self.refuse(f"a layer cannot hold /{entry.path}: such a name takes files away")
        if entry.type is not EntryType.DIRECTORY and self.tree.is_directory(entry.path):
            for path in [path for path in self.made if path.startswith(f"{entry.path}/")]:
                del self.made[path]
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

    def unpack(self, held: Iterable[Entry], target: str, owner: tuple[int, int] | None) -> None:
        """Lay what an archive holds over a directory, as ``tar`` does.

        ``owner`` is for directories made on the way to the target; what the archive
        holds keeps its own, and takes the place of anything but a directory.
        """
        self.make_directory(target, owner)
        root = self.resolve(target)
        for entry in held:
            folder = self._inside(root, posixpath.dirname(entry.path))
            self.make_directory(folder, None)
            place = f"{folder}/{posixpath.basename(entry.path)}".lstrip("/")
            self.put(replace(self._linked(root, entry), path=place))

    def _linked(self, root: str, entry: Entry) -> Entry:
        if entry.type is not EntryType.HARDLINK:
            return entry
        folder = self._inside(root, posixpath.dirname(entry.link))
        target = self.tree.get(f"{folder}/{posixpath.basename(entry.link)}".lstrip("/"))
        if target is None:
            raise self.refuse(f"the archive holds a link to nothing: {entry.path}")
        return target

    def _inside(self, root: str, path: str) -> str:
        found = self.resolve(posixpath.join(root, path))
        if root and not f"{found}/".startswith(f"{root}/"):
            raise self.refuse(f"{path} of the archive leads out of /{root}")
        return found

    def copy(self, source: Tree, request: CopyRequest) -> None:
        """Copy what a request names from another file system."""
        for pattern in request.sources:
            for name in find_sources(source, pattern, self.refuse):
                self.copy_path(source, name, request)

    def copy_path(self, source: Tree, name: str, request: CopyRequest) -> None:
        """Copy one path; a link is followed."""
        entry = source.get(self._followed(source, name))
        if entry is None:
            raise self.refuse(f"{name} is not there to be copied")
        head, _, tail = request.target.rpartition("/")
        self.make_directory(request.target if not tail else head, request.owner)
        target = self.resolve(request.target)
        is_directory = entry.type is EntryType.DIRECTORY
        if not is_directory and self.tree.is_directory(target):
            target = f"{target}/{posixpath.basename(name)}".lstrip("/")
        missing = is_directory and self.tree.get(target) is None
        self.make_directory(target if missing else posixpath.dirname(target), request.owner)
        self._place(source, entry, target, request, top=True)

    def _followed(self, source: Tree, name: str) -> str:
        try:
            return source.resolve(name)
        except LinkLoopError as error:
            raise self.refuse(str(error)) from error

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


def find_sources(
    source: Tree, pattern: str, refuse: Refuse, *, passed: list[str] | None = None
) -> tuple[str, ...]:
    """Return the paths that a source of COPY names, wildcards as Go's ``path.Match`` reads them.

    A name without wildcards is returned whether or not it is there; a pattern may
    match nothing. Links above the first wildcard are followed.

    Args:
        source: where they are.
        pattern: the source as it is written, variables put in.
        refuse: makes errors.
        passed: gets the links that were followed.

    Raises:
        BuildkitError: a pattern is malformed, or links above it do not end.
    """
    parts = posixpath.normpath("/" + pattern).lstrip("/").split("/")
    fixed = next((at for at, part in enumerate(parts) if _is_wild(part)), len(parts))
    if fixed == len(parts):
        return ("/".join(parts),)
    try:
        wild = [re.compile(_regex(part)) for part in parts[fixed:]]
        found = [source.resolve("/".join(parts[:fixed]), passed=passed)]
    except (re.error, IndexError) as error:
        raise refuse(f"{pattern} is not a valid pattern") from error
    except LinkLoopError as error:
        raise refuse(str(error)) from error
    for one in wild:
        inside = (entry for folder in found for entry in source.children(folder))
        found = [item.path for item in inside if one.fullmatch(posixpath.basename(item.path))]
    return tuple(found)


def _is_wild(part: str) -> bool:
    # An escaped wildcard is none; BuildKit then looks for the name with its escape.
    return re.search(r"[*?\[]", re.sub(r"\\.", "", part)) is not None


def _regex(part: str) -> str:
    found, position = "", 0
    while position < len(part):
        char = part[position]
        position += 1
        if char in "*?":
            found += ".*" if char == "*" else "."
        elif char == "[":
            end = _class_end(part, position)
            inner = part[position:end]
            negated = inner.startswith("^")
            found += f"[{'^' if negated else ''}{_class(inner[negated:])}]"
            position = end + 1
        elif char == "\\":
            found += re.escape(part[position])
            position += 1
        else:
            found += re.escape(char)
    return f"(?s:{found})"


def _class_end(part: str, position: int) -> int:
    while part[position] != "]":
        position += 2 if part[position] == "\\" else 1
    return position


def _class(inner: str) -> str:
    if not inner:
        raise re.error("an empty class")
    return "".join(char if char in "-\\" else re.escape(char) for char in inner)
