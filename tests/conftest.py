"""Every test: nothing of the user's configuration, a fixed zone and umask, slow ones on demand."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from buildkit.store import Store

_FOREIGN_NAMES = """
    CI CLICOLOR CLICOLOR_FORCE COLUMNS DEBUG DOCKER_CONTEXT FORCE_COLOR HUB HUBS NO_COLOR
    SOURCE_DATE_EPOCH TAG TAGS VERSION
    CGO_ENABLED GOARCH GOBIN GOEXPERIMENT GOFLAGS GOOS GOROOT GOTMPDIR GOTOOLCHAIN GOWORK
"""
_FOREIGN_PREFIXES = ("GIT_", "GITHUB_", "INVOKE_", "MESHWRIGHT_", "XDG_")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also run the tests marked slow")


def pytest_configure() -> None:
    # How long an example takes says something of the machine alone.
    settings.register_profile("timeless", deadline=None)
    settings.load_profile("timeless")
    # A shell starts what it puts in the background with Ctrl-C ignored, and children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--all"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Places for home directories, without end.

    pytest would look through all directories of the run for the next number, for every test.
    """
    top = tmp_path_factory.mktemp("homes")
    return (top / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def isolated_user(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home directory, and an environment without what changes our behaviour."""
    home = next(homes)
    home.mkdir()
    names = frozenset(_FOREIGN_NAMES.split())
    for name in os.environ:
        if name in names or name.startswith(_FOREIGN_PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / ".docker"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    umask = os.umask(0o022)
    yield home
    os.umask(umask)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")
