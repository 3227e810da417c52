from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.errors import VerificationError
from buildkit.machine import check_machine, read_machine
from buildkit.platform import Platform


def elf(machine: int, *, bits: int = 64, order: str = "<", abi: int = 0) -> bytes:
    ident = struct.pack("4s4B8x", b"\x7fELF", bits // 32, 1 if order == "<" else 2, 1, abi)
    return ident + struct.pack(f"{order}HH", 2, machine)


def mach(cpu: int) -> bytes:
    return struct.pack("<II", 0xFEEDFACF, cpu)


def fat(*cpus: int) -> bytes:
    entries = b"".join(struct.pack(">5I", cpu, 0, 0, 0, 0) for cpu in cpus)
    return struct.pack(">II", 0xCAFEBABE, len(cpus)) + entries


def pe(machine: int) -> bytes:
    return b"MZ".ljust(0x3C, b"\0") + struct.pack("<I4sH", 0x40, b"PE\0\0", machine)


AMD64 = 0x01000007
ARM64 = 0x0100000C


@pytest.mark.parametrize(
    ("head", "platform"),
    [
        (elf(62), "linux/amd64"),
        (elf(183), "linux/arm64"),
        (elf(40, bits=32), "linux/arm/v7"),
        (elf(3, bits=32), "linux/386"),
        (elf(22, order=">"), "linux/s390x"),
        (elf(21, order=">"), "linux/ppc64"),
        (elf(21), "linux/ppc64le"),
        (elf(8, bits=32, order=">"), "linux/mips"),
        (elf(8), "linux/mips64le"),
        (elf(243), "linux/riscv64"),
        (elf(258), "linux/loong64"),
        (elf(62, abi=3), "linux/amd64"),
        (elf(62), "illumos/amd64"),
        (elf(62, abi=9), "freebsd/amd64"),
        (elf(62, abi=12), "openbsd/amd64"),
        (mach(AMD64), "darwin/amd64"),
        (mach(ARM64), "darwin/arm64"),
        (fat(AMD64, ARM64), "darwin/arm64"),
        (pe(0x8664), "windows/amd64"),
        (pe(0xAA64), "windows/arm64"),
        (b"\0asm\x01\0\0\0", "wasip1/wasm"),
        (b"\x01\xf7\0\x05", "aix/ppc64"),
        (b"\0\0\x8a\x97", "plan9/amd64"),
    ],
)
def test_an_executable_passes_under_its_own_platform(
    tmp_path: Path, head: bytes, platform: str
) -> None:
    path = tmp_path / "envoy"
    path.write_bytes(head)
    check_machine(path, Platform.parse(platform))


@pytest.mark.parametrize(
    ("head", "platform", "message"),
    [
        (elf(62), "linux/arm64", "envoy is an ELF for linux/amd64, filed under linux/arm64"),
        (elf(62), "darwin/amd64", "envoy is an ELF for linux/amd64, filed under darwin/amd64"),
        (mach(ARM64), "linux/arm64", "envoy is a Mach-O for darwin/arm64, filed under linux/arm64"),
        (elf(62, abi=9), "linux/amd64", "an ELF for freebsd/amd64, filed under linux/amd64"),
        (elf(8), "linux/mips64", "an ELF for linux/mips64le, filed under linux/mips64"),
        (elf(0x1234), "linux/amd64", "an ELF for linux/machine 0x1234, filed under linux/amd64"),
        (
            fat(AMD64, ARM64),
            "linux/amd64",
            "a Mach-O for darwin/amd64 and Mach-O for darwin/arm64, filed under linux/amd64",
        ),
        (pe(0x8664), "linux/amd64", "a PE for windows/amd64, filed under linux/amd64"),
    ],
)
def test_another_machine_is_refused_naming_both(
    tmp_path: Path, head: bytes, platform: str, message: str
) -> None:
    path = tmp_path / "envoy"
    path.write_bytes(head)
    with pytest.raises(VerificationError) as caught:
        check_machine(path, Platform.parse(platform))
    assert message in caught.value.brief


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"#!/bin/sh\n",
        b"<!DOCTYPE html><html>",
        b"\x7fELF\x02\x01",
        b"MZ",
        b"MZ" + bytes(100),
        struct.pack(">IHH", 0xCAFEBABE, 0, 52),
        fat(AMD64, ARM64)[:20],
    ],
)
def test_what_is_no_executable_is_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "envoy"
    path.write_bytes(head)
    with pytest.raises(VerificationError, match="envoy is not an executable"):
        read_machine(path)


@given(
    magic=st.sampled_from([b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf", b""]),
    rest=st.binary(max_size=200),
)
def test_any_bytes_end_in_machines_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, magic: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.mktemp("machine") / "file"
    path.write_bytes(magic + rest)
    with suppress(VerificationError):
        assert read_machine(path)
