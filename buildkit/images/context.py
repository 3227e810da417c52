"""Build contexts that hold only what a Dockerfile copies, the same bytes every time."""

from __future__ import annotations

import difflib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from buildkit.errors import ConfigError
from buildkit.images.copying import find_sources
from buildkit.images.dockerfile import Dockerfile
from buildkit.images.stages import Copy, Stage
from buildkit.images.tree import LinkLoopError, Tree
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
    """Return the entries that the stages copy from the context, what links lead to included.

    Raises:
        ConfigError: a source leads out of the context, does not exist, or is a loop of
            links; the message names the line and what is there.
    """
    tree = Tree.of(entries)
    wanted: set[str] = set()
    for stage in stages:
        for copy in stage.copies:
            if copy.origin is None and not copy.instruction.heredocs and not copy.is_remote:
                for source in copy.sources:
                    wanted |= _reached(tree, source, dockerfile, copy)
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
    if not stat.S_ISDIR(info.st_mode) and not stat.S_ISREG(info.st_mode):
        raise ConfigError(
            f"{path} cannot be put in the build context as {name}",
            details="It is a device, a socket or a pipe.",
            resolution="Leave it out, or name the files beside it under images.<name>.files.",
        )
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


def _reached(tree: Tree, source: str, dockerfile: Dockerfile, copy: Copy) -> set[str]:
    line = copy.instruction.line
    normal = posixpath.normpath(source.lstrip("/") or ".")
    if normal == ".." or normal.startswith("../"):
        raise dockerfile.error(
            line,
            f"{source} leads out of the build context",
            resolution="Name the file under images.<name>.files and copy it by that name.",
        )
    passed: list[str] = []
    found: list[str] = []
    names = find_sources(
        tree, normal, lambda problem: dockerfile.error(line, problem), passed=passed
    )
    for name in names:
        try:
            found.append(tree.resolve(name, passed=passed))
        except LinkLoopError as error:
            raise dockerfile.error(line, str(error)) from error
        if tree.get(found[-1]) is None:
            raise _missing(source, name, tree.below(""), dockerfile, copy)
    below = {item.path for path in found for item in tree.below(path)}
    wanted = {*passed, *found, *below}
    # The directories above a file carry its mode into a copied tree.
    return wanted | {parent for path in wanted for parent in parents(path)}


def _missing(
    source: str,
    name: str,
    entries: tuple[Entry, ...],
    dockerfile: Dockerfile,
    copy: Copy,
) -> ConfigError:
    names = [item.path for item in entries]
    near = difflib.get_close_matches(name, names, n=1)
    there = ", ".join(names[:20]) or "nothing"
    return dockerfile.error(
        copy.instruction.line,
        f"{source} is not in the build context, which holds {there}",
        resolution=f"Did you mean {near[0]}?"
        if near
        else "Name it under images.<name>.binaries or images.<name>.files.",
    )
