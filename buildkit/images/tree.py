"""The file system of an image as values: paths and what is there, layers merged, links followed."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field
from msgspec.structs import replace

from buildkit.oci.layer import Entry, EntryType, directory, parents
from buildkit.oci.listing import OPAQUE, WHITEOUT

_MAX_LINKS = 255
"""As many as BuildKit follows (containerd/continuity, fs.RootPath)."""

ROOT = directory("")


class LinkLoopError(ValueError):
    """Symbolic links that lead to each other."""


class Tree(Struct):
    """A file system; paths are relative to its root and normal, the root itself is ``""``."""

    _entries: dict[str, Entry] = field(default_factory=dict)
    _inside: dict[str, set[str]] = field(default_factory=dict)
    """The paths directly in each directory."""

    @classmethod
    def of(cls, *layers: Iterable[Entry]) -> Tree:
        """Merge layers, the lowest first."""
        tree = cls()
        for layer in layers:
            tree.apply(layer)
        return tree

    def copy(self) -> Tree:
        """Return a tree that changes by itself."""
        inside = {path: set(names) for path, names in self._inside.items()}
        return Tree(dict(self._entries), inside)

    def apply(self, layer: Iterable[Entry]) -> None:
        """Lay a layer over the tree, whiteouts carried out."""
        added = []
        for entry in layer:
            folder, _, name = entry.path.rpartition("/")
            if name == OPAQUE:
                self._remove_below(folder)
            elif name.startswith(WHITEOUT):
                self._remove(f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
            else:
                added.append(entry)
        for entry in added:
            self.put(entry)

    def put(self, entry: Entry) -> None:
        """Place one entry; directories above it that are not there become 0755 of root."""
        before = self._entries.get(entry.path)
        if before is not None and EntryType.DIRECTORY in {before.type} - {entry.type}:
            self._remove_below(entry.path)
        for parent in parents(entry.path):
            if not self.is_directory(parent):
                self._set(directory(parent))
        self._set(self._unlinked(entry))

    def get(self, path: str) -> Entry | None:
        """Return what is at a path, without following a link there."""
        return self._entries.get(path) if path else ROOT

    def is_directory(self, path: str) -> bool:
        """Tell whether a directory is at a path."""
        entry = self.get(path)
        return entry is not None and entry.type is EntryType.DIRECTORY

    def children(self, path: str) -> tuple[Entry, ...]:
        """Return what is directly in a directory, by name."""
        return tuple(self._entries[name] for name in sorted(self._inside.get(path, ())))

    def below(self, path: str) -> tuple[Entry, ...]:
        """Return everything below a directory, in the order of a walk."""
        found: list[Entry] = []
        todo = [*reversed(self.children(path))]
        while todo:
            entry = todo.pop()
            found.append(entry)
            todo += reversed(self.children(entry.path))
        return tuple(found)

    def resolve(self, path: str, *, passed: list[str] | None = None) -> str:
        """Follow every link of a path, the last one too; it need not exist.

        Args:
            path: what to follow.
            passed: gets the path of every link on the way.

        Raises:
            LinkLoopError: the links do not end.
        """
        done: list[str] = []
        todo = path.split("/")[::-1]
        links: list[str] = []
        while todo:
            part = todo.pop()
            if part in {"", ".", ".."}:
                del done[len(done) - (part == "..") :]
                continue
            entry = self._entries.get("/".join((*done, part)))
            if entry is None or entry.type is not EntryType.SYMLINK:
                done.append(part)
                continue
            links.append(entry.path)
            if len(links) > _MAX_LINKS:
                raise LinkLoopError(f"/{path.strip('/')} is a loop of symbolic links")
            if entry.link.startswith("/"):
                done.clear()
            todo += entry.link.split("/")[::-1]
        if passed is not None:
            passed += links
        return "/".join(done)

    def find(self, path: str) -> Entry | None:
        """Return what is at the end of all links of a path; None for nothing or a loop."""
        try:
            return self.get(self.resolve(path))
        except LinkLoopError:
            return None

    def _set(self, entry: Entry) -> None:
        self._entries[entry.path] = entry
        self._inside.setdefault(entry.path.rpartition("/")[0], set()).add(entry.path)

    def _unlinked(self, entry: Entry) -> Entry:
        # A hard link is one more name of a file, and a copy of it is a file.
        if entry.type is not EntryType.HARDLINK:
            return entry
        target = self._entries.get(entry.link)
        if target is None:
            return replace(entry, type=EntryType.FILE, link="")
        return replace(target, path=entry.path)

    def _remove(self, path: str) -> None:
        self._remove_below(path)
        if self._entries.pop(path, None) is not None:
            self._inside[path.rpartition("/")[0]].discard(path)

    def _remove_below(self, path: str) -> None:
        for item in self.below(path):
            del self._entries[item.path]
            self._inside.pop(item.path, None)
        self._inside.pop(path, None)
