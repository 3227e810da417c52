"""What is wrong with an image's contents, found out once, where they are put together.

Headers are all that is read: of the program that a container starts, and of every
other executable, those of the base included.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.images.start import find_program, start_problem
from buildkit.images.tree import Tree
from buildkit.machine import HEADER_SIZE, Machine, parse_machine
from buildkit.oci.config import RunConfig
from buildkit.oci.layer import Entry, EntryType
from buildkit.oci.tarstream import BlockReader, content_blocks, content_head, content_size
from buildkit.plan.units import Artifact
from buildkit.platform import Platform

_FORMATS = frozenset({"ELF", "Mach-O"})
_ELF, _RELOCATABLE = b"\x7fELF", 1
_COMPANIONS = {"amd64": "386", "arm64": "arm"}
"""Programs of 32 bits that the usual 64-bit kernel runs too; libraries come in both."""
_NAMED = 3


def contents_problem(
    tree: Tree, config: RunConfig, platform: Platform, programs: Iterable[Artifact]
) -> str:
    """Say what is wrong; empty where nothing is.

    Args:
        tree: the image's files.
        config: how a container starts.
        platform: what the image is for.
        programs: the binaries that were made for it.
    """
    return (
        start_problem(tree, config, platform)
        or machine_problem(tree, platform)
        or _program_problem(tree, config, programs)
    )


def machine_problem(tree: Tree, platform: Platform) -> str:
    """Name the executables that are for another machine."""
    foreign = [
        f"/{entry.path} ({' and '.join(sorted(map(str, machines)))})"
        for entry in tree.below("")
        if entry.type is EntryType.FILE and entry.mode & 0o111
        if (machines := _machines(entry)) and not any(_runs(item, platform) for item in machines)
    ]
    if not foreign:
        return ""
    more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
    return f"it holds {', '.join(foreign[:_NAMED])}{more}, which {platform} does not run"


def _machines(entry: Entry) -> frozenset[Machine]:
    head = content_head(entry.content, HEADER_SIZE)
    # An object file, such as a program of eBPF, is loaded by programs and not started.
    if head.startswith(_ELF) and _elf_type(head) == _RELOCATABLE:
        return frozenset()
    try:
        machines = parse_machine(head, entry.path)
    except VerificationError:
        return frozenset()
    return frozenset(machine for machine in machines if machine.format in _FORMATS)


def _elf_type(head: bytes) -> int:
    order = "<" if head[5:6] == b"\1" else ">"
    return int(struct.unpack_from(f"{order}H", head.ljust(18, b"\0"), 16)[0])


def _runs(machine: Machine, platform: Platform) -> bool:
    companion = _COMPANIONS.get(platform.arch, platform.arch)
    return platform.os in machine.systems and machine.arch in {platform.arch, companion}


def _program_problem(tree: Tree, config: RunConfig, programs: Iterable[Artifact]) -> str:
    entry = find_program(tree, config)
    for artifact in programs if entry else ():
        if artifact.problem and entry and _is_same(entry, artifact):
            return f"its program {artifact.path and artifact.path.name} {artifact.problem}"
    return ""


def _is_same(entry: Entry, artifact: Artifact) -> bool:
    content = entry.content
    if isinstance(content, Path):
        return content == artifact.path
    if content_size(content) != artifact.size:
        return False
    blocks = content_blocks(content, artifact.size)
    return str(Digest.of_stream(BlockReader(blocks))) == artifact.digest
