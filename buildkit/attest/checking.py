"""Checks of what was signed: each says what was compared, whether or not it is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from buildkit.attest.images import verified_statements
from buildkit.attest.signer import Verifier
from buildkit.attest.statement import SLSA, SPDX
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.oci.model import INDEXES, Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One comparison: of what, with which outcome in words."""

    what: str
    text: str
    is_right: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a provenance has to say; nothing is compared with what is empty."""

    source: str = ""
    builder: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChecks:
    """Checks an image in a registry: signatures, provenance and SBOMs of all its platforms."""

    client: RegistryClient
    verifier: Verifier
    expected: Expected

    def findings(self, image: Reference) -> Iterator[Finding]:
        """Yield what was compared, the index first, then each platform.

        Raises:
            RegistryError: the registry fails, or has no such image.
        """
        manifest = self.client.get_manifest(image)
        yield from self._said(image, manifest.descriptor, "index")
        if manifest.descriptor.media_type in INDEXES:
            for item in msgspec.json.decode(manifest.data)["manifests"]:
                entry = Descriptor.from_json(item)
                yield from self._said(image, entry, str(entry.platform))

    def _said(self, image: Reference, subject: Descriptor, label: str) -> Iterator[Finding]:
        name = f"{image.repository} {label}"
        try:
            statements = verified_statements(self.client, image, subject.digest, self.verifier)
        except VerificationError as error:
            yield Finding(what=f"signature of {name}", text=error.brief, is_right=False)
            return
        yield Finding(what=f"signature of {name}", text=f"{subject.digest} by this key")
        by_type = {item["predicateType"]: item for item in statements}
        yield from provenance_findings(by_type.get(SLSA), self.expected, name)
        if subject.media_type not in INDEXES:
            yield sbom_finding(by_type.get(SPDX), subject.digest, name)


def provenance_findings(
    statement: Mapping[str, Any] | None, expected: Expected, name: str
) -> Iterator[Finding]:
    """Compare a provenance that is about the right thing with what it should say."""
    what = f"provenance of {name}"
    if statement is None:
        yield Finding(what=what, text="there is none by this key", is_right=False)
        return
    try:
        predicate = statement["predicate"]
        parameters = predicate["buildDefinition"]["externalParameters"]
        builder = predicate["runDetails"]["builder"]["id"]
        commits = [
            item["digest"]["gitCommit"]
            for item in predicate["buildDefinition"]["resolvedDependencies"]
            if "gitCommit" in item.get("digest", {})
        ]
    except (KeyError, TypeError, AttributeError):
        yield Finding(what=what, text="it is no SLSA provenance of version 1", is_right=False)
        return
    yield Finding(what=f"{what}: commit", text=", ".join(commits) or "none is named")
    for key, found, wanted in (
        ("source", parameters.get("source", ""), expected.source),
        ("version", parameters.get("version", ""), expected.version),
        ("builder", builder, expected.builder),
    ):
        yield _compared(f"{what}: {key}", str(found), wanted)


def sbom_finding(statement: Mapping[str, Any] | None, digest: Digest, name: str) -> Finding:
    """Tell whether there is an SBOM in which a manifest is described."""
    what = f"SBOM of {name}"
    if statement is None:
        return Finding(what=what, text="there is none by this key", is_right=False)
    try:
        packages = statement["predicate"]["packages"]
        sums = {
            item["checksumValue"] for package in packages for item in package.get("checksums", ())
        }
    except (KeyError, TypeError, AttributeError):
        return Finding(what=what, text="it is no SPDX document", is_right=False)
    if digest.hex not in sums:
        return Finding(what=what, text=f"it does not describe {digest}", is_right=False)
    return Finding(what=what, text=f"{len(packages)} packages")


def _compared(what: str, found: str, wanted: str) -> Finding:
    if not wanted:
        return Finding(what=what, text=found or "none is named")
    if found == wanted:
        return Finding(what=what, text=f"{found}, as expected")
    return Finding(what=what, text=f"{found or 'none'} instead of {wanted}", is_right=False)
