"""Build information, found in files that are laid out as Go's linker lays them out."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.attest.buildinfo import (
    Module,
    find_build_info,
    parse_modules,
    read_build_info,
)

TEXT = (
    "path\texample.com/mesh/cmd/pilot\n"
    "mod\texample.com/mesh\t(devel)\t\n"
    "dep\tgithub.com/spf13/cobra\tv1.10.2\th1:DMTTonx5m65Ic0GOoRY2c16WCbHxOOw6xxezuLaBpcU=\n"
    "dep\texample.com/old\tv1.0.0\n"
    "=>\texample.com/new\tv1.1.0\th1:9exaQaMOCwffKiiiYk6/BndUBv+iRViNW+4lEMi0PvY=\n"
    "dep\texample.com/local\tv0.0.0\n"
    "=>\t../local\t\n"
    "build\t-tags=a,b\n"
    "build\t-ldflags=\"-X 'main.a=b c'\"\n"
    "build\tCGO_LDFLAGS=\n"
)


def blob(text: str = TEXT, go: str = "go1.26.8", flags: int = 2) -> bytes:
    framed = b"0w\xaf\x0c\x92t\x08\x02A\xe1\xc1\x07\xe6\xd6\x18\xe6" + text.encode()
    framed += b"\xf92C1\x86\x18 r\x00\x82B\x10A\x16\xd8\xf2"
    head = b"\xff Go buildinf:" + bytes((8, flags)) + bytes(16)
    return head + varint(len(go)) + go.encode() + varint(len(framed)) + framed


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def elf(content: bytes, before: bytes) -> bytes:
    """An ELF file of two sections: names, and the build information."""
    names = b"\0.shstrtab\0.go.buildinfo\0"
    start = 64 + len(names) + len(before)
    start += -start % 16
    body = (names + before).ljust(start - 64, b"\0") + content
    table = 64 + len(body)

    def section(name: int, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, offset, size, 0, 0, 1, 0)

    sections = section(0, 0, 0) + section(1, 64, len(names)) + section(11, start, len(content))
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, table, 0, 64, 56, 0, 64, 3, 1)
    return head + body + sections


def mach(content: bytes, before: bytes) -> bytes:
    """A Mach-O file of one segment with one section."""
    head = struct.pack("<8I", 0xFEEDFACF, 0x01000007, 3, 2, 1, 72 + 80, 0, 0)
    place = 32 + 72 + 80 + len(before)
    place += -place % 16
    segment = struct.pack("<II16sQQQQIIII", 0x19, 152, b"__DATA", 0, 0, 0, 0, 0, 0, 1, 0)
    section = struct.pack(
        "<16s16sQQIIIIIIII",
        b"__go_buildinfo",
        b"__DATA",
        0,
        len(content),
        place,
        4,
        0,
        0,
        0,
        0,
        0,
        0,
    )
    return (head + segment + section + before).ljust(place, b"\0") + content


@pytest.mark.parametrize("made", [elf, mach])
def test_the_section_counts_and_not_what_is_embedded_before_it(made: object) -> None:
    assert callable(made)
    other = bytes(8) + blob("path\tembedded\n") + bytes(3)
    found = find_build_info(made(blob(), other))
    assert found is not None
    assert found.path == "example.com/mesh/cmd/pilot"


def test_everything_that_the_linker_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pilot"
    path.write_bytes(elf(blob(), b""))
    found = read_build_info(path)
    assert found is not None
    assert (found.go, found.main) == (
        "go1.26.8",
        Module(path="example.com/mesh", version="(devel)"),
    )
    cobra, old, local = found.modules
    assert (cobra.version, cobra.sum[:5], cobra.used) == ("v1.10.2", "h1:DM", cobra)
    assert old.used.path == "example.com/new"
    assert not old.is_local
    assert local.is_local
    assert dict(found.settings) == {
        "-tags": "a,b",
        "-ldflags": "-X 'main.a=b c'",
        "CGO_LDFLAGS": "",
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#!/bin/sh\n",
        blob()[:40],
        blob(flags=0),
        blob(go="x"),
        b"MZ" + bytes(5) + b"\xff Go buildinf:",
        elf(b"", b"")[:70],
    ],
)
def test_what_has_none_is_no_error(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert read_build_info(path) is None


def test_in_other_formats_the_file_is_searched() -> None:
    found = find_build_info(b"MZ".ljust(64) + blob())
    assert found is not None
    assert found.go == "go1.26.8"


def test_a_quoted_key_is_read() -> None:
    assert parse_modules('build\t"a=b"=c\n', "go1").settings == (("a=b", "c"),)


@given(st.binary(max_size=200), st.integers(0, 300))
def test_damage_is_never_a_crash(noise: bytes, place: int) -> None:
    for data in (elf(blob(), b""), mach(blob(), b""), blob()):
        find_build_info(data[:place] + noise + data[place + len(noise) :])
