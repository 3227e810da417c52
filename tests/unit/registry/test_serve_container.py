"""The local registry as a container, and when it has to be one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.errors import EnvironmentMissingError, RegistryError
from buildkit.platform import Platform
from buildkit.registry.container import Nearness, nearness
from buildkit.registry.serve import LocalRegistry
from buildkit.registry.state import load
from buildkit.store import Store
from tests.unit.registry.fake_daemon import FakeDaemon
from tests.unit.registry.world import World, install, state_of


def test_a_registry_image_of_the_daemon_comes_first(
    local: LocalRegistry, world: World, store: Store, hub: str
) -> None:
    install(store, "registry")
    world.daemon = FakeDaemon(images=("registry:2", "registry:3", "team/registry:9"))
    serving = local.start(hub, named=False)
    assert serving.is_running
    assert world.spawned == []
    (container,) = world.daemon.created
    assert container.image == "registry:3"
    assert container.settings["ports"] == {"5000/tcp": ("127.0.0.1", int(hub.split(":")[1]))}
    assert container.settings["volumes"] == {
        str(serving.folder / "data"): {"bind": "/var/lib/registry", "mode": "rw"}
    }
    # What it writes must be the user's to delete.
    assert container.settings["user"] == f"{os.getuid()}:{os.getgid()}"
    assert 'rootdirectory: "/var/lib/registry"' in container.files["registry-config.yml"]
    assert world.daemon.pulled == []


def test_a_daemon_that_shares_our_network_lets_a_process_serve(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.daemon = FakeDaemon()
    local.start(hub, named=False)
    assert len(world.spawned) == 1
    assert world.daemon.created == []


def test_for_a_daemon_in_a_virtual_machine_what_we_build_runs_as_a_container(
    local: LocalRegistry, world: World, store: Store, hub: str, tmp_path: Path
) -> None:
    install(store, "registry")
    binary = tmp_path / "registry"
    binary.write_bytes(b"\x7fELF")

    def build(platform: Platform) -> Path:
        world.built.append(platform)
        return binary

    local = replace(local, build_registry=build)
    world.daemon = FakeDaemon()
    world.nearness = Nearness.PUBLISHED
    serving = local.start(hub, named=False)
    assert serving.is_running
    assert world.built == [Platform("linux", "arm64")]
    assert world.spawned == []
    name = "meshwright.local/tools/registry:v3.1.2"
    assert world.daemon.imported == {name: {"bin/registry": (0o755, b"\x7fELF")}}
    (container,) = world.daemon.created
    assert container.image == name
    # The daemon does not see our file system.
    port = hub.rpartition(":")[2]
    assert list(container.settings["volumes"]) == [f"meshwright-registry-{port}"]
    assert container.settings["user"] is None
    local.stop()
    local.start(hub, named=False)
    assert len(world.built) == 1


def test_a_container_of_ours_is_stopped_by_its_id(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.daemon = FakeDaemon(images=("registry:2",))
    serving = local.start(hub, named=False)
    foreign = world.daemon.add("somebody-elses")
    assert local.stop() == (hub,)
    assert state_of(serving).container not in world.daemon.containers
    assert foreign in world.daemon.containers


def test_a_container_without_our_label_is_never_ended(world: World) -> None:
    world.daemon = FakeDaemon()
    foreign = world.daemon.add("somebody-elses")
    containers = world.containers()
    assert containers is not None
    assert containers.end(foreign) is False
    assert containers.end("gone") is False
    assert foreign in world.daemon.containers


def test_a_container_left_by_a_reboot_is_replaced(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.daemon = FakeDaemon(images=("registry:2",))
    first = local.start(hub, named=False)
    world.daemon.reboot()
    second = local.start(hub, named=False)
    assert state_of(first).container != state_of(second).container
    assert list(world.daemon.containers) == [state_of(second).container]


def test_somebody_elses_container_of_that_name_is_left_alone(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.daemon = FakeDaemon(images=("registry:2",))
    name = f"meshwright-registry-{hub.rpartition(':')[2]}"
    foreign = world.daemon.add(name)
    with pytest.raises(RegistryError, match="is not ours"):
        local.start(hub, named=False)
    assert foreign in world.daemon.containers


def test_a_container_that_dies_at_once_is_an_error_with_its_log(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.daemon = FakeDaemon(images=("registry:2",), dies="panic: no space left")
    with pytest.raises(RegistryError, match="ended at once") as caught:
        local.start(hub, named=False)
    assert caught.value.details == "panic: no space left"


def test_a_daemon_that_fails_is_an_error_of_ours(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.daemon = FakeDaemon(images=("registry:2",), fails="driver failed")
    with pytest.raises(EnvironmentMissingError, match="cannot run a local registry") as caught:
        local.start(hub, named=False)
    assert "driver failed" in caught.value.details


def test_a_daemon_on_another_machine_gets_no_local_registry(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.daemon = FakeDaemon(images=("registry:2",))
    world.nearness = Nearness.REMOTE
    with pytest.raises(EnvironmentMissingError, match="another machine"):
        local.start(hub, named=False)


def test_a_container_cannot_be_stopped_without_the_daemon_and_is_not_forgotten(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.daemon = FakeDaemon(images=("registry:2",))
    serving = local.start(hub, named=False)
    daemon, world.daemon = world.daemon, None
    with pytest.raises(EnvironmentMissingError, match="Start Docker"):
        local.stop()
    assert load(serving.folder) == serving.state
    world.daemon = daemon
    assert local.stop() == (hub,)


NATIVE = {"Name": "vm", "OperatingSystem": "Debian GNU/Linux 12 (bookworm)"}


@pytest.mark.parametrize(
    ("info", "base_url", "host_system", "expected"),
    [
        ({}, "http+docker://localhost", "linux", Nearness.SHARED),
        ({}, "http://127.0.0.1:2375", "linux", Nearness.SHARED),
        ({}, "http+docker://localhost", "darwin", Nearness.PUBLISHED),
        ({}, "http+docker://localnpipe", "win32", Nearness.PUBLISHED),
        ({"OperatingSystem": "Docker Desktop"}, "http+docker://localhost", "linux", "published"),
        ({"Name": "docker-desktop"}, "http+docker://localhost", "linux", Nearness.PUBLISHED),
        ({"Name": "colima"}, "http+docker://localhost", "linux", Nearness.PUBLISHED),
        ({"Name": "lima-rancher-desktop"}, "http+docker://localhost", "linux", Nearness.PUBLISHED),
        ({"OperatingSystem": "OrbStack"}, "http+docker://localhost", "linux", Nearness.PUBLISHED),
        ({"Name": "the-host-of-us"}, "http+docker://localhost", "linux", Nearness.PUBLISHED),
        (
            {"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]},
            "http+docker://localhost",
            "linux",
            Nearness.PUBLISHED,
        ),
        ({}, "http+docker://ssh", "linux", Nearness.REMOTE),
        ({}, "https://build.test:2376", "darwin", Nearness.REMOTE),
    ],
)
def test_docker_info_tells_how_near_the_daemon_is(
    info: dict[str, object], base_url: str, host_system: str, expected: str
) -> None:
    found = nearness(NATIVE | info, base_url, host_system=host_system, host_name="VM")
    assert found == expected
