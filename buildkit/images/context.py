"""Build contexts that hold only what a Dockerfile copies, the same bytes every time."""

from __future__ import annotations

import difflib
import fnmatch
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from buildkit.errors import ConfigError
from buildkit.images.dockerfile import Dockerfile
from buildkit.images.stages import Copy, Stage
from buildkit.oci.layer import Entry, directory, file, parents, symlink, write_layer

DOCKERFILE_NAME = ".buildkit.Dockerfile"
"""The rendered Dockerfile's name in the context; not one that COPY . would take along."""

_EXECUTABLE = 0o755
_PLAIN = 0o644


def context_entries(
    sources: Mapping[str, Path], *, binaries: frozenset[str] = frozenset()
) -> tuple[Entry, ...]:
    """Return every file of a context, directories expanded.

    Modes are 0755 for binaries and whatever has an executable bit, else 0644:
    the umask of a checkout must not reach an image.

    Args:
        sources: name in the context, and the file or directory it is.
        binaries: the names that are executable whatever their mode.

    Raises:
        ConfigError: a source does not exist or is no file, directory or link.
    """
    entries: dict[str, Entry] = {}
    for name, path in sources.items():
        for entry in _walk(name, path):
            if entry.path in binaries:
                entries[entry.path] = file(entry.path, path, _EXECUTABLE)
            else:
                entries[entry.path] = entry
    return tuple(entries[path] for path in sorted(entries))


def select(
    entries: tuple[Entry, ...], dockerfile: Dockerfile, stages: tuple[Stage, ...]
) -> tuple[Entry, ...]:
    """Return the entries that the stages copy from the context.

    Raises:
        ConfigError: a source leads out of the context or matches nothing; the
            message names the line and what is there.
    """
    wanted: set[str] = set()
    for stage in stages:
        for copy in stage.copies:
            if copy.origin is None and not copy.instruction.heredocs and not copy.is_remote:
                wanted |= _matches(entries, dockerfile, copy)
    return tuple(item for item in entries if item.path in wanted)


def write_context(entries: Iterable[Entry], dockerfile: str, target: Path) -> None:
    """Write the tar that is sent to the daemon.

    The daemon reads the Dockerfile and then removes what ``.dockerignore``
    names, so that neither is there to be copied.
    """
    hidden = f"{DOCKERFILE_NAME}\n.dockerignore\n".encode()
    added = (file(DOCKERFILE_NAME, dockerfile.encode()), file(".dockerignore", hidden))
    write_layer((*entries, *added), target)


def _walk(name: str, path: Path) -> Iterator[Entry]:
    try:
        info = path.stat()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be put in the build context as {name}",
            details=error.strerror or "",
            resolution="Correct the path under images.<name>.files.",
        ) from error
    if not stat.S_ISDIR(info.st_mode):
        yield file(name, path, _EXECUTABLE if info.st_mode & 0o111 else _PLAIN)
        return
    yield directory(name)
    with os.scandir(path) as found:
        children = sorted(found, key=lambda item: item.name)
    for child in children:
        inner = f"{name}/{child.name}"
        if child.is_symlink():
            yield symlink(inner, str(Path(child.path).readlink()))
        else:
            yield from _walk(inner, Path(child.path))


def _matches(entries: tuple[Entry, ...], dockerfile: Dockerfile, copy: Copy) -> set[str]:
    wanted: set[str] = set()
    for source in copy.sources:
        pattern = _normal(source, dockerfile, copy)
        found = {item.path for item in entries if _covers(pattern, item.path)}
        if not found and pattern:
            raise _missing(source, pattern, entries, dockerfile, copy)
        wanted |= found
    # The directories above a file carry its mode into a copied tree.
    return wanted | {parent for path in wanted for parent in parents(path)}


def _normal(source: str, dockerfile: Dockerfile, copy: Copy) -> str:
    normal = posixpath.normpath(source.lstrip("/") or ".")
    if normal == ".." or normal.startswith("../"):
        raise dockerfile.error(
            copy.instruction.line,
            f"{source} leads out of the build context",
            resolution="Name the file under images.<name>.files and copy it by that name.",
        )
    return "" if normal == "." else normal


def _covers(pattern: str, path: str) -> bool:
    # A directory covers what is below it; a star does not cross a slash.
    wanted, parts = pattern.split("/") if pattern else [], path.split("/")
    return len(parts) >= len(wanted) and all(
        fnmatch.fnmatchcase(part, one.replace("[^", "[!"))
        for part, one in zip(parts, wanted, strict=False)
    )


def _missing(
    source: str,
    pattern: str,
    entries: tuple[Entry, ...],
    dockerfile: Dockerfile,
    copy: Copy,
) -> ConfigError:
    names = [item.path for item in entries]
    near = difflib.get_close_matches(pattern, names, n=1)
    there = ", ".join(names[:20]) or "nothing"
    return dockerfile.error(
        copy.instruction.line,
        f"{source} is not in the build context, which holds {there}",
        resolution=f"Did you mean {near[0]}?"
        if near
        else "Name it under images.<name>.binaries or images.<name>.files.",
    )
