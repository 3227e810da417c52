"""Small ELF files with sections, made for tests."""

from __future__ import annotations

import struct
from dataclasses import dataclass

ALLOC = 2
NOBITS = 8
HEADER = 64
PROGRAM = 56


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section to be put into a file; ``loaded`` ones are SHF_ALLOC."""

    name: str
    content: bytes = b""
    loaded: bool = False
    kind: int = 1
    size: int = -1


TEXT = Section(name=".text", content=b"code" * 100, loaded=True)
DATA = Section(name=".data", content=b"data" * 10, loaded=True)
BSS = Section(name=".bss", loaded=True, kind=NOBITS, size=1 << 40)
DEBUG = Section(name=".debug_info", content=b"debug" * 1000)
SYMBOLS = Section(name=".symtab", content=b"symbols" * 100)


def make_elf(*sections: Section, order: str = "<", machine: int = 62) -> bytes:
    """Return an executable with one segment that spans the loaded sections."""
    body, rows, names = b"", [], b"\0"
    table = [Section(name=""), *sections, Section(name=".shstrtab", kind=3)]
    loaded_end = HEADER + PROGRAM
    for section in table[1:]:
        start = HEADER + PROGRAM + len(body)
        name = len(names)
        names += section.name.encode() + b"\0"
        content = names if section.name == ".shstrtab" else section.content
        body += content
        size = len(content) if section.size < 0 else section.size
        flags = ALLOC if section.loaded else 0
        rows.append((name, section.kind, flags, start, start, size, 0, 0, 1, 0))
        if section.loaded:
            loaded_end = start + len(content)
    section_offset = HEADER + PROGRAM + len(body)
    ident = struct.pack("4s4B8x", b"\x7fELF", 2, 1 if order == "<" else 2, 1, 0)
    header = ident + struct.pack(
        f"{order}HHIQQQI6H",
        *(2, machine, 1, 0x400000, HEADER, section_offset, 0),
        *(HEADER, PROGRAM, 1, 64, len(table), len(table) - 1),
    )
    program = struct.pack(f"{order}IIQQQQQQ", 1, 5, 0, 0, 0, loaded_end, loaded_end, 4096)
    heads = b"".join(struct.pack(f"{order}IIQQQQIIQQ", *row) for row in [(0,) * 10, *rows])
    return header + program + body + heads


def section_names(elf: bytes, order: str = "<") -> list[str]:
    """Read a file's section names back, by the header's own offsets."""
    offset = struct.unpack_from(f"{order}Q", elf, 40)[0]
    count, index = struct.unpack_from(f"{order}HH", elf, 60)
    rows = [struct.unpack_from(f"{order}IIQQQQIIQQ", elf, offset + 64 * i) for i in range(count)]
    names = elf[rows[index][4] : rows[index][4] + rows[index][5]]
    return [names[row[0] : names.index(b"\0", row[0])].decode() for row in rows]
