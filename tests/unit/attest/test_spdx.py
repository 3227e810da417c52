"""SBOMs: components become documents, equal ones equal bytes; package URLs keep their rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from buildkit.attest import purl
from buildkit.attest.buildinfo import BuildInfo, Module
from buildkit.attest.component import Component, Purpose
from buildkit.attest.programs import fetched_program, go_program
from buildkit.attest.spdx import identifier, license_expression, spdx_document
from buildkit.digest import Digest
from buildkit.errors import ConfigError

DIGEST = Digest.of_bytes(b"binary")
INFO = BuildInfo(
    go="go1.26.8",
    path="example.com/Mesh/cmd/pilot",
    main=Module(path="example.com/Mesh", version="(devel)"),
    modules=(
        Module(path="github.com/BurntSushi/toml", version="v1.5.0", sum="h1:x="),
        Module(
            path="example.com/old",
            version="v1.0.0",
            replacement=Module(path="example.com/new", version="v1.1.0-0.2+incompatible"),
        ),
        Module(path="example.com/local", replacement=Module(path="./local")),
    ),
    settings=(("GOOS", "linux"),),
)
PILOT = go_program(INFO, name="pilot", digest=DIGEST, version="1.2.3", license_expression="MIT")


def document(root: Component = PILOT, **options: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(spdx_document(root, **{"epoch": 86400, **options}))
    return value


def purls(value: dict[str, Any]) -> list[str]:
    return [
        reference["referenceLocator"]
        for package in value["packages"]
        for reference in package.get("externalRefs", ())
    ]


def test_a_binary_depends_on_its_modules_and_on_gos_library() -> None:
    value = document()
    assert sorted(purls(value)) == [
        "pkg:golang/example.com/local",
        "pkg:golang/example.com/mesh@1.2.3#cmd/pilot",
        "pkg:golang/example.com/new@v1.1.0-0.2%2Bincompatible",
        "pkg:golang/github.com/burntsushi/toml@v1.5.0",
        "pkg:golang/stdlib@1.26.8",
    ]
    root = identifier(PILOT)
    edges = {
        (item["spdxElementId"], item["relationshipType"], item["relatedSpdxElement"])
        for item in value["relationships"]
    }
    assert ("SPDXRef-DOCUMENT", "DESCRIBES", root) in edges
    assert len([edge for edge in edges if edge[:2] == (root, "DEPENDS_ON")]) == 4
    (pilot,) = (item for item in value["packages"] if item["SPDXID"] == root)
    assert pilot["checksums"] == [{"algorithm": "SHA256", "checksumValue": DIGEST.hex}]
    assert pilot["licenseDeclared"] == "MIT"
    assert value["creationInfo"]["created"] == "1970-01-02T00:00:00Z"


def test_every_name_of_a_document_is_unique_and_every_end_of_an_edge_is_in_it() -> None:
    twice = Component(
        name="image", purpose=Purpose.CONTAINER, contains=(PILOT, PILOT), depends=(PILOT,)
    )
    value = document(twice)
    names = [item["SPDXID"] for item in value["packages"]]
    assert len(names) == len(set(names)) == 6
    ends = {item["relatedSpdxElement"] for item in value["relationships"]}
    assert ends == set(names)


def test_equal_components_give_equal_bytes_and_others_another_namespace() -> None:
    assert spdx_document(PILOT, epoch=1) == spdx_document(PILOT, epoch=1)
    one, two = document(), document(epoch=1)
    assert one["documentNamespace"] != two["documentNamespace"]
    assert one["packages"] == two["packages"]
    there = document(namespace="https://example.com/sbom/")["documentNamespace"]
    assert there.startswith("https://example.com/sbom/pilot-1.2.3-")


@given(st.text(max_size=30))
def test_any_name_gives_an_identifier(name: str) -> None:
    found = identifier(Component(name=name, purpose=Purpose.LIBRARY))
    assert all(char.isascii() and (char.isalnum() or char in ".-") for char in found)


def test_a_fetched_binary_is_named_by_its_digest() -> None:
    envoy = fetched_program(name="envoy", version="1.40.0", digest=DIGEST)
    (found,) = purls(document(envoy))
    assert PackageURL.from_string(found) == PackageURL(
        type="generic",
        name="envoy",
        version="1.40.0",
        qualifiers={"checksum": str(DIGEST)},
    )


@pytest.mark.parametrize(
    "text",
    [
        purl.golang("github.com/BurntSushi/toml", "v1.5.0+incompatible", subpath="cmd/tomlv"),
        purl.generic("envoy", "1.40.0", DIGEST),
        purl.image("localhost:5000/istio/pilot", DIGEST, arch="arm64", tag="1.2.3"),
        purl.package_url(
            "deb",
            "debian/libstdc++6",
            "1:14.2.0-19~deb13u1",
            qualifiers={"upstream": "gcc-14@14.2.0-19", "arch": "amd64", "distro": "debian-13"},
        ),
    ],
)
def test_package_urls_are_canonical(text: str) -> None:
    assert PackageURL.from_string(text).to_string() == text


def test_a_license_is_an_expression_or_an_error() -> None:
    assert license_expression("apache-2.0", "project.licenses") == "Apache-2.0"
    assert license_expression("", "project.licenses") == ""
    with pytest.raises(ConfigError, match=r"project\.licenses is no SPDX license expression"):
        license_expression("Apache License, Version 2.0", "project.licenses")
