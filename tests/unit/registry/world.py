"""A simulated machine for the local registry: processes, clock, programs, daemon."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from buildkit.platform import Platform
from buildkit.proc import Completed, Runner
from buildkit.registry.container import Containers, Nearness
from buildkit.registry.serve import Serving
from buildkit.registry.state import State
from buildkit.store import Store
from tests.fakes.registry import FakeRegistry
from tests.unit.registry.fake_daemon import FakeDaemon


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class World:
    """A machine: its processes, its clock, its programs, what the user was told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[str] = []
        self.spawned: list[tuple[str, ...]] = []
        self.environs: list[Mapping[str, str]] = []
        self.signals: list[tuple[int, int]] = []
        self.births: dict[int, str] = {}
        self.servers: dict[int, FakeRegistry] = {}
        self.built: list[Platform] = []
        self.dies = ""
        self.is_deaf = False
        self.ignores: set[int] = set()
        self.daemon: FakeDaemon | None = None
        self.nearness = Nearness.SHARED

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def spawn(self, argv: tuple[str, ...], *, env: Mapping[str, str], cwd: Path, log: Path) -> int:
        assert cwd.is_dir()
        self.spawned.append(argv)
        self.environs.append(env)
        pid = 4000 + len(self.spawned)
        log.write_text(self.dies)
        if self.dies:
            return pid
        self.births[pid] = f"boot/{pid}"
        if not self.is_deaf:
            config = Path(argv[-1]).read_text()
            found = re.search(r'addr: "127\.0\.0\.1:(\d+)"', config)
            assert found
            self.servers[pid] = FakeRegistry(port=int(found[1])).__enter__()
        return pid

    def birth(self, pid: int, runner: Runner) -> str:
        del runner
        return self.births.get(pid, "")

    def kill(self, pid: int, number: int) -> None:
        self.signals.append((pid, number))
        if number not in self.ignores:
            self.end(pid)

    def end(self, pid: int) -> None:
        self.births.pop(pid)
        if server := self.servers.pop(pid, None):
            server.__exit__(None, None, None)

    def build(self, platform: Platform) -> Path:
        self.built.append(platform)
        return Path(f"/built/registry-{platform.slug}")

    def containers(self) -> Containers | None:
        if self.daemon is None:
            return None
        return Containers(client=self.daemon.client(), nearness=self.nearness, architecture="arm64")


class Programs:
    """A runner that knows what `--version` of each program says."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: bytes = b"",
        log: Path | None = None,
    ) -> Completed:
        del env, cwd, stdin, log
        name = Path(argv[0]).name
        text = self.versions.get(name, "github.com/distribution/distribution/v3 v3.1.2")
        return Completed(
            argv=tuple(argv), returncode=0, stdout=text.encode(), stderr=b"", seconds=0.0
        )


def install(store: Store, name: str) -> Path:
    program = store.root / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.touch(mode=0o755)
    return program


def state_of(serving: Serving) -> State:
    assert serving.state is not None
    return serving.state
