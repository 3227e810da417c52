"""What an image holds: every executable for its machine, its program with the version."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from buildkit.digest import Digest
from buildkit.images.contents import contents_problem, machine_problem
from buildkit.images.tree import Tree
from buildkit.oci.config import RunConfig
from buildkit.oci.layer import Entry, symlink, write_layer
from buildkit.oci.listing import list_tar
from buildkit.oci.tarstream import Content, Slice
from buildkit.plan.units import Artifact
from buildkit.platform import Platform

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
X86_64, I386, AARCH64, BPF = 62, 3, 183, 247


def elf(machine: int, *, kind: int = 2, bits: int = 64) -> bytes:
    ident = b"\x7fELF" + bytes((bits // 32, 1, 1, 0)) + bytes(8)
    return ident + struct.pack("<HHI", kind, machine, 1) + bytes(64)


def mach(cpu: int) -> bytes:
    return struct.pack("<II", 0xFEEDFACF, cpu) + bytes(24)


def tree(*entries: Entry) -> Tree:
    return Tree.of(entries)


def program(path: str, content: Content, mode: int = 0o755) -> Entry:
    return Entry(path=path, content=content, mode=mode)


def test_executables_of_the_platform_scripts_and_data_are_no_problem() -> None:
    found = tree(
        program("bin/app", elf(X86_64)),
        program("bin/script", b"#!/bin/sh\n"),
        program("bin/empty", b""),
        program("bin/cut", b"\x7fELF"),
        program("lib/old", elf(I386, bits=32)),
        program("usr/lib/bpf.o", elf(BPF, kind=1)),
        program("etc/data", elf(AARCH64), mode=0o644),
        program("share/tool.exe", b"MZ" + bytes(100)),
        symlink("bin/link", "nowhere"),
    )
    assert machine_problem(found, AMD) == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (elf(X86_64), "/bin/app (ELF for linux/amd64)"),
        (elf(I386, bits=32), "/bin/app (ELF for linux/386)"),
        (elf(0x1234), "/bin/app (ELF for linux/machine 0x1234)"),
        (mach(0x0100000C), "/bin/app (Mach-O for darwin/arm64)"),
    ],
)
def test_an_executable_of_another_machine_is_named(content: bytes, words: str) -> None:
    found = machine_problem(tree(program("bin/app", content)), ARM)
    assert found == f"it holds {words}, which linux/arm64 does not run"


def test_one_execute_bit_of_anybody_is_enough_and_four_are_counted() -> None:
    foreign = [program(f"bin/{name}", elf(X86_64), mode=0o601) for name in "abcd"]
    found = machine_problem(tree(*foreign), ARM)
    assert "/bin/c (ELF for linux/amd64) and 1 more, which" in found


def test_the_executables_of_a_base_are_read_inside_its_tar(tmp_path: Path) -> None:
    layer = write_layer([program("usr/bin/tool", elf(X86_64))], tmp_path / "layer.tar")
    entries = list_tar(layer.path, name="layer")
    assert any(isinstance(entry.content, Slice) for entry in entries)
    assert machine_problem(Tree.of(entries), AMD) == ""
    assert "/usr/bin/tool" in machine_problem(Tree.of(entries), ARM)


def stale(path: Path, problem: str = "lacks '1.2' in main.version") -> Artifact:
    path.write_bytes(elf(X86_64))
    digest = str(Digest.of_file(path))
    size = path.stat().st_size
    return Artifact(
        unit="binary/app@linux/amd64", digest=digest, size=size, path=path, problem=problem
    )


RUN = RunConfig(entrypoint=("/bin/app",))


def test_a_program_without_the_version_is_a_problem_of_the_image_it_starts(
    tmp_path: Path,
) -> None:
    made = stale(tmp_path / "app")
    found = tree(program("bin/app", tmp_path / "app"))
    words = "its program app lacks '1.2' in main.version"
    assert contents_problem(found, RUN, AMD, (made,)) == words
    assert contents_problem(found, RUN, AMD, (stale(tmp_path / "app", ""),)) == ""


def test_another_program_of_the_image_does_not_count(tmp_path: Path) -> None:
    made = stale(tmp_path / "other")
    found = tree(
        program("bin/app", elf(X86_64, bits=64) + b"x"), program("bin/other", made.path or b"")
    )
    assert contents_problem(found, RUN, AMD, (made,)) == ""


def test_a_program_that_a_daemon_copied_is_known_by_its_content(tmp_path: Path) -> None:
    made = stale(tmp_path / "app")
    for path, expected in ((tmp_path / "app", True), (tmp_path / "bent", False)):
        (tmp_path / "bent").write_bytes(elf(X86_64)[:-1] + b"x")
        layer = write_layer([program("bin/app", path)], tmp_path / "layer.tar")
        found = Tree.of(list_tar(layer.path, name="layer"))
        assert bool(contents_problem(found, RUN, AMD, (made,))) is expected


def test_what_cannot_start_is_said_first() -> None:
    found = tree(program("bin/x", elf(AARCH64)))
    assert contents_problem(found, RUN, AMD, ()) == "it starts /bin/app, which is not in the image"


def test_a_program_that_is_not_executable_is_said() -> None:
    found = tree(program("bin/app", elf(X86_64), mode=0o644))
    assert contents_problem(found, RUN, AMD, ()).endswith("which is not executable")
