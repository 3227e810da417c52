"""An oracle for image layouts: reads one with nothing of the product, and believes no digest."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidImage:
    """One platform's image: its config, and its layers as plain tars."""

    config: dict[str, Any]
    layers: tuple[bytes, ...]
    media_types: tuple[str, ...]


def validate_layout(folder: Path) -> dict[str, dict[str, ValidImage]]:
    """Return the images of a layout by name and architecture; everything is read and checked."""
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((folder / "index.json").read_bytes())
    assert (index["schemaVersion"], index["mediaType"]) == (2, INDEX)
    found = {}
    for entry in index["manifests"]:
        one, other = (entry["annotations"][name] for name in NAMES)
        assert one == other
        assert one not in found
        found[one] = _platforms(folder, entry)
    return found


def validate_image(folder: Path, descriptor: dict[str, Any]) -> ValidImage:
    """Return the image of a manifest, checked down to the plain bytes of its layers."""
    manifest = json.loads(read_blob(folder, descriptor))
    assert (manifest["schemaVersion"], manifest["mediaType"]) == (2, MANIFEST)
    assert descriptor["mediaType"] == MANIFEST
    config = json.loads(read_blob(folder, manifest["config"]))
    assert config["os"] == descriptor["platform"]["os"]
    assert config["architecture"] == descriptor["platform"]["architecture"]
    layers = tuple(_plain(read_blob(folder, layer), layer) for layer in manifest["layers"])
    assert config["rootfs"]["diff_ids"] == [_digest(layer) for layer in layers]
    kinds = tuple(layer["mediaType"] for layer in manifest["layers"])
    return ValidImage(config=config, layers=layers, media_types=kinds)


def read_blob(folder: Path, descriptor: dict[str, Any]) -> bytes:
    """Return what a descriptor names."""
    digest: str = descriptor["digest"]
    data = (folder / "blobs" / digest.replace(":", "/")).read_bytes()
    assert (len(data), _digest(data)) == (descriptor["size"], digest)
    return data


def _platforms(folder: Path, entry: dict[str, Any]) -> dict[str, ValidImage]:
    index = json.loads(read_blob(folder, entry))
    assert (index["schemaVersion"], index["mediaType"]) == (2, INDEX)
    assert entry["mediaType"] == INDEX
    architectures = [item["platform"]["architecture"] for item in index["manifests"]]
    images = [validate_image(folder, item) for item in index["manifests"]]
    return dict(zip(architectures, images, strict=True))


def _plain(data: bytes, descriptor: dict[str, Any]) -> bytes:
    return gzip.decompress(data) if descriptor["mediaType"].endswith("+gzip") else data


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
