"""Which local files a Go binary was made from, as ``go list -deps`` tells it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.plan.hashing import RACY_NS, Hasher
from buildkit.plan.sources import embed_snapshot, files_snapshot, snapshot
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
        """Whether its files are not those of the module cache, which go.sum vouches for."""
        return self.main or (self.replace is not None and not self.replace.version)


class _Package(Struct, frozen=True, rename="pascal"):
    import_path: str
    dir: str = ""
    standard: bool = False
    module: _Module | None = None
    deps: tuple[str, ...] = ()
    embed_files: tuple[str, ...] = ()
    embed_patterns: tuple[str, ...] = ()


LIST_FIELDS = "-json=ImportPath,Dir,Standard,Module,Deps,EmbedFiles,EmbedPatterns"
"""What of a package is asked for; see `go help list`."""


def settled_sources(
    listing: bytes, source: Path, hasher: Hasher, started_ns: int
) -> Mapping[str, tuple[SourceDirectory, ...]]:
    """Return the source directories of each main package, by its path below ``source``.

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
    local = {path: package for path, package in packages.items() if _is_local(package, source)}
    described = {path: tuple(_directories(package, hasher)) for path, package in local.items()}
    module_files = files_snapshot(sorted(_module_files(local.values(), source)), hasher)
    found = {}
    for package in local.values():
        members = [package.import_path, *(dep for dep in package.deps if dep in described)]
        sources = [item for path in members for item in described[path]]
        relative = _relative(package.dir, source)
        if relative and not _moved([module_files, *sources], hasher, started_ns):
            found[relative] = (module_files, *sources)
    return found


def _decode(listing: bytes) -> Iterator[_Package]:
    # `go list -json` prints one indented object after another, not an array.
    text = listing.decode()
    for block in text.split("\n}\n"):
        if block.strip():
            yield msgspec.json.decode(block + "\n}", type=_Package)


def _is_local(package: _Package, source: Path) -> bool:
    if package.standard or not package.dir:
        return False
    vendored = package.dir.startswith(f"{source}/")
    return vendored or package.module is None or package.module.is_local


def _directories(package: _Package, hasher: Hasher) -> Iterator[SourceDirectory]:
    yield snapshot(package.dir, list(package.embed_files), hasher)
    watched = {_watched(package.dir, pattern) for pattern in package.embed_patterns}
    for directory in sorted(watched - {""}):
        yield embed_snapshot(directory, hasher)


def _watched(directory: str, pattern: str) -> str:
    """Return the directory in which a new file could match a go:embed pattern, or nothing."""
    parts = pattern.removeprefix("all:").split("/")
    plain = list(itertools.takewhile(lambda part: not any(c in part for c in "*?["), parts))
    path = Path(directory, *plain)
    return str(path) if path.is_dir() else ""


def _module_files(packages: Iterable[_Package], source: Path) -> set[str]:
    found = {str(folder / name) for folder in (source, *source.parents) for name in _WORKSPACE}
    found |= {str(source / name) for name in ("go.mod", "go.sum", "vendor/modules.txt")}
    for package in packages:
        module = package.module and (package.module.replace or package.module)
        if module is not None and module.go_mod:
            found.add(module.go_mod)
            found.add(module.go_mod.removesuffix("mod") + "sum")
    return found


_WORKSPACE = ("go.work", "go.work.sum")


def _relative(directory: str, source: Path) -> str:
    try:
        return Path(directory).relative_to(source).as_posix()
    except ValueError:
        return ""


def _moved(sources: list[SourceDirectory], hasher: Hasher, started_ns: int) -> bool:
    limit = started_ns - RACY_NS
    paths = [item for item in sources if item.path]
    files = [f"{item.path}/{name}" for item in paths for name, _ in item.files]
    files += [name for item in sources if not item.path for name, _ in item.files]
    states = hasher.states(files)
    if any(max(state.mtime_ns, state.ctime_ns) >= limit for state in states.values()):
        return True
    # A file that was removed or renamed away shows in its directory's time alone.
    folders = {item.path for item in paths if Path(item.path).is_dir()}
    return any(Path(folder).stat().st_mtime_ns >= limit for folder in folders)
