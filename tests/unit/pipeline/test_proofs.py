"""What provenance says of systems that no lock pins."""

from __future__ import annotations

from pathlib import Path

from buildkit.attest.contents import layer_contents
from buildkit.config.model import Base
from buildkit.oci.layer import file, write_layer
from buildkit.pipeline.proofs import Products, unpinned_materials
from buildkit.plan.units import Artifact, AssembleBase, Kind, Unit
from buildkit.platform import Platform

AMD64 = Platform("linux", "amd64")
STATUS = """\
Package: sudo
Status: install ok installed
Architecture: amd64
Version: 1.9.13p3-1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 2
"""
ENTRIES = (
    file("usr/lib/os-release", b'ID=debian\nVERSION_ID="12"\n'),
    file("var/lib/dpkg/status", STATUS.encode()),
)


def products(folder: Path, base: Base) -> Products:
    layer = write_layer(ENTRIES, folder / "layer.tar")
    action = AssembleBase(name="system", base=base, packages=(), archive="", digest="")
    unit = Unit(kind=Kind.BASE, name="system", platform=AMD64, action=action)
    digest = str(layer.diff_id)
    made = Artifact(unit=unit.id, digest=digest, size=layer.size, path=layer.path)
    return Products(units={unit.id: unit}, artifacts={unit.id: made})


def test_a_bootstrapped_base_is_named_by_its_layer_and_its_packages(tmp_path: Path) -> None:
    made = products(tmp_path, Base(kind="bootstrap", suite="bookworm"))
    layer, *packages = unpinned_materials(made, layer_contents)
    (artifact,) = made.artifacts.values()
    assert layer.name == "base/system@linux/amd64"
    assert f"sha256:{dict(layer.digests)['sha256']}" == artifact.digest
    assert [item.uri for item in packages] == [
        "pkg:deb/debian/sudo@1.9.13p3-1?arch=amd64&distro=debian-12"
    ]


def test_of_a_base_that_the_lock_pins_nothing_more_is_said(tmp_path: Path) -> None:
    made = products(tmp_path, Base(kind="debian", suite="bookworm", packages=("sudo",)))
    assert tuple(unpinned_materials(made, layer_contents)) == ()
