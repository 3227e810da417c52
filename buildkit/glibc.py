"""Which C library a program needs, read from its ELF file, and which distributions have it.

A program that is linked to glibc names, per library, the versions of symbols that it
uses; a loader that lacks one of them does not start it. They stand in the section
``.gnu.version_r``, which no tool strips, since the loader itself reads it (Linux
Standard Base 5.0, Core, 10.7: Symbol Versioning).
"""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from msgspec import Struct

_ELF = b"\x7fELF"
_HEADER = 64
"""The bytes of a file header; of 32 bits it is shorter, but a program is not."""
_PT_INTERP = 3
_LAYOUTS = {1: ("I", 28, 42), 2: ("Q", 32, 54)}
"""By class: the format of an offset, and where e_phoff and e_phentsize stand (gABI, chapter 4)."""
_SYMBOL = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")
_BANNER = re.compile(rb"GNU C Library [^\0\n]{0,200}release version (\d+)\.(\d+)[^\d]")
"""What libc.so.6 prints when it is started; glibc's ``csu/version.c``."""


class Glibc(NamedTuple):
    """A release of glibc."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2.31``.

        Raises:
            ValueError: it is none.
        """
        major, _, minor = text.partition(".")
        return cls(int(major), int(minor))

    def __str__(self) -> str:
        """Return ``2.31``."""
        return f"{self.major}.{self.minor}"


_MOST = 500
"""More libraries, and versions of one, than a program has; a damaged file counts to billions."""
_NAMED = {"GLIBC_ABI_DT_RELR": Glibc(2, 36)}
"""Versions that are no number, with the release that has them (glibc's NEWS)."""


class Linkage(Struct, frozen=True, kw_only=True):
    """What a dynamically linked program needs of the file system that it runs in."""

    loader: str
    """The path of its loader, such as ``/lib64/ld-linux-x86-64.so.2``."""
    glibc: Glibc | None
    """The oldest glibc that has every symbol it uses; None where it uses none of glibc's."""


DISTRIBUTIONS: tuple[tuple[str, tuple[tuple[str, Glibc], ...]], ...] = (
    (
        "debian",
        (
            ("buster", Glibc(2, 28)),
            ("bullseye", Glibc(2, 31)),
            ("bookworm", Glibc(2, 36)),
            ("trixie", Glibc(2, 41)),
        ),
    ),
    (
        "ubuntu",
        (
            ("xenial", Glibc(2, 23)),
            ("bionic", Glibc(2, 27)),
            ("focal", Glibc(2, 31)),
            ("jammy", Glibc(2, 35)),
            ("noble", Glibc(2, 39)),
        ),
    ),
    ("centos", (("7", Glibc(2, 17)),)),
    ("rockylinux", (("8", Glibc(2, 28)), ("9", Glibc(2, 34)), ("10", Glibc(2, 39)))),
)
"""Names of releases, the oldest first, and their packages' own versions."""


def fitting(need: Glibc) -> str:
    """Name the oldest release of each distribution that has a glibc: ``debian bullseye (2.31)``."""
    found = []
    for distribution, releases in DISTRIBUTIONS:
        fits = [(code, glibc) for code, glibc in releases if glibc >= need]
        found += [f"{distribution} {code} ({glibc})" for code, glibc in fits[:1]]
    return ", ".join(found)


def read_linkage(path: Path) -> Linkage | None:
    """Read what a program needs; None for a static one, and for what is no sound ELF file.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return _linkage(stream) if _has_loader(stream) else None
    except (ValueError, OverflowError):
        # Names that are no text, and offsets beyond any file: the bytes are damaged.
        return None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return None


def find_version(blocks: Iterable[bytes | memoryview]) -> Glibc | None:
    """Find in the content of a libc.so.6 which release it is."""
    before = b""
    for block in blocks:
        text = before + bytes(block)
        if match := _BANNER.search(text):
            return Glibc(int(match[1]), int(match[2]))
        before = text[-256:]
    return None


def _has_loader(stream: BinaryIO) -> bool:
    """Look for PT_INTERP; most programs here are static Go, and loading a parser takes longer."""
    head = stream.read(_HEADER)
    if not head.startswith(_ELF) or len(head) < _HEADER or head[4] not in _LAYOUTS:
        return False
    order = "<" if head[5] == 1 else ">"
    offset_format, offset_place, count_place = _LAYOUTS[head[4]]
    (start,) = struct.unpack_from(f"{order}{offset_format}", head, offset_place)
    size, count = struct.unpack_from(f"{order}HH", head, count_place)
    stream.seek(start)
    table = stream.read(size * count)
    kinds = (table[at : at + 4] for at in range(0, len(table), size or 1))
    return struct.pack(f"{order}I", _PT_INTERP) in kinds


def _linkage(stream: BinaryIO) -> Linkage | None:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    try:
        elf = ELFFile(stream)
        segments = (item for item in elf.iter_segments() if isinstance(item, InterpSegment))
        loaders = [item.get_interp_name() for item in segments]
        names = _version_names(elf.get_section_by_name(".gnu.version_r"))
        needed = max(filter(None, map(_release, names)), default=None)
    except ELFError:
        return None
    return Linkage(loader=loaders[0], glibc=needed) if loaders else None


def _version_names(section: object) -> Iterator[str]:
    from elftools.elf.gnuversions import GNUVerNeedSection

    if isinstance(section, GNUVerNeedSection):
        for _, versions in islice(section.iter_versions(), _MOST):
            yield from (version.name for version in islice(versions, _MOST))


def _release(name: str) -> Glibc | None:
    """Return the release that has a version of symbols: ``GLIBC_2.3.4`` is of 2.3."""
    match = _SYMBOL.fullmatch(name)
    return Glibc(int(match[1]), int(match[2])) if match else _NAMED.get(name)
