"""Bases that tests push to a registry, one layer for two platforms."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from functools import partial

from msgspec.structs import replace

from buildkit.digest import Digest, canonical_json
from buildkit.http import HttpPool
from buildkit.oci.model import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor, Index
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import Logins


def packed_layer() -> tuple[bytes, bytes]:
    """Return a layer's tar, and the same compressed."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        folder = tarfile.TarInfo("etc")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        data = os.urandom(100_000)
        entry = tarfile.TarInfo("etc/random")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue(), gzip.compress(stream.getvalue(), mtime=0)


def push_base(name: str, plain: bytes, packed: bytes) -> None:
    """Push an index of two platforms with one layer to a registry without logins."""
    client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
    base = Reference.parse(name)
    children = []
    for architecture in ("amd64", "arm64"):
        config = canonical_json(
            {
                "architecture": architecture,
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [str(Digest.of_bytes(plain))]},
            }
        )
        parts = []
        for media_type, data in ((OCI_CONFIG, config), (OCI_LAYER_GZIP, packed)):
            parts.append(Descriptor.of(media_type, data))
            client.blobs.push(base, parts[-1], partial(io.BytesIO, data))
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": parts[0].to_json(),
            "layers": [parts[1].to_json()],
        }
        pushed = client.put_manifest(replace(base, tag=""), canonical_json(manifest), OCI_MANIFEST)
        children.append(replace(pushed, platform=Platform("linux", architecture)))
    client.put_index(base, Index.of(tuple(children)))
