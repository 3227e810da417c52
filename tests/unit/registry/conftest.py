"""A fake registry and a client of it that does not really sleep."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial

import pytest

from buildkit.digest import canonical_json
from buildkit.http import HttpPool
from buildkit.oci.model import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.serve import LocalRegistry
from buildkit.store import Store
from tests.fakes.registry import FakeRegistry, Logins
from tests.unit.registry.world import Programs, World, free_port


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


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    for pid in tuple(world.births):
        world.end(pid)
    if world.daemon:
        world.daemon.close()


@pytest.fixture
def programs() -> Programs:
    return Programs()


@pytest.fixture
def local(world: World, programs: Programs, pool: HttpPool, store: Store) -> LocalRegistry:
    return LocalRegistry(
        store=store,
        pool=pool,
        runner=programs,
        environ={"PATH": str(store.root / "bin"), "REGISTRY_AUTH_FILE": "/x", "HOME": "/home/ann"},
        containers=world.containers,
        build_registry=world.build,
        version="v3.1.2",
        tell=world.told.append,
        spawn=world.spawn,
        birth=world.birth,
        kill=world.kill,
        clock=lambda: world.now,
        sleep=world.sleep,
    )


@pytest.fixture
def hub() -> str:
    return f"localhost:{free_port()}"


def push_image(client: RegistryClient, reference: Reference, layer: bytes = b"layer") -> Descriptor:
    """Push an image of one layer and return its manifest's descriptor."""
    parts = []
    for media_type, data in ((OCI_CONFIG, b"{}"), (OCI_LAYER_GZIP, layer)):
        part = Descriptor.of(media_type, data)
        client.blobs.push(reference, part, partial(io.BytesIO, data))
        parts.append(part.to_json())
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": parts[0],
        "layers": parts[1:],
    }
    return client.put_manifest(reference, canonical_json(manifest), OCI_MANIFEST)
