"""The license texts of Go modules, as their sources bring them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from buildkit.errors import BuildError
from buildkit.release.archive import Entry

_NAME = re.compile(
    r"(?:licen[cs]e|copying|copyright|notice|patents|unlicense)(?:[-_. ].*)?|.*\.licen[cs]e",
    re.IGNORECASE,
)
_OWN = re.compile(r"(?:licen[cs]e|copying|unlicense)(?:[-_. ].*)?", re.IGNORECASE)
_CODE = (".go", ".s", ".c", ".h", ".py", ".sh", ".json", ".yaml", ".yml", ".tmpl")


class ModuleVersion(Struct, frozen=True, order=True):
    """A module that is linked into a binary."""

    path: str
    version: str

    @property
    def folder(self) -> str:
        """Where the module cache has it: upper case as ``!`` and lower (go.dev/ref/mod)."""
        return f"{_escaped(self.path)}@{_escaped(self.version)}"


def license_entries(
    modules: Iterable[ModuleVersion], cache: Path, *, vendor: Path, known: Iterable[str] = ()
) -> tuple[Entry, ...]:
    """Return the license files of modules, each below the module's path and version.

    Args:
        modules: what is linked.
        cache: GOMODCACHE.
        vendor: the tree's own copies of modules; need not be there.
        known: paths of modules that have no license file, which somebody has looked into.

    Raises:
        BuildError: a module has none, or is not in the cache.
    """
    found: list[Entry] = []
    missing: list[str] = []
    for module in sorted(set(modules)):
        files = tuple(_texts(vendor / module.path)) or tuple(_texts(cache / module.folder))
        if not files and module.path not in known:
            missing.append(f"{module.path} {module.version}")
        found += [Entry(name=f"{module.folder}/{file.name}", path=file) for file in files]
    if missing:
        several = f"{len(missing)} modules have" if len(missing) > 1 else "a module has"
        raise BuildError(
            f"{several} no license file",
            details="\n".join(missing),
            resolution=f"Looked for in {cache}. Download them with `go mod download`; name a "
            "module that really has none in release.unlicensed.",
        )
    return tuple(found)


def standard_license(goroot: Path, release: str, *, known: Iterable[str] = ()) -> tuple[Entry, ...]:
    """Return the license files of Go's own library, which is in every binary.

    Raises:
        BuildError: there is none, as some distributions package Go.
    """
    files = tuple(_texts(goroot))
    if not files and "std" not in known:
        raise BuildError(
            f"Go's own library has no license file in {goroot}",
            resolution="Use a Go that brings it, as `[go] toolchain` pins one; or name std in "
            "release.unlicensed.",
        )
    return tuple(Entry(name=f"std@{release}/{file.name}", path=file) for file in files)


def own_license(folders: Iterable[Path]) -> Path | None:
    """Return the license file of a project, LICENSE, COPYING or one called like these."""
    texts = (path for folder in folders for path in _texts(folder))
    return next((path for path in texts if _OWN.fullmatch(path.name)), None)


def _texts(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        named = _NAME.fullmatch(path.name) and not path.name.lower().endswith(_CODE)
        if named and path.is_file():
            yield path


def _escaped(text: str) -> str:
    return re.sub("[A-Z]", lambda match: f"!{match[0].lower()}", text)
