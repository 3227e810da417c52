"""The tags of cosign 1 and 2 beside an image: manifests whose layers are a list that grows.

Formats: specs/SIGNATURE_SPEC.md and specs/ATTESTATION_SPEC.md of github.com/sigstore/cosign.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from buildkit.digest import Digest, canonical_json
from buildkit.errors import RegistryError
from buildkit.oci.attachment import Content
from buildkit.oci.model import OCI_CONFIG, OCI_MANIFEST
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient

SIGNATURE, ATTESTATION, SBOM = "sig", "att", "sbom"


def signature_tag(digest: Digest, kind: str) -> str:
    """Return the tag of what is said about a manifest."""
    return f"sha256-{digest.hex}.{kind}"


def kept_layers(client: RegistryClient, tag: Reference) -> list[dict[str, Any]]:
    """Read the list under such a tag; none where there is no tag.

    Raises:
        RegistryError: the registry fails or refuses, or the tag is something else.
    """
    if client.head_manifest(tag) is None:
        return []
    try:
        layers = msgspec.json.decode(client.get_manifest(tag).data)["layers"]
        return list(layers)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise RegistryError(
            f"{tag} is no list of signatures",
            resolution="Remove that tag, or leave --legacy-tags out.",
        ) from error


def write_layers(client: RegistryClient, tag: Reference, layers: list[dict[str, Any]]) -> None:
    """Have such a tag name a list of layers, whose blobs are there.

    Raises:
        RegistryError: the registry fails or refuses.
    """
    config = Content.of(OCI_CONFIG, _config(layers))
    client.blobs.push(tag, config.descriptor, config.open)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor.to_json(),
        "layers": layers,
    }
    client.put_manifest(tag, canonical_json(manifest), OCI_MANIFEST)


def _config(layers: Iterable[dict[str, Any]]) -> bytes:
    diff_ids = [layer["digest"] for layer in layers]
    return canonical_json(
        {
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    )
