"""An image in the registry that a test's own fixture ``registry`` gives."""

from __future__ import annotations

import pytest

from buildkit.http import HttpPool
from buildkit.oci.model import Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import FakeRegistry, Logins
from tests.unit.registry.conftest import push_image


@pytest.fixture
def client() -> RegistryClient:
    return RegistryClient(pool=HttpPool(environ={}, sleep=lambda _: None), credentials=Logins())


@pytest.fixture
def image(registry: FakeRegistry) -> Reference:
    return Reference.parse(f"{registry.host}/team/app:v1")


@pytest.fixture
def subject(client: RegistryClient, image: Reference) -> Descriptor:
    return push_image(client, image)
