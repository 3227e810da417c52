"""Whether the programs of an image find their C library in it, before anything gets the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from buildkit.errors import VerificationError
from buildkit.glibc import Glibc, Linkage, find_version, fitting, read_linkage
from buildkit.images.tree import Tree
from buildkit.oci.layer import EntryType
from buildkit.oci.tarstream import content_blocks, content_size
from buildkit.plan.units import Artifact, Kind

_LIBRARY = "libc.so.6"
_FOLDERS = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib", "opt")
"""Where a C library can be, its own prefix included; a whole file system is large."""


def linked_programs(files: Iterable[Path]) -> dict[Path, Linkage]:
    """Return what the dynamically linked ones of some programs need."""
    found = ((path, read_linkage(path)) for path in files)
    return {path: linkage for path, linkage in found if linkage is not None}


def made_by_commands(
    context: Iterable[tuple[str, str]], given: Mapping[str, Artifact]
) -> Iterator[Path]:
    """Yield the files of an image's context that commands made.

    Args:
        context: see :class:`buildkit.plan.units.BuildImage`.
        given: what the image needs, by unit id.
    """
    made = {item.path for unit, item in given.items() if unit.startswith(f"{Kind.COMMAND}/")}
    for path in (Path(need.removeprefix("file:")) for _, need in context):
        if path.is_file() and made & set(path.parents):
            yield path


def tree_glibc(tree: Tree) -> Glibc | None:
    """Return the newest glibc in a file system; None where there is none."""
    found = {
        entry.path: entry
        for folder in _FOLDERS
        for item in tree.below(folder)
        if item.path.rpartition("/")[2] == _LIBRARY and (entry := tree.find(item.path))
    }
    versions = (
        find_version(content_blocks(entry.content, content_size(entry.content)))
        for entry in found.values()
        if entry.type is EntryType.FILE
    )
    return max(filter(None, versions), default=None)


def check_libc(tree: Tree, programs: Mapping[Path, Linkage], image: str, base: str) -> None:
    """Check that an image has what its programs need of a C library.

    Args:
        tree: the image's files.
        programs: what they need, see :func:`linked_programs`; those that the image does not
            hold do not count.
        image: what it is called in messages.
        base: what its base is called there.

    Raises:
        VerificationError: a program could not start; the message names a base that fits.
    """
    sizes = _program_sizes(tree) if programs else frozenset[int]()
    held = {path: item for path, item in programs.items() if path.stat().st_size in sizes}
    check_every(tree, held, image, base)


def check_every(tree: Tree, programs: Mapping[Path, Linkage], image: str, base: str) -> None:
    """Check what :func:`check_libc` does, for programs that will be put there later too.

    Raises:
        VerificationError: a program could not start.
    """
    has = tree_glibc(tree) if programs else None
    for path, linkage in programs.items():
        if problem := libc_problem(path.name, linkage, has, base, loads=_loads(tree, linkage)):
            raise VerificationError(
                f"{image} cannot work: {problem}", resolution=libc_advice(path.name, linkage)
            )


def libc_problem(
    name: str, linkage: Linkage, has: Glibc | None, base: str, *, loads: bool = True
) -> str:
    """Say why a program cannot start with a base's C library; empty where it can.

    Args:
        name: the program.
        linkage: what it needs.
        has: the glibc that there is; None where there is none, or it is not known.
        base: what has it.
        loads: the program's loader is there.
    """
    needs = f"glibc {linkage.glibc}" if linkage.glibc else "a C library"
    if not loads:
        there = f"{base} has glibc {has}, but not that file" if has else f"{base} has no C library"
        return f"{name} needs {needs}, through {linkage.loader}, and {there}"
    if linkage.glibc and has and has < linkage.glibc:
        return f"{name} needs {needs}, and {base} has {has}"
    return ""


def libc_advice(name: str, linkage: Linkage) -> str:
    """Say which bases a program would run on."""
    if linkage.glibc is None:
        return f"Give the image a base with {linkage.loader}, or take a static build of {name}."
    return (
        f"Give the image a base with glibc {linkage.glibc} or newer, such as "
        f"{fitting(linkage.glibc)}; or take a build of {name} for an older one."
    )


def _loads(tree: Tree, linkage: Linkage) -> bool:
    return tree.find(linkage.loader) is not None


def _program_sizes(tree: Tree) -> frozenset[int]:
    """Return the sizes of all programs: large ones differ in it, and a hash takes longer."""
    return frozenset(
        content_size(entry.content)
        for entry in tree.below("")
        if entry.type is EntryType.FILE and entry.mode & 0o111
    )
