"""Which local files a Go binary was made from, as ``go list -deps`` tells it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from buildkit.build.gomodules import local_modules
from buildkit.decoding import decode_json
from buildkit.plan.hashing import RACY_NS
from buildkit.plan.sources import SourceTree
from buildkit.plan.units import SourceDirectory


class _Module(Struct, frozen=True, rename="pascal", omit_defaults=True):
    path: str
    main: bool = False
    version: str = ""
    dir: str = ""
    go_mod: str = ""
    replace: _Module | None = None

    @property
    def is_local(self) -> bool:
        """Whether its files are not those of the module cache, which go.sum vouches for.

        A vendored module has no directory of its own.
        """
        return self.main or not self.dir or (self.replace is not None and not self.replace.version)


class Package(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One package as `go list` tells of it, see `go help list`."""

    import_path: str
    name: str = ""
    dir: str = ""
    standard: bool = False
    module: _Module | None = None
    deps: tuple[str, ...] = ()
    embed_files: tuple[str, ...] = ()
    embed_patterns: tuple[str, ...] = ()
    ignored_go_files: tuple[str, ...] = ()
    ignored_other_files: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Itself and all that it imports."""
        return (self.import_path, *self.deps)

    @property
    def is_main(self) -> bool:
        """Whether a program is made of it."""
        return self.name == "main"

    @property
    def is_local(self) -> bool:
        """Whether its files can change while go.mod and go.sum stay as they are."""
        if self.standard or not self.dir:
            return False
        return self.module is None or self.module.is_local


_T = TypeVar("_T")

LIST_FIELDS = (
    "-json=ImportPath,Name,Dir,Standard,Module,Deps,EmbedFiles,EmbedPatterns,"
    "IgnoredGoFiles,IgnoredOtherFiles"
)
"""What of a package is asked for; see `go help list`."""


class GoSources(Struct, frozen=True, kw_only=True):
    """What main packages are made from, as it was at one moment.

    What is by package has its import path and its :func:`source_key` as keys.
    """

    tree: SourceTree
    packages: tuple[Package, ...]
    described: Mapping[str, tuple[SourceDirectory, ...]]
    """The directories of each local package, by import path."""
    module_files: SourceDirectory

    @classmethod
    def of(cls, packages: tuple[Package, ...], tree: SourceTree, workspace: str) -> GoSources:
        """Describe the sources.

        Args:
            packages: what ``go list -deps`` told of the tree, see :func:`read_listing`.
            tree: the source that it was about.
            workspace: the go.work in force, relative to the tree; empty for none.
        """
        local = tuple(package for package in packages if package.is_local)
        return cls(
            tree=tree,
            packages=packages,
            described={item.import_path: tuple(_directories(item, tree)) for item in local},
            module_files=tree.files(_module_files(local, tree, workspace)),
        )

    @property
    def mains(self) -> tuple[Package, ...]:
        """The packages that programs are made of."""
        return tuple(package for package in self.packages if package.is_main)

    @property
    def directories(self) -> tuple[SourceDirectory, ...]:
        """All that is described, always in the same order."""
        return (self.module_files, *(item for group in self.described.values() for item in group))

    def settled(self, started_ns: int) -> Mapping[str, tuple[SourceDirectory, ...]]:
        """Return the directories of each main package, once the compiler ended.

        A package is left out if anything it is made from changed after
        ``started_ns``, or shortly before: the compiler may have read another
        content than is described.

        Args:
            started_ns: when the compiler was started, in nanoseconds since 1970, which is
                before the sources were described.
        """
        limit = started_ns - RACY_NS
        if self.tree.changed_since(self.module_files, limit):
            return {}
        moved = {
            path
            for path, items in self.described.items()
            if any(self.tree.changed_since(item, limit) for item in items)
        }
        found = {}
        for package in self.mains:
            paths = [path for path in package.parts if path in self.described]
            if moved.isdisjoint(paths):
                found[package.import_path] = (
                    self.module_files,
                    *(item for path in paths for item in self.described[path]),
                )
        return self._by_name(found)

    def linked(self) -> Mapping[str, frozenset[str]]:
        """Return which packages each main package consists of.

        The linker calls the main package ``main`` whatever its import path is.
        """
        return self._by_name(
            {item.import_path: frozenset({"main", *item.parts}) for item in self.mains}
        )

    def _by_name(self, found: Mapping[str, _T]) -> Mapping[str, _T]:
        keys = {self.tree.relative(item.dir): item.import_path for item in self.mains}
        return {**found, **{key: found[path] for key, path in keys.items() if path in found}}


def source_key(package: str) -> str:
    """Return the key of a package as targets.toml writes it: a clean path, or an import path."""
    return posixpath.normpath(package)


def read_listing(listing: bytes) -> tuple[Package, ...]:
    """Return what counts of what ``go list -deps`` printed: local packages and programs."""
    # It prints one indented object after another, not an array.
    blocks = (block for block in listing.decode().split("\n}\n") if block.strip())
    packages = (decode_json(block + "\n}", Package) for block in blocks)
    counted = (package for package in packages if package.is_local or package.is_main)
    return tuple(p if p.is_main else replace(p, deps=()) for p in counted)


def _directories(package: Package, tree: SourceTree) -> Iterator[SourceDirectory]:
    directory = tree.relative(package.dir)
    excluded = (*package.ignored_go_files, *package.ignored_other_files)
    yield tree.package(directory, package.embed_files, excluded)
    for pattern in package.embed_patterns:
        yield tree.embedded(directory, pattern)


def _module_files(packages: Iterable[Package], tree: SourceTree, workspace: str) -> set[str]:
    """Return the files that decide which modules there are, and in which versions."""
    found = {"go.mod", "go.sum"} | ({workspace, f"{workspace}.sum"} if workspace else set())
    folders: dict[str, set[str]] = {}
    for package in packages:
        module = package.module and (package.module.replace or package.module)
        if module is not None and module.go_mod:
            above = tree.relative(posixpath.dirname(module.go_mod))
            folders.setdefault(above, set()).add(tree.relative(package.dir))
    for folder in {*folders, *local_modules(tree.root, workspace)}:
        found |= {_joined(folder, name) for name in ("go.mod", "go.sum", "vendor/modules.txt")}
    if workspace:
        found.add(_joined(posixpath.dirname(workspace), "vendor/modules.txt"))
    return found.union(*(_inner_modules(*item) for item in folders.items()))


def _inner_modules(module: str, packages: set[str]) -> Iterator[str]:
    """Yield each go.mod that, were it there, would take packages out of a module.

    One in a package's own directory is looked at with that.
    """
    above = {posixpath.dirname(package) for package in packages}
    while above:
        inside = {folder for folder in above if _is_below(folder, module)}
        yield from (_joined(folder, "go.mod") for folder in inside - packages)
        above = {posixpath.dirname(folder) for folder in inside}


def _is_below(folder: str, module: str) -> bool:
    return bool(folder) and (module == "." or folder.startswith(f"{module}/"))


def _joined(folder: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(folder, name))
