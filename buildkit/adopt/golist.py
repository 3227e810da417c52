"""What `go list` says of a tree: its main packages, and what stands in the way of each."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.adopt.model import Binary
from buildkit.decoding import decode_json
from buildkit.errors import BuildError
from buildkit.proc import Runner
from buildkit.toolchain import Toolchain
from buildkit.toolchain.accept import compare_versions

_FIELDS = "-json=ImportPath,Name,Dir,Error,DepsErrors"
_MAJOR = re.compile(r"v[0-9]+")
_VAGUE = frozenset({"app", "cmd", "main", "src"})
"""Names of directories that say nothing of the program in them."""
_UNREACHED = re.compile(
    r"reading \S+://|dial tcp|lookup disabled|GOPROXY|no such host|i/o timeout|verifying "
)
"""How errors begin that say something of the network alone; see `go help goproxy`."""


class _Problem(Struct, frozen=True, rename="pascal"):
    err: str = ""


class Package(Struct, frozen=True, rename="pascal"):
    """A package of the tree, as ``go list -e`` describes it."""

    import_path: str
    name: str = ""
    dir: str = ""
    error: _Problem | None = None
    deps_errors: tuple[_Problem, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """The errors of it and of what it imports, a line each."""
        own = (self.error,) if self.error is not None else ()
        lines = (item.err.strip().partition("\n")[0] for item in (*own, *self.deps_errors))
        return tuple(dict.fromkeys(line for line in lines if line))


def list_packages(
    go: Toolchain, environment: Mapping[str, str], runner: Runner, tree: Path, system: str
) -> tuple[Package, ...]:
    """Ask Go for the packages of the module at the root of a tree.

    Args:
        go: what is asked.
        environment: the whole environment of the child.
        runner: starts it.
        tree: the directory with go.mod.
        system: GOOS; files of other systems do not count.

    Raises:
        BuildError: Go cannot read the module at all.
    """
    env = {**environment, "GOOS": system, "CGO_ENABLED": "0"}
    # Go 1.19 began to take the names of fields; one before prints them all.
    fields = _FIELDS if compare_versions(go.version, "1.19") >= 0 else "-json"
    done = runner.run([str(go.go), "list", "-e", fields, "./..."], env=env, cwd=tree)
    return parse_listing(done.check(f"go list does not understand {tree}").stdout)


def parse_listing(listing: bytes) -> tuple[Package, ...]:
    """Decode what ``go list -json`` printed: one indented object after another, no array."""
    try:
        return tuple(
            decode_json(block + "\n}", Package)
            for block in listing.decode().split("\n}\n")
            if block.strip()
        )
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BuildError("go list printed something else than packages") from error


def main_packages(
    listings: Mapping[str, tuple[Package, ...]], tree: Path, module: str
) -> tuple[Binary, ...]:
    """Return a binary for each main package, under a name of its own.

    A package that one system cannot build is for the others; what only the network
    kept from being looked at is a doubt.

    Args:
        listings: the packages by GOOS.
        tree: the root of the module.
        module: its path, which names a program at the root.
    """
    found: dict[str, dict[str, Package]] = {}
    for system, packages in listings.items():
        for package in packages:
            if package.name == "main" and package.dir:
                found.setdefault(_below(package, tree), {})[system] = package
    names = _names(found, module)
    return tuple(_binary(names[path], path, found[path], listings) for path in sorted(found))


def _below(package: Package, tree: Path) -> str:
    path = Path(package.dir).resolve()
    return "." if path == tree else f"./{path.relative_to(tree).as_posix()}"


def _binary(
    name: str, path: str, by_system: Mapping[str, Package], listings: Iterable[str]
) -> Binary:
    blocked = {system: _blocking(package) for system, package in by_system.items()}
    good = tuple(system for system, reasons in blocked.items() if not reasons)
    doubts = [text for package in by_system.values() for text in package.problems]
    missing = [system for system in listings if system not in good]
    if not good:
        reasons = [text for found in blocked.values() for text in found]
        return Binary(name=name, package=path, left_out=reasons[0])
    open_ends = [text for text in doubts if _UNREACHED.search(text)]
    doubt = f"not all could be looked at: {open_ends[0]}" if open_ends else ""
    return Binary(name=name, package=path, systems=good if missing else (), doubt=doubt)


def _blocking(package: Package) -> tuple[str, ...]:
    return tuple(text for text in package.problems if not _UNREACHED.search(text))


def _names(paths: Iterable[str], module: str) -> dict[str, str]:
    """Name programs after their directories, as Go does; those alike after more of the path."""
    parts = {path: _telling_parts(path, module) for path in paths}
    taken: set[str] = {"logs"}
    names: dict[str, str] = {}
    # Go's own name goes before one that is made up, and a short path before a long one.
    for path in sorted(parts, key=lambda path: (_is_vague(path), path.count("/"), path)):
        choices = (_join(parts[path][-length:]) for length in range(1, len(parts[path]) + 1))
        whole = _valid(path.removeprefix("./").replace("/", "-"))
        numbers = (f"{whole}-{number}" for number in itertools.count(2))
        every = itertools.chain(choices, (whole,), numbers)
        names[path] = next(name for name in every if name and name.lower() not in taken)
        taken.add(names[path].lower())
    return names


def _telling_parts(path: str, module: str) -> list[str]:
    parts = [part for part in path.split("/") if part != "." and not _MAJOR.fullmatch(part)]
    return [part for part in parts if part not in _VAGUE] or parts or [_last(module)]


def _is_vague(path: str) -> bool:
    last = posixpath.basename(path)
    return last in _VAGUE or _MAJOR.fullmatch(last) is not None


def _join(parts: list[str]) -> str:
    return _valid("-".join(parts))


def _valid(name: str) -> str:
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]", "", name)


def _last(module: str) -> str:
    parts = [part for part in module.split("/") if not _MAJOR.fullmatch(part)]
    return posixpath.basename(parts[-1]) if parts else "program"
