"""Which local files a Go binary was made from, as ``go list -deps`` tells it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from buildkit.build.gomodules import local_modules
from buildkit.decoding import decode_json
from buildkit.plan.hashing import RACY_NS
from buildkit.plan.sources import SourceTree
from buildkit.plan.units import SourceDirectory


class _Module(Struct, frozen=True, rename="pascal"):
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


class _Package(Struct, frozen=True, rename="pascal"):
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


LIST_FIELDS = (
    "-json=ImportPath,Name,Dir,Standard,Module,Deps,EmbedFiles,EmbedPatterns,"
    "IgnoredGoFiles,IgnoredOtherFiles"
)
"""What of a package is asked for; see `go help list`."""


def settled_sources(
    listing: bytes, tree: SourceTree, workspace: str, started_ns: int
) -> Mapping[str, tuple[SourceDirectory, ...]]:
    """Return the source directories of each main package, by import path and :func:`source_key`.

    A package is left out if anything it is made from changed after
    ``started_ns``, or shortly before: the compiler may have read another
    content than is found now.

    Args:
        listing: what ``go list -deps`` printed; empty where it failed.
        tree: the source that it was about.
        workspace: the go.work in force, relative to the tree; empty for none.
        started_ns: when the compiler was started, in nanoseconds since 1970.
    """
    packages = {package.import_path: package for package in _decode(listing)}
    local = {path: package for path, package in packages.items() if _is_local(package)}
    described = {path: tuple(_directories(package, tree)) for path, package in local.items()}
    module_files = tree.files(_module_files(local.values(), tree, workspace))
    limit = started_ns - RACY_NS
    moved = {
        path
        for path, items in described.items()
        if any(tree.changed_since(item, limit) for item in items)
    }
    found = {}
    for package in packages.values():
        if package.name != "main" or tree.changed_since(module_files, limit):
            continue
        members = [path for path in (package.import_path, *package.deps) if path in described]
        if moved.isdisjoint(members):
            sources = (module_files, *(item for path in members for item in described[path]))
            found[package.import_path] = sources
            found[tree.relative(package.dir)] = sources
    return found


def linked_packages(listing: bytes, tree: SourceTree) -> Mapping[str, frozenset[str]]:
    """Return which packages each main package consists of, keyed as by :func:`settled_sources`.

    The linker calls the main package ``main`` whatever its import path is.
    """
    found = {}
    for package in _decode(listing):
        if package.name == "main":
            members = frozenset({"main", package.import_path, *package.deps})
            found[package.import_path] = members
            found[tree.relative(package.dir)] = members
    return found


def source_key(package: str) -> str:
    """Return the key of a package as targets.toml writes it: a clean path, or an import path."""
    return posixpath.normpath(package)


def _decode(listing: bytes) -> Iterator[_Package]:
    # `go list -json` prints one indented object after another, not an array.
    text = listing.decode()
    for block in text.split("\n}\n"):
        if block.strip():
            yield decode_json(block + "\n}", _Package)


def _is_local(package: _Package) -> bool:
    if package.standard or not package.dir:
        return False
    return package.module is None or package.module.is_local


def _directories(package: _Package, tree: SourceTree) -> Iterator[SourceDirectory]:
    directory = tree.relative(package.dir)
    excluded = (*package.ignored_go_files, *package.ignored_other_files)
    yield tree.package(directory, package.embed_files, excluded)
    for pattern in package.embed_patterns:
        yield tree.embedded(directory, pattern)


def _module_files(packages: Iterable[_Package], tree: SourceTree, workspace: str) -> set[str]:
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
