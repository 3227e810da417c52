"""Registries and clients of them that do not really sleep."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from buildkit.http import HttpPool
from buildkit.registry.client import RegistryClient
from tests.fakes.registry import FakeRegistry, Logins


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


@pytest.fixture
def other() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


@pytest.fixture
def client() -> RegistryClient:
    return RegistryClient(pool=HttpPool(environ={}, sleep=lambda _: None), credentials=Logins())
