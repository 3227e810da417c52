"""What is found in layers: programs, packages of distributions, and what hides them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable
from pathlib import Path

import pytest

from buildkit.attest.contents import (
    ImageContents,
    LayerContents,
    Program,
    decode_contents,
    encode_contents,
    image_contents,
    layer_contents,
)
from buildkit.attest.distribution import Distribution, apk_components, dpkg_components
from buildkit.attest.inventory import Inventory, python_data
from buildkit.attest.programs import fetched_program
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.oci.layer import Entry, directory, file, layer_blocks, symlink
from buildkit.oci.model import OCI_LAYER, Descriptor, Layer
from buildkit.platform import Platform
from buildkit.reference import Reference
from tests.unit.attest.test_buildinfo import blob, elf

GO, ENVOY, OTHER = elf(blob(), b""), elf(b"envoy", b""), elf(b"other", b"")
CONTROL = """Package: libstdc++6
Source: gcc-14 (14.2.0-19)
Version: 14.2.0-19
Architecture: amd64
Maintainer: Debian GCC Maintainers <debian-gcc@lists.debian.org>
Description: GNU Standard C++ Library v3
 Package: not this one
"""
OS = 'PRETTY_NAME="Debian GNU/Linux 13"\nID=debian\nVERSION_ID="13"\n# ID=other\n'
DEBIAN_13 = Distribution(id="debian", version="13")
STATUS = "var/lib/dpkg/status.d"
INVENTORY = Inventory(
    project="mesh",
    version="1.2.3",
    license="MIT",
    own={Digest.of_bytes(GO): "pilot"},
    fetched={
        Digest.of_bytes(ENVOY): fetched_program(
            name="envoy", version="1.40.0", digest=Digest.of_bytes(ENVOY)
        )
    },
)


def layer(entries: Iterable[Entry], *, zipped: bool = False) -> Layer:
    plain = b"".join(map(bytes, layer_blocks(tuple(entries))))
    data = gzip.compress(plain, mtime=0) if zipped else plain
    return Layer(
        descriptor=Descriptor.of(OCI_LAYER, data),
        diff_id=Digest.of_bytes(plain),
        open=lambda: io.BytesIO(data),
    )


def contents(*layers: Iterable[Entry]) -> ImageContents:
    return image_contents(layer_contents(layer(item)) for item in layers)


BASE = (
    file("usr/lib/os-release", OS.encode()),
    file(f"{STATUS}/libstdc++6", CONTROL.encode()),
    file(f"{STATUS}/libstdc++6.md5sums", b"0123  usr/lib/libstdc++.so.6\n"),
    file("usr/lib/libstdc++.so.6", OTHER, 0o755),
    symlink("etc/os-release", "../usr/lib/os-release"),
)


@pytest.mark.parametrize("zipped", [False, True])
def test_programs_and_databases_are_found(zipped: bool) -> None:
    found = layer_contents(layer((*BASE, file("usr/bin/pilot", GO, 0o755)), zipped=zipped))
    assert set(found.programs) == {"usr/lib/libstdc++.so.6", "usr/bin/pilot"}
    pilot = found.programs["usr/bin/pilot"]
    assert pilot.digest == Digest.of_bytes(GO)
    assert pilot.info is not None
    assert set(found.texts) == {
        "usr/lib/os-release",
        f"{STATUS}/libstdc++6",
        f"{STATUS}/libstdc++6.md5sums",
    }


def test_an_image_is_its_packages_and_the_programs_that_none_of_them_brought() -> None:
    programs = (file("envoy", ENVOY, 0o755), file("pilot", GO, 0o755), file("odd", OTHER, 0o755))
    found = INVENTORY.image(
        Reference.parse("localhost:5000/istio/pilot:1.2.3"),
        Digest.of_bytes(b"manifest"),
        Platform.parse("linux/amd64"),
        contents(BASE, programs),
        more=(python_data("certifi", "2026.1.1", "CA certificates"),),
    )
    assert [(part.name, part.version, part.file) for part in found.contains] == [
        ("libstdc++6", "14.2.0-19", ""),
        ("envoy", "1.40.0", "envoy"),
        ("odd", "", "odd"),
        ("pilot", "1.2.3", "pilot"),
        ("certifi", "2026.1.1", ""),
    ]
    assert found.purl.startswith("pkg:oci/pilot@sha256:")
    assert found.contains[0].purl == (
        "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19"
        "?arch=amd64&distro=debian-13&upstream=gcc-14%4014.2.0-19"
    )


def test_a_go_program_of_somebody_else_keeps_its_own_version() -> None:
    program = Program(digest=Digest.of_bytes(b"other"), info=None)
    assert INVENTORY.program("bin/x", program) is None
    foreign = layer_contents(layer([file("bin/x", elf(blob(), b"more"), 0o755)])).programs["bin/x"]
    found = INVENTORY.program("bin/x", foreign)
    assert found is not None
    assert (found.name, found.version, found.license) == ("x", "", "")


def test_upper_layers_replace_and_remove() -> None:
    lower = (
        file("a/pilot", GO, 0o755),
        file("a/odd", OTHER, 0o755),
        file("b/pilot", GO, 0o755),
        file("c/pilot", GO, 0o755),
        file("d", GO, 0o755),
    )
    upper = (
        file("a/pilot", b"#!/bin/sh\n", 0o755),
        file("b/.wh..wh..opq", b""),
        file(".wh.c", b""),
        directory("a"),
    )
    assert set(contents(lower, upper).programs) == {"a/odd", "d"}


def test_a_database_that_cannot_be_read_is_said() -> None:
    assert contents([file("var/lib/rpm/rpmdb.sqlite", b"x")]).gap.startswith("Its RPM packages")
    assert contents(BASE).gap == ""


def test_dpkg_counts_what_is_installed() -> None:
    states = ("install ok installed", "deinstall ok config-files", "purge ok not-installed")
    text = "\n".join(
        f"Package: p{number}\nStatus: {state}\nVersion: 1\n" for number, state in enumerate(states)
    )
    assert [item.name for item in dpkg_components(text, DEBIAN_13)] == ["p0"]


def test_suppliers_are_spelled_as_spdx_wants() -> None:
    (found,) = dpkg_components(CONTROL, Distribution())
    assert found.supplier == "Organization: Debian GCC Maintainers (debian-gcc@lists.debian.org)"
    assert "distro" not in found.purl


def test_apk_is_read() -> None:
    text = "C:Q1x=\nP:musl\nV:1.2.5-r9\nA:x86_64\nL:MIT\no:musl\n\nP:libssl3\nV:3.5\no:openssl\n"
    musl, ssl = apk_components(text, Distribution(id="alpine", version="3.22"))
    assert musl.purl == "pkg:apk/alpine/musl@1.2.5-r9?arch=x86_64&distro=alpine-3.22"
    assert "upstream=openssl" in ssl.purl
    found = image_contents(
        [LayerContents(programs={}, texts={"lib/apk/db/installed": text}, hidden=frozenset())]
    )
    assert [item.name for item in found.packages()] == ["musl", "libssl3"]


def test_a_package_file_holds_its_binaries(tmp_path: Path) -> None:
    path = tmp_path / "istioctl_1.2.3_amd64.deb"
    path.write_bytes(b"deb")
    (tmp_path / "istioctl").write_bytes(GO)
    binary = INVENTORY.binary(tmp_path / "istioctl", "usr/bin/istioctl")
    found = INVENTORY.package(
        path, [binary], kind="deb", name="istioctl", version="1.2.3", arch="amd64"
    )
    assert found.purl == "pkg:deb/mesh/istioctl@1.2.3?arch=amd64"
    assert found.contains[0].file == "usr/bin/istioctl"
    assert found.digest == Digest.of_bytes(b"deb")


def test_a_layer_that_cannot_be_read_is_an_error() -> None:
    data = b"\x28\xb5\x2f\xfd" + bytes(600)
    broken = Layer(
        descriptor=Descriptor.of(OCI_LAYER, data),
        diff_id=Digest.of_bytes(data),
        open=lambda: io.BytesIO(data),
    )
    with pytest.raises(VerificationError, match=r"the layer sha256:\w+ cannot be read"):
        layer_contents(broken)


def test_what_was_found_can_be_remembered() -> None:
    found = layer_contents(layer((*BASE, file("usr/bin/pilot", GO, 0o755), file(".wh.x", b""))))
    assert decode_contents(encode_contents(found)) == found
    for data in (b"", b"{}", b'{"programs": 7}', b"\xff"):
        assert decode_contents(data) is None


def test_a_large_program_is_looked_at_too() -> None:
    large = GO + bytes(5 << 20)
    found = layer_contents(layer([file("pilot", large, 0o755)])).programs["pilot"]
    assert found.digest == Digest.of_bytes(large)
    assert found.info is not None
