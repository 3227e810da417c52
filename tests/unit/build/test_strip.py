from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildkit.build.strip import is_elf, strip_elf
from buildkit.errors import FetchError
from buildkit.machine import check_machine
from buildkit.platform import Platform
from tests.unit.build.elf import (
    BSS,
    DATA,
    DEBUG,
    HEADER,
    SYMBOLS,
    TEXT,
    Section,
    make_elf,
    section_names,
)


def stripped(tmp_path: Path, content: bytes) -> bytes:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    strip_elf(source, target)
    return target.read_bytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_is_not_loaded_goes_and_the_rest_stays_in_place(tmp_path: Path, order: str) -> None:
    whole = make_elf(TEXT, DATA, BSS, DEBUG, SYMBOLS, order=order)
    small = stripped(tmp_path, whole)
    assert section_names(small, order) == ["", ".text", ".data", ".bss", ".shstrtab"]
    assert len(small) < len(whole) - len(DEBUG.content) - len(SYMBOLS.content)
    end = small.index(b"data" * 10) + 40
    assert small[HEADER:end] == whole[HEADER:end]
    assert b"debug" not in small


@pytest.mark.parametrize("size", range(1, 9))
def test_the_section_table_lies_where_its_entries_are_aligned(tmp_path: Path, size: int) -> None:
    odd = Section(name=".text", content=b"x" * size, loaded=True)
    offset = int.from_bytes(stripped(tmp_path, make_elf(odd, DEBUG))[40:48], "little")
    assert offset % 8 == 0


def test_a_loaded_section_keeps_its_index_after_one_that_goes(tmp_path: Path) -> None:
    small = stripped(tmp_path, make_elf(TEXT, SYMBOLS, DATA, DEBUG))
    assert section_names(small) == ["", ".text", "", ".data", ".shstrtab"]


def test_stripping_twice_is_stripping_once(tmp_path: Path) -> None:
    once = stripped(tmp_path, make_elf(TEXT, DATA, DEBUG))
    assert stripped(tmp_path, once) == once


def test_a_file_without_symbols_stays_as_it_is(tmp_path: Path) -> None:
    whole = make_elf(TEXT, DATA, BSS)
    assert stripped(tmp_path, whole) == whole


def test_the_machine_type_stays(tmp_path: Path) -> None:
    stripped(tmp_path, make_elf(TEXT, DEBUG, machine=183))
    check_machine(tmp_path / "target", Platform.parse("linux/arm64"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh",
        b"\x7fELF\x01" + bytes(100),
        make_elf(TEXT, DEBUG)[:500],
        make_elf(TEXT, DEBUG)[:80],
    ],
)
def test_what_cannot_be_stripped_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(FetchError, match="symbols of source cannot be removed"):
        stripped(tmp_path, content)
    assert not (tmp_path / "target").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 200), value=st.integers(0, 255))
def test_a_header_with_any_byte_changed_ends_in_a_file_or_that_error(
    tmp_path: Path, place: int, value: int
) -> None:
    content = bytearray(make_elf(TEXT, DATA, DEBUG))
    content[place] = value
    with suppress(FetchError):
        assert len(stripped(tmp_path, bytes(content))) <= 2 * len(content)


def test_only_elf_is_taken_for_elf(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content, answer in ((make_elf(TEXT), True), (b"\xcf\xfa\xed\xfe", False), (b"", False)):
        path.write_bytes(content)
        assert is_elf(path) is answer
