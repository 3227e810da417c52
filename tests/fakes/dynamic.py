"""Small dynamically linked ELF files, and C libraries, made for tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping

LOADER = "/lib64/ld-linux-x86-64.so.2"
_HEADER, _PROGRAM = 64, 56
_STRTAB, _VERNEED = 3, 0x6FFFFFFE


def make_dynamic(
    needs: Mapping[str, tuple[str, ...]], *, loader: str = LOADER, machine: int = 62
) -> bytes:
    """Return a program that wants a loader, and of each library some versions of symbols.

    Args:
        needs: library and version names, as ``{"libc.so.6": ("GLIBC_2.30",)}``.
        loader: the path of its loader.
        machine: e_machine; amd64's by default.
    """
    strings, places = b"\0", {}
    for text in (name for library, names in needs.items() for name in (library, *names)):
        places[text] = len(strings)
        strings += text.encode() + b"\0"
    versions = b""
    for index, (library, names) in enumerate(needs.items(), 1):
        following = 16 * (len(names) + 1) if index < len(needs) else 0
        versions += struct.pack("<HHIII", 1, len(names), places[library], 16, following)
        for number, name in enumerate(names, 1):
            rest = 16 if number < len(names) else 0
            versions += struct.pack("<IHHII", 0, 0, number, places[name], rest)
    titles = b"\0.dynstr\0.gnu.version_r\0.shstrtab\0"
    interpreter = loader.encode() + b"\0"
    start = _HEADER + _PROGRAM
    bodies = (interpreter, strings, versions, titles)
    offsets = [start + sum(map(len, bodies[:count])) for count in range(5)]
    sections = [
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (1, _STRTAB, 2, 0, offsets[1], len(strings), 0, 0, 1, 0),
        (9, _VERNEED, 2, 0, offsets[2], len(versions), 1, len(needs), 4, 0),
        (24, _STRTAB, 0, 0, offsets[3], len(titles), 0, 0, 1, 0),
    ]
    ident = struct.pack("4s4B8x", b"\x7fELF", 2, 1, 1, 0)
    header = struct.pack(
        "<HHIQQQI6H", 3, machine, 1, 0, _HEADER, offsets[4], 0, _HEADER, _PROGRAM, 1, 64, 4, 3
    )
    size = len(interpreter)
    program = struct.pack("<IIQQQQQQ", 3, 4, offsets[0], 0, 0, size, size, 1)
    table = b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in sections)
    return ident + header + program + b"".join(bodies) + table


def make_libc(version: str, words: str = "Debian GLIBC 2.31-13") -> bytes:
    """Return what looks like a libc.so.6 of a release."""
    text = f"GNU C Library ({words}) stable release version {version}.\n"
    return b"\x7fELF" + bytes(500) + text.encode() + bytes(500)
