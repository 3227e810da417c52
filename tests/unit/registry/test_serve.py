"""The local registry as a process: found, started, remembered, stopped."""

from __future__ import annotations

import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from buildkit.errors import RegistryError, UsageError
from buildkit.platform import Platform
from buildkit.registry.probe import Presence
from buildkit.registry.serve import HEALTH_SECONDS, LocalRegistry
from buildkit.registry.state import State, load, save
from buildkit.store import Store
from tests.fakes.registry import FakeRegistry, Fault
from tests.unit.registry.world import Programs, World, free_port, install, state_of

AIRPLAY = Fault("GET /v2/", status=403, headers=(("Server", "AirTunes/670.6.2"),), times=999)


def test_a_registry_that_answers_is_used_and_is_not_ours(
    local: LocalRegistry, world: World
) -> None:
    with FakeRegistry() as foreign:
        serving = local.start(f"{foreign.host}/team", named=False)
        assert serving.is_running
        assert serving.hub == f"{foreign.host}/team"
        assert serving.state is None
        assert local.stop() == ()
        assert world.spawned == []
        assert world.signals == []


def test_a_registry_that_asks_for_a_login_is_one(local: LocalRegistry, world: World) -> None:
    with FakeRegistry() as private:
        words = (("WWW-Authenticate", "Basic"), ("Content-Type", "application/json"))
        private.misbehave(
            Fault("GET /v2/", status=401, headers=words, body=b'{"errors": []}', times=9)
        )
        assert local.start(private.host, named=True).is_running
        assert world.spawned == []


def test_a_program_on_path_is_started_detached_with_a_config_of_its_own(
    local: LocalRegistry, world: World, store: Store, hub: str
) -> None:
    program = install(store, "docker-registry")
    serving = local.start(hub, named=False)
    assert serving.is_running
    assert world.spawned == [(str(program), "serve", str(serving.folder / "config.yml"))]
    assert world.built == []
    config = (serving.folder / "config.yml").read_text()
    assert f'addr: "127.0.0.1:{hub.rpartition(":")[2]}"' in config
    assert f'rootdirectory: "{serving.folder / "data"}"' in config
    assert "delete:\n    enabled: true" in config
    assert serving.folder.is_relative_to(store.root)
    assert hub in world.told[0]


def test_variables_that_override_the_config_do_not_reach_it(
    local: LocalRegistry, world: World, store: Store, hub: str
) -> None:
    install(store, "registry")
    local.start(hub, named=False)
    assert set(world.environs[0]) == {"PATH", "OTEL_TRACES_EXPORTER"}


def test_another_program_of_that_name_is_not_taken(
    local: LocalRegistry, world: World, store: Store, programs: Programs, hub: str
) -> None:
    install(store, "registry")
    debian = install(store, "docker-registry")
    programs.versions["registry"] = "windows registry editor 1.0"
    local.start(hub, named=False)
    assert world.spawned[0][0] == str(debian)


def test_without_a_program_one_is_built(local: LocalRegistry, world: World, hub: str) -> None:
    local.start(hub, named=False)
    assert world.built == [Platform.host()]
    assert world.spawned[0][0].startswith("/built/registry-")


def test_a_second_start_finds_the_first(local: LocalRegistry, world: World, hub: str) -> None:
    first = local.start(hub, named=False)
    second = local.start(hub, named=False)
    assert second == first
    assert len(world.spawned) == 1


def test_two_that_start_at_once_end_with_one_registry(
    local: LocalRegistry, world: World, hub: str
) -> None:
    with ThreadPoolExecutor(4) as threads:
        starts = [threads.submit(local.start, hub, named=False) for _ in range(4)]
    assert {start.result().registry for start in starts} == {hub}
    assert len(world.spawned) == 1


def test_stop_ends_what_was_started_and_keeps_its_data(
    local: LocalRegistry, world: World, hub: str
) -> None:
    serving = local.start(hub, named=False)
    assert local.stop() == (hub,)
    assert world.signals == [(state_of(serving).pid, signal.SIGTERM)]
    assert local.status(hub, named=False).found.presence is Presence.NOTHING
    assert (serving.folder / "data").is_dir()
    assert local.stop() == ()


def test_one_that_does_not_end_is_killed(local: LocalRegistry, world: World, hub: str) -> None:
    serving = local.start(hub, named=False)
    world.ignores.add(signal.SIGTERM)
    local.stop()
    pid = state_of(serving).pid
    assert world.signals == [(pid, signal.SIGTERM), (pid, signal.SIGKILL)]


def test_a_recycled_process_id_is_never_killed(
    local: LocalRegistry, world: World, hub: str
) -> None:
    serving = local.start(hub, named=False)
    pid = state_of(serving).pid
    world.end(pid)
    world.births[pid] = "boot/later"
    assert local.stop() == ()
    assert world.signals == []
    assert load(serving.folder) is None


def test_a_state_without_a_birth_is_never_killed(
    local: LocalRegistry, world: World, store: Store
) -> None:
    folder = store.root / "registry" / "localhost_1"
    save(
        folder, State(registry="localhost:1", hub="localhost:1", kind="process", version="", pid=1)
    )
    world.births[1] = ""
    assert local.stop() == ()
    assert world.signals == []
    del world.births[1]


def test_after_a_crash_it_is_started_again_over_the_same_data(
    local: LocalRegistry, world: World, hub: str
) -> None:
    before = local.start(hub, named=False)
    world.end(state_of(before).pid)
    assert local.status(hub, named=False).state is None
    after = local.start(hub, named=False)
    assert after.folder == before.folder
    assert state_of(after).pid != state_of(before).pid


def test_one_that_dies_at_once_is_an_error_with_the_end_of_its_log(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.dies = "\n".join(f"line {number}" for number in range(100)) + "\npanic: bad config"
    with pytest.raises(RegistryError, match="ended at once") as caught:
        local.start(hub, named=False)
    assert caught.value.details.endswith("panic: bad config")
    assert "line 50\n" not in caught.value.details
    assert "registry" in caught.value.resolution
    assert local.status(hub, named=False).state is None


def test_one_that_never_answers_is_ended_after_the_deadline(
    local: LocalRegistry, world: World, hub: str
) -> None:
    world.is_deaf = True
    with pytest.raises(RegistryError, match="does not answer"):
        local.start(hub, named=False)
    assert world.now >= HEALTH_SECONDS
    assert world.births == {}


def test_airplay_at_the_default_port_moves_the_registry_and_says_so(
    local: LocalRegistry, world: World
) -> None:
    port = free_port()
    local = replace(local, fallback_ports=range(port, port + 1))
    with FakeRegistry() as airplay:
        airplay.misbehave(AIRPLAY)
        serving = local.start(f"{airplay.host}/team", named=False)
        assert serving.hub == f"127.0.0.1:{port}/team"
        assert serving.is_running
        assert "AirPlay" in world.told[0]
        assert f"using 127.0.0.1:{port} instead" in world.told[0]
        assert local.status(airplay.host, named=False).registry == f"127.0.0.1:{port}"
        assert local.start(airplay.host, named=False).hub == f"127.0.0.1:{port}"
        assert len(world.spawned) == 1
        assert local.stop() == (f"127.0.0.1:{port}",)
        assert local.status(airplay.host, named=False).registry == airplay.host


def test_fallback_ports_that_are_taken_too_are_passed_over(
    local: LocalRegistry, world: World
) -> None:
    with FakeRegistry() as airplay, FakeRegistry() as other:
        for server in (airplay, other):
            server.misbehave(AIRPLAY)
        free = free_port()
        ports = sorted((int(other.host.rpartition(":")[2]), free))
        local = replace(local, fallback_ports=range(ports[0], ports[1] + 1, ports[1] - ports[0]))
        serving = local.start(airplay.host, named=False)
        assert serving.registry == f"127.0.0.1:{free}"
    assert len(world.spawned) == 1


def test_at_a_hub_that_the_user_named_it_is_an_error(local: LocalRegistry, world: World) -> None:
    with FakeRegistry() as airplay:
        airplay.misbehave(AIRPLAY)
        with pytest.raises(RegistryError, match=re.escape(airplay.host)) as caught:
            local.start(airplay.host, named=True)
        assert "403 from 'AirTunes/670.6.2' (AirPlay of macOS)" in caught.value.details
        assert "--hub" in caught.value.resolution
        assert world.spawned == []


def test_a_web_server_that_says_yes_to_everything_is_no_registry(
    local: LocalRegistry,
) -> None:
    with FakeRegistry() as server:
        page = (("Content-Type", "text/html"),)
        server.misbehave(Fault("GET /v2/", status=200, headers=page, body=b"<html>hello", times=9))
        assert local.status(server.host, named=False).found.presence is Presence.OTHER


@pytest.mark.parametrize("status", [403, 404, 500])
def test_json_of_another_status_is_no_registry(local: LocalRegistry, status: int) -> None:
    with FakeRegistry() as server:
        kind = (("Content-Type", "application/json"), ("Docker-Distribution-Api-Version", "x"))
        server.misbehave(Fault("GET /v2/", status=status, headers=kind, body=b"{}", times=9))
        assert local.status(server.host, named=False).found.presence is Presence.OTHER


def test_what_does_not_even_speak_http_is_no_registry(local: LocalRegistry) -> None:
    with FakeRegistry() as server:
        server.misbehave(Fault("GET /v2/", reset=0, times=9))
        assert local.status(server.host, named=False).found.presence is Presence.OTHER


def test_a_stand_in_ends_when_its_port_is_asked_for_by_name(
    local: LocalRegistry, world: World
) -> None:
    port = free_port()
    local = replace(local, fallback_ports=range(port, port + 1))
    with FakeRegistry() as airplay:
        airplay.misbehave(AIRPLAY)
        hub = airplay.host
        stand_in = local.start(hub, named=False)
    serving = local.start(hub, named=True)
    assert serving.registry == hub
    assert world.signals == [(state_of(stand_in).pid, signal.SIGTERM)]
    assert serving.folder == stand_in.folder


@pytest.mark.parametrize("hub", ["ghcr.io/team", "10.0.0.7:5000", "localhost/team"])
def test_only_a_port_of_this_machine_can_be_served(
    local: LocalRegistry, monkeypatch: pytest.MonkeyPatch, hub: str
) -> None:
    monkeypatch.setattr(socket, "create_connection", None)
    with pytest.raises(UsageError, match="no registry can be started"):
        local.start(hub, named=True)
