"""What goes into a build, named by address and digest: in-toto's resource descriptors.

Digests are spelled as spec/v1/digest_set.md of github.com/in-toto/attestation says.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from buildkit.attest import purl
from buildkit.attest.buildinfo import BuildInfo, Module
from buildkit.attest.component import Component
from buildkit.config.lock import FilePin, Lock, PackagePin
from buildkit.digest import Digest
from buildkit.plan.units import AssembleBase, Download, Override, Unit
from buildkit.reference import Reference

TOOLCHAIN = "golang.org/toolchain"
"""The module that holds Go itself, version v0.0.1-go1.26.8.linux-amd64."""


class Material(Struct, frozen=True, kw_only=True):
    """One thing; ``digests`` are algorithm and value, empty where nobody knows one."""

    uri: str
    digests: tuple[tuple[str, str], ...] = ()
    name: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as in-toto writes it, what is empty left out."""
        value = {"name": self.name, "uri": self.uri, "digest": dict(self.digests)}
        return {key: item for key, item in value.items() if item}


def source_material(address: str, revision: str) -> Material:
    """Return the source tree; ``address`` is of its repository or empty, ``revision`` a commit."""
    uri = address if address.startswith("git+") else f"git+{address}"
    return Material(
        uri=f"{uri}@{revision}" if address else "",
        digests=(("gitCommit", revision),),
        name="source",
    )


def file_material(name: str, data: bytes) -> Material:
    """Return a file that decided something, such as targets.toml."""
    return Material(uri=f"file:{name}", digests=(("sha256", Digest.of_bytes(data).hex),))


def module_material(path: str, version: str, total: str, name: str = "") -> Material:
    """Return a Go module; ``total`` is go.sum's ``h1:``."""
    return Material(uri=purl.golang(path, version), digests=_dir_hash(total), name=name)


def binary_materials(info: BuildInfo) -> Iterator[Material]:
    """Yield the modules of a compiled binary; directories beside it belong to its source."""
    for module in info.modules:
        if not module.is_local:
            yield _linked(module.used)


def toolchain_material(version: str, host: str, lock: Lock) -> Material:
    """Return the Go that compiled.

    Args:
        version: ``1.26.8``.
        host: the platform that it ran on.
        lock: knows its sum where it is the pinned one.
    """
    pin = lock.go
    total = pin.sums.get(host, "") if pin and pin.version == version else ""
    full = f"v0.0.1-go{version}.{host.replace('/', '-')}"
    return module_material(TOOLCHAIN, full, total, name="go")


def unit_materials(units: Iterable[Unit], digests: Mapping[str, str]) -> Iterator[Material]:
    """Yield what the units of a plan fetched: binaries, Debian packages, base images.

    Args:
        units: the units that were made.
        digests: what each of them gave, by id, as ``sha256:<hex>``.
    """
    for unit in units:
        match unit.action:
            case Download(override=Override() as given):
                digest = digests[unit.id].removeprefix("sha256:")
                uri = f"file:{given.path.name}" if given.path else f"oci:{given.image}"
                yield Material(uri=uri, digests=(("sha256", digest),), name=unit.name)
            case Download(sources=sources):
                yield from (_file(unit.name, pin) for _, pin in sources)
            case AssembleBase(packages=packages, digest=digest) as action:
                yield from map(_package, packages)
                if digest:
                    yield _base(action.base.reference, unit, digest)


def system_materials(unit: str, layer: str, packages: Iterable[Component]) -> Iterator[Material]:
    """Yield a system that no lock pins: its layer, and the packages that are in it.

    Args:
        unit: the base's id.
        layer: its DiffID, as ``sha256:<hex>``.
        packages: what dpkg says is installed; it keeps no digest of a package's file.
    """
    yield Material(uri="", digests=(("sha256", layer.removeprefix("sha256:")),), name=unit)
    for package in packages:
        yield Material(uri=package.purl)


def _linked(module: Module) -> Material:
    return module_material(module.path, module.version, module.sum)


def _file(name: str, pin: FilePin) -> Material:
    uri = purl.generic(name, pin.version, Digest(pin.sha256))
    return Material(uri=uri, digests=(("sha256", pin.sha256),), name=pin.file)


def _package(pin: PackagePin) -> Material:
    # pool/main/g/glibc/libc6_2.41-12_amd64.deb
    architecture = pin.file.rpartition("_")[2].removesuffix(".deb")
    uri = purl.package_url(
        "deb", f"debian/{pin.name}", pin.version, qualifiers={"arch": architecture}
    )
    return Material(uri=uri, digests=(("sha256", pin.sha256),))


def _base(reference: str, unit: Unit, digest: str) -> Material:
    found = Digest.parse(digest)
    name = Reference.parse(reference.partition("@")[0]).name
    arch = unit.platform.arch if unit.platform else ""
    uri = purl.image(name, found, arch=arch)
    return Material(uri=uri, digests=(("sha256", found.hex),), name=unit.id)


def _dir_hash(total: str) -> tuple[tuple[str, str], ...]:
    """Return go.sum's ``h1:`` as in-toto spells it: hexadecimal."""
    try:
        found = base64.b64decode(total.removeprefix("h1:"), validate=True).hex()
    except binascii.Error:
        return ()
    return (("dirHash1", found),) if found else ()
