"""Removes symbols and debug information from an ELF executable, alike on every host.

The lock pins the digest of the result, and ``strip`` of binutils, of LLVM and of
their versions each write other bytes, if the host has one for the format at all.
So this is done here, the plainest way that is right: what the program loads stays
byte for byte where it is, and of the section table those entries stay that belong
to it (SHF_ALLOC) at their old index, so that nothing that refers to a section must
be renumbered. Layout: the ELF-64 object file format, gABI chapters 4 and 5.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from buildkit.errors import FetchError

_SHF_ALLOC = 2
_SHT_NULL, _SHT_STRTAB, _SHT_NOBITS = 0, 3, 8
_COPY_BLOCK = 1 << 20
_NAMES = b".shstrtab"


class _Section(Struct, frozen=True):
    """An Elf64_Shdr, in the order of its fields."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int

    @property
    def loaded(self) -> bool:
        return bool(self.flags & _SHF_ALLOC)

    @property
    def end(self) -> int:
        return self.offset + (0 if self.type == _SHT_NOBITS else self.size)


class _Elf(Struct, frozen=True, kw_only=True):
    """What the file header says; ``order`` is struct's sign for the byte order."""

    order: str
    program_offset: int
    program_count: int
    section_offset: int
    section_count: int
    names_index: int


_NULL = _Section(0, _SHT_NULL, 0, 0, 0, 0, 0, 0, 0, 0)


def is_elf(path: Path) -> bool:
    """Tell whether a file begins as ELF does."""
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def strip_elf(source: Path, target: Path) -> None:
    """Write a 64-bit ELF executable without what it does not load.

    A file that has nothing to remove is copied as it is, so stripping twice is
    stripping once.

    Raises:
        FetchError: the file is no 64-bit ELF with a sound section table.
    """
    try:
        with source.open("rb") as stream, target.open("wb") as sink:
            elf = _read_header(stream)
            sections = _read_sections(stream, elf)
            end = max(_segment_end(stream, elf), *(s.end for s in sections if s.loaded), 64)
            if all(s.loaded or s.type == _SHT_NULL for s in _others(sections, elf)):
                _copy(stream, sink, source.stat().st_size)
            else:
                _copy(stream, sink, end)
                _write_table(stream, sink, elf, sections)
    except (struct.error, ValueError) as error:
        target.unlink(missing_ok=True)
        raise FetchError(
            f"the symbols of {source.name} cannot be removed",
            details=f"It is no 64-bit ELF with a sound section table: {error}.",
            resolution="Set strip = false in targets.toml, then run `invoke lock`.",
        ) from error


def _read_header(stream: BinaryIO) -> _Elf:
    head = stream.read(64)
    if head[:5] != b"\x7fELF\x02":
        message = "it does not begin as one"
        raise ValueError(message)
    order = "<" if head[5] == 1 else ">"
    program, section = struct.unpack_from(f"{order}QQ", head, 32)
    program_size, count, size, sections, names = struct.unpack_from(f"{order}5H", head, 54)
    if (program_size, size) != (56, 64) or names >= sections:
        message = "the sizes in its header are unusual"
        raise ValueError(message)
    return _Elf(
        order=order,
        program_offset=program,
        program_count=count,
        section_offset=section,
        section_count=sections,
        names_index=names,
    )


def _read_sections(stream: BinaryIO, elf: _Elf) -> list[_Section]:
    table = _read_at(stream, elf.section_offset, 64 * elf.section_count)
    form = f"{elf.order}IIQQQQIIQQ"
    return [
        _Section(*struct.unpack_from(form, table, 64 * index)) for index in range(elf.section_count)
    ]


def _read_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    if offset + size > stream.seek(0, os.SEEK_END):
        message = "it ends before its tables do"
        raise ValueError(message)
    stream.seek(offset)
    return stream.read(size)


def _segment_end(stream: BinaryIO, elf: _Elf) -> int:
    table = _read_at(stream, elf.program_offset, 56 * elf.program_count)
    ends = [elf.program_offset + len(table)]
    for index in range(elf.program_count):
        offset, size = struct.unpack_from(f"{elf.order}8x Q16x Q", table, 56 * index)
        ends.append(offset + size)
    return max(ends)


def _others(sections: list[_Section], elf: _Elf) -> list[_Section]:
    return [section for index, section in enumerate(sections) if index != elf.names_index]


def _copy(stream: BinaryIO, sink: BinaryIO, size: int) -> None:
    stream.seek(0)
    while size > 0:
        block = stream.read(min(_COPY_BLOCK, size))
        if not block:
            message = "it ends before what it loads does"
            raise ValueError(message)
        sink.write(block)
        size -= len(block)


def _write_table(stream: BinaryIO, sink: BinaryIO, elf: _Elf, sections: list[_Section]) -> None:
    names = sections[elf.names_index]
    old = _read_at(stream, names.offset, names.size)
    last = max((index for index, section in enumerate(sections) if section.loaded), default=0)
    text, kept = b"\0", []
    for section in sections[: last + 1]:
        if section.loaded:
            kept.append(replace(section, name=len(text)))
            text += old[section.name : old.index(b"\0", section.name)] + b"\0"
        else:
            kept.append(_NULL)
    own = _Section(len(text), _SHT_STRTAB, 0, 0, sink.tell(), 0, 0, 0, 1, 0)
    text += _NAMES + b"\0"
    sink.write(text)
    sink.write(b"\0" * (-sink.tell() % 8))
    start = sink.tell()
    for section in (*kept, replace(own, size=len(text))):
        fields = tuple(getattr(section, name) for name in _Section.__struct_fields__)
        sink.write(struct.pack(f"{elf.order}IIQQQQIIQQ", *fields))
    sink.seek(40)
    sink.write(struct.pack(f"{elf.order}Q", start))
    sink.seek(60)
    sink.write(struct.pack(f"{elf.order}HH", len(kept) + 1, len(kept)))
