"""The local registry with real processes and a real daemon."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import docker.errors
import pytest

from buildkit.digest import canonical_json
from buildkit.errors import EnvironmentMissingError, RegistryError
from buildkit.http import HttpPool
from buildkit.images.daemon import connect
from buildkit.oci.model import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor
from buildkit.platform import Platform
from buildkit.proc import Processes, spawn_detached
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.container import IMAGE, Containers, Nearness
from buildkit.registry.probe import Presence
from buildkit.registry.serve import LocalRegistry, Serving
from buildkit.registry.state import State, birth
from buildkit.store import Store
from tests.fakes.registry import Logins
from tests.integration.registry_servers import built_program, free_port, installed_program

ROOT = Path(__file__).parents[2]
VERSION = "test-of-meshwright"

STARTER = """
import os, sys
from pathlib import Path
from buildkit.http import HttpPool
from buildkit.proc import Processes
from buildkit.registry.serve import LocalRegistry
from buildkit.store import Store

serving = LocalRegistry(
    store=Store.open(Path(sys.argv[1])), pool=HttpPool(environ={}), runner=Processes(),
    environ=dict(os.environ), containers=lambda: None, build_registry=None, version="", tell=print,
).start(sys.argv[2], named=False)
print(serving.state.pid, serving.is_running)
"""


def refuse(platform: Platform) -> Path:
    message = f"nothing is to be built here, for {platform}"
    raise AssertionError(message)


def local_registry(
    store: Store,
    *,
    containers: Callable[[], Containers | None] = lambda: None,
    build: Callable[[Platform], Path] = refuse,
    path: str | None = None,
) -> LocalRegistry:
    return LocalRegistry(
        store=store,
        pool=HttpPool(environ={}),
        runner=Processes(),
        environ={"PATH": os.environ["PATH"] if path is None else path},
        containers=containers,
        build_registry=build,
        version=VERSION,
        tell=lambda _: None,
    )


@pytest.fixture
def hub(store: Store) -> Iterator[str]:
    yield f"localhost:{free_port()}"
    local_registry(store).stop()


def state_of(serving: Serving) -> State:
    assert serving.state is not None
    return serving.state


def push_image(host: str) -> Reference:
    """Push a minimal image that a daemon accepts, and return its name."""
    client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
    reference = Reference.parse(f"{host}/meshwright-serve-test:v1")
    layer = bytes(1024)
    digest = Descriptor.of(OCI_LAYER, layer)
    config = canonical_json(
        {
            "architecture": Platform.host().arch,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [str(digest.digest)]},
        }
    )
    described = Descriptor.of(OCI_CONFIG, config)
    for part, data in ((digest, layer), (described, config)):
        client.blobs.push(reference, part, partial(io.BytesIO, data))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": described.to_json(),
        "layers": [digest.to_json()],
    }
    client.put_manifest(reference, canonical_json(manifest), OCI_MANIFEST)
    return reference


@pytest.mark.registry
def test_the_installed_program_is_started_found_again_and_ended(store: Store, hub: str) -> None:
    serving = local_registry(store).start(hub, named=False)
    assert serving.is_running
    push_image(hub)
    again = local_registry(store).start(hub, named=True)
    assert again.state == serving.state
    assert local_registry(store).stop() == (hub,)
    assert local_registry(store).status(hub, named=False).found.presence is Presence.NOTHING
    assert birth(state_of(serving).pid, Processes()) == ""


@pytest.mark.registry
def test_what_was_pushed_is_still_there_after_stop_and_start(store: Store, hub: str) -> None:
    local = local_registry(store)
    local.start(hub, named=False)
    reference = push_image(hub)
    local.stop()
    local.start(hub, named=False)
    client = RegistryClient(pool=HttpPool(environ={}), credentials=Logins())
    assert client.tags(reference) == ("v1",)


@pytest.mark.registry
def test_two_tools_that_start_at_once_end_with_one_registry_that_outlives_them(
    store: Store, hub: str
) -> None:
    argv = [sys.executable, "-c", STARTER, str(store.root), hub]
    starters = [
        subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(3)
    ]
    answers = [starter.communicate(timeout=60)[0].splitlines()[-1] for starter in starters]
    assert len(set(answers)) == 1
    pid, is_running = answers[0].split()
    assert is_running == b"True"
    serving = local_registry(store).status(hub, named=False)
    assert serving.is_running
    assert state_of(serving).pid == int(pid)
    assert local_registry(store).stop() == (hub,)


def test_a_program_that_fails_shows_its_own_words(store: Store, hub: str, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "registry"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo distribution v9 && exit\n'
        "echo panic: no licence >&2\nexit 3\n"
    )
    program.chmod(0o755)
    with pytest.raises(RegistryError, match="ended at once") as caught:
        local_registry(store, path=str(program.parent)).start(hub, named=False)
    assert caught.value.details == "panic: no licence"


def test_a_detached_process_has_its_own_session_and_no_parent_here(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "import os, sys; print(os.getsid(0), os.getppid(), sys.stdin.read()); sys.exit(3)"
    pid = spawn_detached((sys.executable, "-c", program), env={}, cwd=tmp_path, log=log)
    words = _read_log(log)
    assert int(words[0]) not in {os.getsid(0), os.getpid()}
    assert int(words[1]) != os.getpid()
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_a_detached_program_that_is_missing_is_told_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    spawn_detached(("/no/such/program",), env={}, cwd=tmp_path, log=log)
    assert any("/no/such/program" in word for word in _read_log(log))
    with pytest.raises(EnvironmentMissingError, match="in the background"):
        spawn_detached(("/bin/true",), env={}, cwd=tmp_path / "none", log=log)


def _read_log(log: Path) -> list[str]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if log.exists() and (words := log.read_text().split()):
            return words
        time.sleep(0.02)
    return []


@pytest.mark.go
@pytest.mark.network
@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("near", [Nearness.PUBLISHED, Nearness.SHARED])
def test_what_we_build_serves_as_a_container_and_the_daemon_reaches_it(
    store: Store, hub: str, near: Nearness, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tools = Store.open(tmp_path_factory.getbasetemp() / "tools")
    port = int(hub.rpartition(":")[2])
    with contextlib.closing(connect(os.environ)) as client:
        near_containers = Containers(
            client=client, nearness=near, architecture=Platform.host().arch
        )
        if near is Nearness.SHARED:
            # A daemon that shares our network runs an image that it has.
            client.api.tag(
                near_containers.import_binary(built_program(tools), VERSION), "registry", VERSION
            )
        local = local_registry(
            store,
            containers=lambda: near_containers,
            build=lambda platform: built_program(tools, platform),
        )
        try:
            serving = local.start(hub, named=False)
            assert state_of(serving).kind == "container"
            reference = push_image(hub)
            assert client.images.pull(reference.name, tag="v1").tags == [str(reference)]
            assert local.stop() == (hub,)
            assert local.start(hub, named=False).is_running
            assert RegistryClient(pool=HttpPool(environ={}), credentials=Logins()).tags(
                reference
            ) == ("v1",)
            assert (serving.folder / "data" / "docker").is_dir() is (near is Nearness.SHARED)
        finally:
            local.stop()
            for name in (f"{hub}/meshwright-serve-test:v1", f"{IMAGE}:{VERSION}"):
                _ignore_missing(client.images.remove, name)
            _ignore_missing(client.images.remove, f"registry:{VERSION}")
            _ignore_missing(client.api.remove_volume, f"meshwright-registry-{port}")


def _ignore_missing(remove: Callable[[str], object], name: str) -> None:
    with contextlib.suppress(docker.errors.NotFound):
        remove(name)


@pytest.mark.registry
def test_a_program_is_recognised_by_its_version() -> None:
    done = Processes().run(
        (str(installed_program()), "--version"), env={"PATH": "/bin"}, cwd=Path("/")
    )
    assert b"distribution" in done.stdout
