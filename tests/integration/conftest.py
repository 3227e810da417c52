"""Integration tests use what this machine has; on CI, what a test needs has to be there."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from tests.integration.registry_servers import installed_program, serve

# Taken before any test is isolated.
_ENVIRON = dict(os.environ)
_GO_SETTINGS = """
    GOCACHE GOMODCACHE GOAUTH GOINSECURE GONOPROXY GONOSUMDB GOPRIVATE GOPROXY GOSUMDB
"""


@cache
def _go_settings() -> dict[str, str]:
    """Read the user's caches and module sources, or nothing where there is no Go."""
    go = shutil.which("go", path=_ENVIRON.get("PATH"))
    if go is None:
        return {}
    answer = subprocess.run(
        [go, "env", "-json", *_GO_SETTINGS.split()], env=_ENVIRON, check=True, capture_output=True
    )
    settings: dict[str, str] = json.loads(answer.stdout)
    return settings


@cache
def _docker_host() -> str | None:
    """Return the address of a daemon that answers, or nothing."""
    with warnings.catch_warnings():
        # Where nobody listens, the SDK leaves its socket to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        answers = _daemon_answers()
        gc.collect()
    if not answers:
        return None
    from docker.context import ContextAPI  # noqa: PLC0415 - only where a test needs it

    context = ContextAPI.kwargs_from_context(environment=_ENVIRON)
    default = str(context.get("base_url", "unix:///var/run/docker.sock"))
    return _ENVIRON.get("DOCKER_HOST", default)


def _daemon_answers() -> bool:
    import docker  # noqa: PLC0415 - only where a test needs it
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        with closing(docker.DockerClient.from_env(environment=_ENVIRON, timeout=20)) as client:
            return bool(client.ping())
    except DockerException:
        return False


def outside_settings() -> dict[str, str]:
    """Return what a whole run of the tool needs of the user: Go's settings, the daemon."""
    host = _docker_host()
    return {**_go_settings(), **({"DOCKER_HOST": host} if host else {})}


def _missing(marker: str) -> str:
    """Say what a test with this marker lacks here; empty where it can run."""
    path = _ENVIRON.get("PATH")
    if marker == "go" and not _go_settings():
        return "there is no go on PATH"
    if marker == "docker" and _docker_host() is None:
        return "no Docker daemon answers"
    if marker == "registry" and not (
        shutil.which("registry", path=path) or shutil.which("docker-registry", path=path)
    ):
        return "there is no registry or docker-registry on PATH"
    if marker == "interop" and not all(shutil.which(t, path=path) for t in ("skopeo", "umoci")):
        return "there is no skopeo or no umoci on PATH"
    if marker == "packages" and not all(shutil.which(t, path=path) for t in ("rpm", "lintian")):
        return "there is no rpm or no lintian on PATH"
    return ""


def skip_outside_ci(reason: str) -> NoReturn:
    """Skip a test that lacks something here; CI has everything, so that it fails there."""
    if _ENVIRON.get("CI") == "true":
        pytest.fail(f"CI lacks what this test needs: {reason}", pytrace=False)
    # A machine without a daemon or a registry proves the rest; the summary names what it could not.
    pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    reasons = [reason for mark in item.iter_markers() if (reason := _missing(mark.name))]
    if reasons:
        skip_outside_ci(", ".join(reasons))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """The address of an empty registry."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with serve(installed_program(), folder) as port:
        yield f"localhost:{port}"


@pytest.fixture(autouse=True)
def machine(
    request: pytest.FixtureRequest, isolated_user: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give a marked test what it is marked for: Go's caches and sources, the daemon's address."""
    del isolated_user
    if request.node.get_closest_marker("go"):
        for name, value in _go_settings().items():
            monkeypatch.setenv(name, value)
    if request.node.get_closest_marker("docker"):
        monkeypatch.setenv("DOCKER_HOST", str(_docker_host()))
