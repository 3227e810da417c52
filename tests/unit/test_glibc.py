"""What a program needs of a C library, and which release a C library is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildkit.glibc import (
    DISTRIBUTIONS,
    Glibc,
    Linkage,
    find_version,
    fitting,
    read_linkage,
)
from tests.fakes.dynamic import LOADER, make_dynamic, make_libc
from tests.unit.build.elf import TEXT, make_elf


def linkage_of(content: bytes, folder: Path) -> Linkage | None:
    path = folder / "program"
    path.write_bytes(content)
    return read_linkage(path)


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"libc.so.6": ("GLIBC_2.2.5", "GLIBC_2.17")}, "2.17"),
        ({"libc.so.6": ("GLIBC_2.9",), "libm.so.6": ("GLIBC_2.29", "GLIBC_2.4")}, "2.29"),
        ({"libc.so.6": ("GLIBC_2.34", "GLIBC_ABI_DT_RELR")}, "2.36"),
        ({"libstdc++.so.6": ("GLIBCXX_3.4.29",), "libc.so.6": ("GLIBC_2.3.4",)}, "2.3"),
        ({"libc.so.6": ("GLIBC_PRIVATE",)}, "None"),
        ({}, "None"),
    ],
)
def test_the_newest_version_over_all_libraries_counts(
    needs: dict[str, tuple[str, ...]], expected: str, tmp_path: Path
) -> None:
    found = linkage_of(make_dynamic(needs), tmp_path)
    assert found is not None
    assert (found.loader, str(found.glibc)) == (LOADER, expected)


def test_a_static_program_and_what_is_no_elf_need_nothing(tmp_path: Path) -> None:
    for content in (make_elf(TEXT), make_elf(TEXT, order=">"), b"", b"\x7fELF", b"#!/bin/sh\n"):
        assert linkage_of(content, tmp_path) is None


def test_a_cut_file_says_nothing(tmp_path: Path) -> None:
    whole = make_dynamic({"libc.so.6": ("GLIBC_2.17",)})
    for size in range(len(whole)):
        found = linkage_of(whole[:size], tmp_path)
        assert found is None or found.loader == LOADER


WHOLE = make_dynamic({"libc.so.6": ("GLIBC_2.17", "GLIBC_2.30")})


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.integers(4, len(WHOLE) - 1), st.integers(0, 255), min_size=1))
def test_damaged_bytes_are_read_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, damage: dict[int, int]
) -> None:
    content = bytearray(WHOLE)
    for place, value in damage.items():
        content[place] = value
    linkage_of(bytes(content), tmp_path_factory.getbasetemp())


def test_a_library_says_its_release_wherever_blocks_end() -> None:
    content = make_libc("2.31")
    for size in (7, 100, len(content)):
        blocks = [content[at : at + size] for at in range(0, len(content), size)]
        assert find_version(blocks) == Glibc(2, 31)
    assert find_version([make_libc("2.17", "GNU libc"), b"rest"]) == Glibc(2, 17)
    assert find_version([b"musl libc"]) is None


def test_releases_are_ordered() -> None:
    for _, releases in DISTRIBUTIONS:
        versions = [glibc for _, glibc in releases]
        assert versions == sorted(versions)


def test_the_oldest_release_that_fits_is_named_per_distribution() -> None:
    assert (
        fitting(Glibc(2, 30)) == "debian bullseye (2.31), ubuntu focal (2.31), rockylinux 9 (2.34)"
    )
    assert fitting(Glibc(2, 17)).count("(") == 4
    assert fitting(Glibc(9, 0)) == ""
    assert Glibc.parse("2.9") < Glibc.parse("2.30")
