"""Pinned Debian packages: resolving them for the lock, and downloading them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from buildkit.config.lock import PackagePin
from buildkit.digest import Digest
from buildkit.errors import FetchError
from buildkit.images.archive import DebianArchive, pin_of

if TYPE_CHECKING:
    from debian.deb822 import Packages

_OK = 200
_GONE = frozenset({404, 410})


class FetchedPackage(Struct, frozen=True, kw_only=True):
    """A package file that is what its pin says."""

    pin: PackagePin
    path: Path


def resolve_packages(
    archive: DebianArchive,
    names: tuple[str, ...],
    architectures: tuple[str, ...],
    *,
    warn: Callable[[str], None],
) -> dict[str, tuple[PackagePin, ...]]:
    """Return the pins of exactly these packages, by Debian architecture.

    Dependencies are not followed: the list is the whole base. What a package
    depends on and the list lacks goes to ``warn``, once.

    Raises:
        ConfigError: the suite has no such package.
        FetchError: the archive fails or its signature is not valid.
        EnvironmentMissingError: gpgv or a keyring is missing.
    """
    pins: dict[str, tuple[PackagePin, ...]] = {}
    unmet: dict[str, None] = {}
    for architecture in architectures:
        found = archive.current(names, architecture)
        pins[architecture] = tuple(pin_of(found[name]) for name in sorted(names))
        unmet |= dict.fromkeys(_unmet(found))
    for text in unmet:
        warn(text)
    return pins


def fetch_packages(
    archive: DebianArchive,
    pins: tuple[PackagePin, ...],
    architecture: str,
    *,
    warn: Callable[[str], None],
) -> tuple[FetchedPackage, ...]:
    """Return every pinned package, from the store or the archive.

    An archive deletes a version when it has a newer one. Then the suite's
    current version is taken, verified by the archive's signature, and ``warn``
    is told, so that nobody believes the pin was used.

    Raises:
        FetchError: a download fails, or is not what was pinned or signed.
    """
    fetched = {pin.name: _fetch(archive, pin) for pin in pins}
    gone = tuple(pin for pin in pins if fetched[pin.name] is None)
    for old, new in _replacements(archive, gone, architecture):
        path = _fetch(archive, new)
        if path is None:
            raise FetchError(
                f"{archive.url} lists {new.name} {new.version} but does not have it",
                resolution="Try again later, or name another archive with --debian-archive.",
            )
        warn(
            f"{old.name} {old.version} is gone from {archive.url}: "
            f"{new.version} is used instead; `invoke lock` pins it"
        )
        fetched[old.name] = FetchedPackage(pin=new, path=path.path)
    return tuple(item for item in fetched.values() if item is not None)


def _replacements(
    archive: DebianArchive, gone: tuple[PackagePin, ...], architecture: str
) -> Iterator[tuple[PackagePin, PackagePin]]:
    if gone:
        current = archive.current((pin.name for pin in gone), architecture)
        for pin in gone:
            yield pin, pin_of(current[pin.name])


def _fetch(archive: DebianArchive, pin: PackagePin) -> FetchedPackage | None:
    digest = Digest(pin.sha256)
    path = archive.store.get(digest)
    if path is not None:
        return FetchedPackage(pin=pin, path=path)
    address = f"{archive.url}/{pin.file}"
    with archive.store.workspace() as folder:
        part = folder / "package.deb"
        with archive.pool.open("GET", address) as response:
            if response.status in _GONE:
                return None
            if response.status != _OK:
                raise FetchError(f"{address} answers {response.status}")
            size = _save(response.stream(), part, pin.size)
        if size != pin.size or Digest.of_file(part) != digest:
            raise FetchError(
                f"{address} is not what the lock pins",
                details=f"Expected {pin.size} bytes with sha256 {pin.sha256}.",
                resolution="The archive or a proxy alters it: name another archive "
                "with --debian-archive.",
            )
        _, path = archive.store.put_file(part)
    return FetchedPackage(pin=pin, path=path)


def _save(blocks: Iterator[bytes], target: Path, limit: int) -> int:
    size = 0
    with target.open("wb") as stream:
        for block in blocks:
            size += len(block)
            if size > limit:
                return size
            stream.write(block)
    return size


def _unmet(found: Mapping[str, Packages]) -> Iterator[str]:
    provided = set(found)
    for package in found.values():
        provided |= {name for options in _relations(package, "provides") for name in options}
    for name, package in sorted(found.items()):
        for kind in ("pre-depends", "depends"):
            for options in _relations(package, kind):
                if not provided.intersection(options):
                    yield f"{name} depends on {' or '.join(options)}, which the list lacks"


def _relations(package: Packages, kind: str) -> Iterator[tuple[str, ...]]:
    # Each inner tuple is a choice between package names.
    for group in package.relations[kind] or ():
        yield tuple(option["name"] for option in group)
