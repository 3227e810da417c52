"""A local registry for those who have none: start it, find it again, stop it.

Each lives in a folder of its own below the user cache: configuration, data, log
and the state that makes it ours. What we did not start is used, never stopped.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from buildkit.errors import EnvironmentMissingError, RegistryError, UsageError
from buildkit.http import HttpPool
from buildkit.platform import Platform
from buildkit.proc import Runner, spawn_detached
from buildkit.reference import is_loopback, split_hub
from buildkit.registry.container import Containers, Nearness, container_paths
from buildkit.registry.probe import Found, Presence, probe
from buildkit.registry.process import (
    Program,
    clean_env,
    default_config,
    find_program,
    identify,
    last_lines,
)
from buildkit.registry.state import State, all_states, birth, end_process, forget, load, save
from buildkit.store import Store, atomic_write, discard

HEALTH_SECONDS = 20.0
"""How long a new registry may take to answer."""

FALLBACK_PORTS = range(5001, 5021)
_PAUSE_SECONDS = 0.1
_PORT = re.compile(r":[0-9]+$")


class Spawn(Protocol):
    """Starts a process that outlives us; :func:`buildkit.proc.spawn_detached`."""

    def __call__(
        self, argv: tuple[str, ...], *, env: Mapping[str, str], cwd: Path, log: Path
    ) -> int:
        """Return the process id."""
        ...


class Serving(Struct, frozen=True, kw_only=True):
    """What is known about a hub."""

    hub: str
    """The hub to use; differs from the one asked for where its port was taken."""
    registry: str
    """Its host and port."""
    found: Found
    state: State | None
    """What we started for this hub, if we did and it has not ended."""
    folder: Path
    """Where configuration, data and log of ours lie."""

    @property
    def is_running(self) -> bool:
        """Tell whether a registry answers, ours or not."""
        return self.found.presence is Presence.REGISTRY


class LocalRegistry(Struct, frozen=True, kw_only=True):
    """Starts, finds and stops local registries.

    Args:
        store: the user cache, which also holds the lock between two of us.
        pool: asks whether a registry answers.
        runner: runs short programs.
        environ: where PATH comes from.
        containers: the Docker daemon, or None; asked only when one must be started.
        build_registry: makes a registry program for a platform, see
            :func:`buildkit.registry.provision.build_registry`.
        version: of what that builds.
        tell: takes one line for the user.
        spawn: starts a process that outlives us.
        birth: tells when a process was started, see :func:`buildkit.registry.state.birth`.
        kill: sends a signal to a process.
        fallback_ports: tried where the port of a hub that nobody named is taken.
    """

    store: Store
    pool: HttpPool
    runner: Runner
    environ: Mapping[str, str]
    containers: Callable[[], Containers | None]
    build_registry: Callable[[Platform], Path]
    version: str
    tell: Callable[[str], None]
    spawn: Spawn = spawn_detached
    birth: Callable[[int, Runner], str] = birth
    kill: Callable[[int, int], None] = os.kill
    fallback_ports: range = FALLBACK_PORTS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def status(self, hub: str, *, named: bool) -> Serving:
        """Tell what answers at a hub; unless the user named it, also at what stands in for it."""
        registry, _ = split_hub(hub)
        state = load(self._folder(registry))
        if state and named and state.registry != registry:
            state = None
        if state and not self._seems_alive(state):
            state = None
        return self._serving(hub, state.registry if state else registry, state)

    def start(self, hub: str, *, named: bool) -> Serving:
        """Make sure that a registry answers at a loopback hub.

        Args:
            hub: where it should.
            named: the user named this hub, so another port will not do.

        Raises:
            UsageError: the hub is not on this machine.
            RegistryError: something else answers there, or none could be started.
            EnvironmentMissingError: there is nothing to start one with.
        """
        registry, _ = split_hub(hub)
        if not is_loopback(registry) or not _PORT.search(registry):
            raise UsageError(
                f"no registry can be started at {registry}",
                resolution="Name a port of this machine, such as localhost:5000.",
            )
        serving = self.status(hub, named=named)
        if serving.is_running:
            return serving
        with self.store.lock("registry"):
            target = self._choose(hub, registry, named=named)
            if self._probe(target).presence is not Presence.REGISTRY:
                self._launch(hub=registry, registry=target)
            return self.status(hub, named=named)

    def stop(self) -> tuple[str, ...]:
        """End every registry that we started, and nothing else; return where they were.

        Raises:
            EnvironmentMissingError: one runs in a daemon that does not answer.
        """
        stopped = []
        with self.store.lock("registry"):
            for folder, state in all_states(self._root):
                if self._is_alive(state):
                    self._end(state)
                    stopped.append(state.registry)
                forget(folder)
        return tuple(stopped)

    @property
    def _root(self) -> Path:
        return self.store.root / "registry"

    def _folder(self, registry: str) -> Path:
        return self._root / registry.replace(":", "_").strip("[]")

    def _probe(self, registry: str) -> Found:
        return probe(self.pool, registry)

    def _serving(self, hub: str, registry: str, state: State | None) -> Serving:
        asked, prefix = split_hub(hub)
        return Serving(
            hub=hub if registry == asked else "/".join(part for part in (registry, prefix) if part),
            registry=registry,
            found=self._probe(registry),
            state=state,
            folder=self._folder(asked),
        )

    def _choose(self, hub: str, registry: str, *, named: bool) -> str:
        """Return the first candidate where a registry answers, or nothing does."""
        host = registry.rpartition(":")[0]
        candidates = [registry]
        if not named:
            candidates += (f"{host}:{port}" for port in self.fallback_ports)
        taken: list[str] = []
        for candidate in dict.fromkeys(candidates):
            found = self._probe(candidate)
            if found.presence is not Presence.OTHER:
                if taken:
                    self.tell(f"{taken[0]}; using {candidate} instead")
                return candidate
            taken.append(f"at {candidate} something else answers: {found.words}")
        raise RegistryError(
            f"no registry can be started at {hub}",
            details="\n".join(taken),
            resolution="Stop what answers there, or name another hub, for example "
            "--hub localhost:5050.",
        )

    def _launch(self, *, hub: str, registry: str) -> None:
        before = load(self._folder(hub))
        if before and self._is_alive(before):
            # It stood in for a port that is free again; two must not share the data.
            self._end(before)
        containers = self.containers()
        near = containers.nearness if containers else Nearness.SHARED
        if near is Nearness.REMOTE:
            raise EnvironmentMissingError(
                "the Docker daemon is on another machine, where a local registry is of no use",
                resolution="Name a hub that both machines reach, with --hub.",
            )
        if containers and (image := containers.registry_image()):
            self._run_container(containers, image, image, hub, registry)
        elif near is Nearness.PUBLISHED and containers:
            image = containers.built_image(self.version) or self._import(containers)
            self._run_container(containers, image, self.version, hub, registry)
        else:
            self._run_process(self._program(), hub, registry)

    def _import(self, containers: Containers) -> str:
        platform = Platform("linux", containers.architecture)
        return containers.import_binary(self.build_registry(platform), self.version)

    def _program(self) -> Program:
        if found := find_program(self.environ, self.runner):
            return found
        return identify(self.build_registry(Platform.host()), self.runner)

    def _run_process(self, program: Program, hub: str, registry: str) -> None:
        folder = self._folder(hub)
        config, log, data = folder / "config.yml", folder / "registry.log", folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        for path in (config, log):
            discard(path)
        atomic_write(config, default_config(address=_listen(registry), data=str(data)).encode())
        argv = (str(program.path), "serve", str(config))
        pid = self.spawn(argv, env=clean_env(self.environ), cwd=folder, log=log)
        state = State(
            registry=registry,
            hub=hub,
            kind="process",
            version=program.version,
            pid=pid,
            born=self.birth(pid, self.runner),
        )
        save(folder, state)
        self._await(folder, state, lambda: last_lines(log))
        self.tell(f"started a registry at {registry} (process {pid}, data in {data})")

    def _run_container(
        self, containers: Containers, image: str, version: str, hub: str, registry: str
    ) -> None:
        folder = self._folder(hub)
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        address, inside = container_paths()
        config = default_config(address=address, data=inside)
        identity = containers.run(image, registry, config, data)
        state = State(
            registry=registry, hub=hub, kind="container", version=version, container=identity
        )
        save(folder, state)
        self._await(folder, state, lambda: containers.log(identity))
        self.tell(f"started a registry at {registry} (container {identity[:12]} of {image})")

    def _await(self, folder: Path, state: State, log: Callable[[], str]) -> None:
        deadline = self.clock() + HEALTH_SECONDS
        while self.clock() < deadline:
            alive = self._is_alive(state)
            if alive and self._probe(state.registry).presence is Presence.REGISTRY:
                return
            if not alive:
                break
            self.sleep(_PAUSE_SECONDS)
        words = log()
        if self._is_alive(state):
            self._end(state)
            brief = f"the registry started at {state.registry} does not answer"
        else:
            brief = f"the registry started at {state.registry} ended at once"
        forget(folder)
        raise RegistryError(
            brief, details=words, resolution=f"Its configuration and log are in {folder}."
        )

    def _seems_alive(self, state: State) -> bool:
        # Asking Docker takes longer than all else; what answers at the port tells enough.
        return state.kind == "container" or self._is_alive(state)

    def _is_alive(self, state: State) -> bool:
        if state.kind == "container":
            return self._daemon(state).is_running(state.container)
        return bool(state.born) and self.birth(state.pid, self.runner) == state.born

    def _end(self, state: State) -> None:
        if state.kind == "container":
            self._daemon(state).end(state.container)
        else:
            end_process(
                state.pid,
                is_alive=lambda: self._is_alive(state),
                kill=self.kill,
                sleep=self.sleep,
            )

    def _daemon(self, state: State) -> Containers:
        containers = self.containers()
        if containers is None:
            raise EnvironmentMissingError(
                f"the registry at {state.registry} runs in Docker, which does not answer",
                resolution="Start Docker and try again.",
            )
        return containers


def _listen(registry: str) -> str:
    """Return the loopback address a registry is bound to; a name becomes IPv4's."""
    host, _, port = registry.rpartition(":")
    return f"127.0.0.1:{port}" if host.endswith("localhost") else registry
