"""The smallest programs that containers can run, for tests that have no compiler."""

from __future__ import annotations

import struct

_BASE = 0x400000
_HEADERS = 64 + 56
_X86_64, _AARCH64 = 62, 183


def x86_64(message: bytes) -> bytes:
    """Return a static Linux executable that writes a message and exits with 0."""
    code = (
        b"\xb8\x01\x00\x00\x00"  # mov eax, 1 (write)
        b"\xbf\x01\x00\x00\x00"  # mov edi, 1 (standard output)
        b"\x48\x8d\x35\x10\x00\x00\x00"  # lea rsi, [rip + 16]: the message
        b"\xba"
        + struct.pack("<I", len(message))  # mov edx, its length
        + b"\x0f\x05"  # syscall
        b"\xb8\x3c\x00\x00\x00"  # mov eax, 60 (exit)
        b"\x31\xff"  # xor edi, edi
        b"\x0f\x05"  # syscall
    )
    return _elf(_X86_64, code + message)


def aarch64(message: bytes) -> bytes:
    """Return a static Linux executable that writes a message and exits with 0."""
    code = struct.pack(
        "<8I",
        0xD2800020,  # mov x0, 1 (standard output)
        0x100000E1,  # adr x1, 28 bytes on: the message
        0xD2800002 | len(message) << 5,  # mov x2, its length
        0xD2800808,  # mov x8, 64 (write)
        0xD4000001,  # svc 0
        0xD2800000,  # mov x0, 0
        0xD2800BA8,  # mov x8, 93 (exit)
        0xD4000001,  # svc 0
    )
    return _elf(_AARCH64, code + message)


def _elf(machine: int, content: bytes) -> bytes:
    entry, size = _BASE + _HEADERS, _HEADERS + len(content)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return ident + header + program + content
