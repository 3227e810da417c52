"""Small .rpm files, made for tests."""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Mapping

_LEAD = 96
_STRING, _INT32 = 6, 4


def cpio(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Return an archive in the new ASCII format of cpio(5), of mode and content by name."""
    entries = [*((name, *entry) for name, entry in files.items()), ("TRAILER!!!", 0, b"")]
    return b"".join(_entry(name, mode, data) for name, mode, data in entries)


def rpm(
    files: Mapping[str, tuple[int, bytes]],
    *,
    name: str = "mesh",
    version: str = "1.2.3",
    architecture: str = "x86_64",
    compress: str = "gz",
) -> bytes:
    """Return a package: a lead, a signature, a header and a payload."""
    payload = cpio(files)
    packings = {"gz": gzip.compress(payload), "xz": lzma.compress(payload), "": payload}
    packed = packings[compress]
    signature = _section((1000, _INT32, struct.pack(">I", len(packed))))
    texts = ((1000, name), (1001, version), (1022, architecture))
    header = _section(*((tag, _STRING, text.encode() + b"\0") for tag, text in texts))
    padding = bytes(-len(signature) % 8)
    return b"\xed\xab\xee\xdb".ljust(_LEAD, b"\0") + signature + padding + header + packed


def _entry(name: str, mode: int, data: bytes) -> bytes:
    numbers = (1, mode, 0, 0, 1, 7, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers)
    head += name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _section(*entries: tuple[int, int, bytes]) -> bytes:
    rows, data = b"", b""
    for tag, kind, value in entries:
        rows += struct.pack(">IIII", tag, kind, len(data), 1)
        data += value
    return struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", len(entries), len(data)) + rows + data
