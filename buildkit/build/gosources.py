"""Which local files a Go binary was made from, as ``go list -deps`` tells it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.plan.hashing import RACY_NS, Hasher
from buildkit.plan.sources import changed_since, embed_snapshot, files_snapshot, snapshot
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


LIST_FIELDS = "-json=ImportPath,Name,Dir,Standard,Module,Deps,EmbedFiles,EmbedPatterns"
"""What of a package is asked for; see `go help list`."""


def settled_sources(
    listing: bytes, source: Path, hasher: Hasher, started_ns: int
) -> Mapping[str, tuple[SourceDirectory, ...]]:
    """Return the source directories of each main package, by import path and :func:`source_key`.

    A package is left out if anything it is made from changed after
    ``started_ns``, or shortly before: the compiler may have read another
    content than is found now.

    Args:
        listing: what ``go list -deps`` printed; empty where it failed.
        source: the directory that it ran in.
        hasher: takes the digests.
        started_ns: when the compiler was started, in nanoseconds since 1970.
    """
    packages = {package.import_path: package for package in _decode(listing)}
    local = {path: package for path, package in packages.items() if _is_local(package)}
    described = {path: tuple(_directories(package, hasher)) for path, package in local.items()}
    module_files = files_snapshot(sorted(_module_files(local.values(), source)), hasher)
    limit = started_ns - RACY_NS
    moved = {
        path for path, items in described.items() if any(changed_since(i, limit) for i in items)
    }
    found = {}
    for package in packages.values():
        if package.name != "main" or changed_since(module_files, limit):
            continue
        members = [path for path in (package.import_path, *package.deps) if path in described]
        if moved.isdisjoint(members):
            sources = (module_files, *(item for path in members for item in described[path]))
            found[package.import_path] = sources
            found[os.path.relpath(package.dir, source)] = sources
    return found


def linked_packages(listing: bytes, source: Path) -> Mapping[str, frozenset[str]]:
    """Return which packages each main package consists of, keyed as by :func:`settled_sources`.

    The linker calls the main package ``main`` whatever its import path is.
    """
    found = {}
    for package in _decode(listing):
        if package.name == "main":
            members = frozenset({"main", package.import_path, *package.deps})
            found[package.import_path] = members
            found[os.path.relpath(package.dir, source)] = members
    return found


def source_key(package: str) -> str:
    """Return the key of a package as targets.toml writes it: a clean path, or an import path."""
    return posixpath.normpath(package)


def _decode(listing: bytes) -> Iterator[_Package]:
    # `go list -json` prints one indented object after another, not an array.
    text = listing.decode()
    for block in text.split("\n}\n"):
        if block.strip():
            yield msgspec.json.decode(block + "\n}", type=_Package)


def _is_local(package: _Package) -> bool:
    if package.standard or not package.dir:
        return False
    return package.module is None or package.module.is_local


def _directories(package: _Package, hasher: Hasher) -> Iterator[SourceDirectory]:
    yield snapshot(package.dir, list(package.embed_files), hasher)
    for pattern in package.embed_patterns:
        yield embed_snapshot(package.dir, pattern)


def _module_files(packages: Iterable[_Package], source: Path) -> set[str]:
    found = {str(folder / name) for folder in (source, *source.parents) for name in _WORKSPACE}
    found |= {str(source / name) for name in ("go.mod", "go.sum")}
    for package in packages:
        module = package.module and (package.module.replace or package.module)
        if module is not None and module.go_mod:
            found |= {module.go_mod, module.go_mod.removesuffix("mod") + "sum"}
            found.add(posixpath.join(posixpath.dirname(module.go_mod), "vendor/modules.txt"))
    return found


_WORKSPACE = ("go.work", "go.work.sum")
