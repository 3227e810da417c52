"""What Go's linker wrote into a binary: the toolchain, the modules, the build settings.

The format is that of Go 1.18 and newer, debug/buildinfo and runtime/debug's ModInfo; it is
read here and not by ``go version -m`` so that a release needs no Go to be described or
verified. ELF and Mach-O have a section for it, elsewhere the whole file is searched.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

_MAGIC = b"\xff Go buildinf:"
_HEADER, _ALIGN = 32, 16
_INLINE = 2
"""The flag of Go 1.18 and newer: the strings follow the header."""
_FRAME = 16
"""Bytes of the marks around the module text."""
_SEGMENT_64, _SHORTEST_COMMAND = 0x19, 8
_ELFCLASS64 = 2
_CONTINUES = 0x80
"""The bit of a varint's byte that another one follows."""


class _MachO:
    """The first bytes of a file for one processor of 64 bits, and of one for several."""

    THIN = b"\xcf\xfa\xed\xfe"
    FAT = b"\xca\xfe\xba\xbe"


Data = bytes | mmap.mmap
Range = tuple[int, int]


class Module(Struct, frozen=True, kw_only=True):
    """A module that is linked in; ``sum`` is go.sum's ``h1:``, empty for a directory."""

    path: str
    version: str = ""
    sum: str = ""
    replacement: Module | None = None

    @property
    def used(self) -> Module:
        """The module that the code really is of."""
        return self.replacement or self

    @property
    def is_local(self) -> bool:
        """Whether the code came from a directory beside the main module."""
        return self.used.path.startswith((".", "/"))


class BuildInfo(Struct, frozen=True, kw_only=True):
    """The build information of one binary.

    Attributes:
        go: the toolchain, ``go1.26.8``.
        path: the import path of the main package.
        main: its module.
        modules: the others, in the linker's order.
        settings: such as ``GOOS`` and ``-tags``, in the linker's order.
    """

    go: str
    path: str = ""
    main: Module | None = None
    modules: tuple[Module, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


def read_build_info(path: Path) -> BuildInfo | None:
    """Read the build information of a file; None where it has none.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        if not path.stat().st_size:
            return None
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return find_build_info(data)


def find_build_info(data: Data) -> BuildInfo | None:
    """Find the build information in a file's content; None where it has none."""
    start, end = _section(data) or (0, len(data))
    place = data.find(_MAGIC, start, end)
    while place >= 0:
        # Programs that look for build information hold its magic as a text, too.
        found = _decode(data, place) if (place - start) % _ALIGN == 0 else None
        if found is not None:
            return found
        place = data.find(_MAGIC, place + 1, end)
    return None


def parse_modules(text: str, go: str) -> BuildInfo:
    """Read the lines that ``go version -m`` prints.

    Raises:
        ValueError: a line is malformed.
    """
    info, modules = BuildInfo(go=go), list[Module]()
    settings: list[tuple[str, str]] = []
    for line in text.splitlines():
        kind, _, rest = line.partition("\t")
        match kind:
            case "path":
                info = replace(info, path=rest)
            case "mod":
                info = replace(info, main=_module(rest))
            case "dep":
                modules.append(_module(rest))
            case "=>" if modules:
                modules[-1] = replace(modules[-1], replacement=_module(rest))
            case "build":
                settings.append(_setting(rest))
    return replace(info, modules=tuple(modules), settings=tuple(settings))


def _module(text: str) -> Module:
    path, version, total, *_ = (*text.split("\t"), "", "")
    return Module(path=path, version=version, sum=total)


def _setting(text: str) -> tuple[str, str]:
    decoder = json.JSONDecoder()
    key, rest = text, ""
    if text.startswith('"'):
        key, end = decoder.raw_decode(text)
        rest = text[end + 1 :]
    else:
        key, _, rest = text.partition("=")
    # Go quotes what holds spaces or quotes; the escapes that occur are JSON's too.
    return key, decoder.decode(rest) if rest.startswith('"') else rest


def _decode(data: Data, place: int) -> BuildInfo | None:
    header = data[place : place + _HEADER]
    if len(header) < _HEADER or not header[15] & _INLINE:
        return None
    try:
        version, after = _string(data, place + _HEADER)
        text, _ = _string(data, after)
        if not version.startswith(("go", "devel")):
            return None
        framed = len(text) > 2 * _FRAME and text[-_FRAME - 1] == "\n"
        body = text[_FRAME:-_FRAME] if framed else ""
        return parse_modules(body.encode("latin-1").decode(), version)
    except (ValueError, IndexError):
        return None


def _string(data: Data, place: int) -> tuple[str, int]:
    length = shift = 0
    while True:
        byte = data[place]
        place += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & _CONTINUES:
            break
    content = data[place : place + length]
    if len(content) != length:
        raise ValueError("it ends too early")
    # The marks around the modules are no UTF-8.
    return content.decode("latin-1"), place + length


def _section(data: Data) -> Range | None:
    try:
        sections = _sections(data)
        return next((r for name, r in sections if name.endswith(b"go_buildinfo")), None)
    except (struct.error, IndexError, OverflowError):
        return None


def _sections(data: Data) -> Iterator[tuple[bytes, Range]]:
    match data[:4]:
        case b"\x7fELF":
            yield from _elf_sections(data)
        case _MachO.THIN:
            yield from _mach_sections(data, 0)
        case _MachO.FAT:
            yield from _mach_sections(data, struct.unpack_from(">I", data, 16)[0])


def _elf_sections(data: Data) -> Iterator[tuple[bytes, Range]]:
    order = "<" if data[5] == 1 else ">"
    is_64 = data[4] == _ELFCLASS64
    table = struct.unpack_from(f"{order}{'Q' if is_64 else 'I'}", data, 40 if is_64 else 32)[0]
    size, count, names = struct.unpack_from(f"{order}3H", data, 58 if is_64 else 46)
    form, first = (f"{order}QQ", 24) if is_64 else (f"{order}II", 16)
    heads = [table + index * size for index in range(count)]
    texts = struct.unpack_from(form, data, heads[names] + first)[0] if names < count else 0
    for head in heads:
        offset, length = struct.unpack_from(form, data, head + first)
        start = texts + struct.unpack_from(f"{order}I", data, head)[0]
        name = data[start : data.find(b"\0", start)]
        # .go.buildinfo, as Mach-O spells it.
        yield name.replace(b".go.", b"go_"), (offset, offset + length)


def _mach_sections(data: Data, base: int) -> Iterator[tuple[bytes, Range]]:
    if data[base : base + 4] != _MachO.THIN:
        return
    place = base + 32
    for _ in range(struct.unpack_from("<I", data, base + 16)[0]):
        command, size = struct.unpack_from("<II", data, place)
        if command == _SEGMENT_64:
            count = struct.unpack_from("<I", data, place + 64)[0]
            for index in range(count):
                head = place + 72 + 80 * index
                length, offset = struct.unpack_from("<QI", data, head + 40)
                name = bytes(data[head : head + 16]).rstrip(b"\0")
                yield name, (base + offset, base + offset + length)
        if size < _SHORTEST_COMMAND:
            return
        place += size
