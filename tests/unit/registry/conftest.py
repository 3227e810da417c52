"""A fake registry and a client of it that does not really sleep."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from buildkit.digest import canonical_json
from buildkit.http import HttpPool
from buildkit.oci.model import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import FakeRegistry, Logins


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def pool(pauses: list[float]) -> HttpPool:
    return HttpPool(environ={}, sleep=pauses.append)


@pytest.fixture
def client(pool: HttpPool) -> RegistryClient:
    return RegistryClient(pool=pool, credentials=Logins())


@pytest.fixture
def app(registry: FakeRegistry) -> Reference:
    return Reference.parse(f"{registry.host}/team/app:v1")


def push_image(client: RegistryClient, reference: Reference, layer: bytes = b"layer") -> Descriptor:
    """Push an image of one layer and return its manifest's descriptor."""
    parts = []
    for media_type, data in ((OCI_CONFIG, b"{}"), (OCI_LAYER_GZIP, layer)):
        part = Descriptor.of(media_type, data)
        client.blobs.push(reference, part, lambda data=data: io.BytesIO(data))  # type: ignore[misc]
        parts.append(part.to_json())
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": parts[0],
        "layers": parts[1:],
    }
    return client.put_manifest(reference, canonical_json(manifest), OCI_MANIFEST)
