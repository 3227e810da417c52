"""Which machine an executable is for, read from its own header.

Formats and numbers: the ELF gABI with its processor supplements (``elf.h``),
Apple's ``mach-o/loader.h``, ``mach-o/fat.h`` and ``mach/machine.h``, Microsoft's
PE/COFF specification, the WebAssembly core specification, AIX's ``xcoff.h``,
and Plan 9's ``a.out(6)``: together every format that Go links.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from buildkit.errors import VerificationError
from buildkit.platform import Platform

HEADER_SIZE = 4096
"""A fat Mach-O's table and the PE header that a DOS stub points to lie in the first page."""
_MAX_FAT = 40
"""More than any fat file has; a Java class has the same magic, then a version from 45 up."""

_MACH_SYSTEMS = frozenset({"darwin", "ios"})
_ELF_SYSTEMS = frozenset(
    "android dragonfly freebsd illumos linux netbsd openbsd solaris".split()  # noqa: SIM905 - reads as the list of GOOS it is
)
_ELF_ABIS = {
    2: frozenset({"netbsd"}),
    3: frozenset({"android", "linux"}),
    6: frozenset({"illumos", "solaris"}),
    9: frozenset({"freebsd"}),
    12: frozenset({"openbsd"}),
}
"""EI_OSABI; zero, the usual value, does not tell the system."""
_ELF_MACHINES = {
    (3, 32, "<"): "386",
    (8, 32, ">"): "mips",
    (8, 32, "<"): "mipsle",
    (8, 64, ">"): "mips64",
    (8, 64, "<"): "mips64le",
    (21, 64, ">"): "ppc64",
    (21, 64, "<"): "ppc64le",
    (22, 64, ">"): "s390x",
    (40, 32, "<"): "arm",
    (62, 64, "<"): "amd64",
    (183, 64, "<"): "arm64",
    (243, 64, "<"): "riscv64",
    (258, 64, "<"): "loong64",
}
"""By e_machine, class in bits, and byte order."""
_MACH_CPUS = {0x01000007: "amd64", 0x0100000C: "arm64", 7: "386", 12: "arm", 0x01000012: "ppc64"}
_PE_MACHINES = {0x8664: "amd64", 0xAA64: "arm64", 0x014C: "386", 0x01C4: "arm"}
_PLAN9 = {b"\0\0\x01\xeb": "386", b"\0\0\x8a\x97": "amd64", b"\0\0\x06\x47": "arm"}


class Machine(Struct, frozen=True, kw_only=True):
    """One machine that an executable runs on.

    ``systems`` are the values of GOOS that its header allows; an ELF header
    seldom tells Linux from another ELF system.
    """

    format: str
    systems: frozenset[str]
    arch: str
    """In Go's spelling; ``machine 0x..`` for one that Go has no name for."""

    def fits(self, platform: Platform) -> bool:
        """Tell whether it may be filed under a platform; the variant is not looked at."""
        return platform.os in self.systems and platform.arch == self.arch

    def __str__(self) -> str:
        """Return ``ELF for linux/amd64``, naming the likeliest system."""
        usual = sorted(self.systems & {"linux", "darwin"}) or sorted(self.systems)
        return f"{self.format} for {usual[0]}/{self.arch}"


def read_machine(path: Path) -> frozenset[Machine]:
    """Read which machines an executable is for: one, or several of a fat Mach-O.

    Raises:
        VerificationError: the file is no executable of a format known here.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return parse_machine(stream.read(HEADER_SIZE), path.name)


def parse_machine(head: bytes, name: str) -> frozenset[Machine]:
    """Tell from a file's first ``HEADER_SIZE`` bytes which machines it is for.

    Raises:
        VerificationError: it is no executable of a format known here.
    """
    machines: frozenset[Machine] = frozenset()
    for magic, parse in _PARSERS:
        if head.startswith(magic):
            with suppress(struct.error):
                machines = parse(head)
    if not machines:
        raise VerificationError(
            f"{name} is not an executable",
            details=f"It begins with {head[:24]!r}." if head else "It is empty.",
        )
    return machines


def check_machine(path: Path, platform: Platform) -> None:
    """Check that an executable is for the platform it is filed under.

    Raises:
        VerificationError: it is for another one, or is no executable.
        OSError: it cannot be read.
    """
    machines = read_machine(path)
    if not any(machine.fits(platform) for machine in machines):
        found = " and ".join(sorted(map(str, machines)))
        article = "an" if found.startswith("ELF") else "a"
        raise VerificationError(
            f"{path.name} is {article} {found}, filed under {platform}",
            details="The machine type in its header is not the platform's.",
        )


def _elf(head: bytes) -> frozenset[Machine]:
    form, encoding, _, abi = struct.unpack_from("4B", head, 4)
    order = "<" if encoding == 1 else ">"
    number = struct.unpack_from(f"{order}H", head, 18)[0]
    arch = _ELF_MACHINES.get((number, 32 * form, order), f"machine {number:#x}")
    return _one("ELF", _ELF_ABIS.get(abi, _ELF_SYSTEMS), arch)


def _mach(head: bytes) -> frozenset[Machine]:
    return _mach_cpu(struct.unpack_from("<I", head, 4)[0])


def _mach_cpu(cpu: int) -> frozenset[Machine]:
    return _one("Mach-O", _MACH_SYSTEMS, _MACH_CPUS.get(cpu, f"machine {cpu:#x}"))


def _fat(head: bytes, entry_size: int = 20) -> frozenset[Machine]:
    count = struct.unpack_from(">I", head, 4)[0]
    if count > _MAX_FAT:
        return frozenset()
    offsets = (8 + entry_size * index for index in range(count))
    cpus = (struct.unpack_from(">I", head, offset)[0] for offset in offsets)
    return frozenset().union(*map(_mach_cpu, cpus))


def _fat64(head: bytes) -> frozenset[Machine]:
    return _fat(head, entry_size=32)


def _pe(head: bytes) -> frozenset[Machine]:
    offset = struct.unpack_from("<I", head, 0x3C)[0]
    if head[offset : offset + 4] != b"PE\0\0":
        return frozenset()
    number = struct.unpack_from("<H", head, offset + 4)[0]
    return _one("PE", {"windows"}, _PE_MACHINES.get(number, f"machine {number:#x}"))


def _wasm(_: bytes) -> frozenset[Machine]:
    return _one("WebAssembly", {"js", "wasip1"}, "wasm")


def _xcoff(_: bytes) -> frozenset[Machine]:
    return _one("XCOFF", {"aix"}, "ppc64")


def _plan9(head: bytes) -> frozenset[Machine]:
    return _one("a.out", {"plan9"}, _PLAN9[head[:4]])


def _one(name: str, systems: Iterable[str], arch: str) -> frozenset[Machine]:
    return frozenset({Machine(format=name, systems=frozenset(systems), arch=arch)})


_PARSERS: tuple[tuple[bytes, Callable[[bytes], frozenset[Machine]]], ...] = (
    (b"\x7fELF", _elf),
    (b"\xcf\xfa\xed\xfe", _mach),
    (b"\xce\xfa\xed\xfe", _mach),
    (b"\xca\xfe\xba\xbe", _fat),
    (b"\xca\xfe\xba\xbf", _fat64),
    (b"MZ", _pe),
    (b"\0asm", _wasm),
    (b"\x01\xf7", _xcoff),
    *((magic, _plan9) for magic in _PLAN9),
)
