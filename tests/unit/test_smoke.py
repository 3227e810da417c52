"""The smoke run against a daemon in memory: what it starts, asks, refuses and leaves behind."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker import DockerClient

from buildkit.config.model import Smoke, SmokeContainer, SmokeCounter, SmokeRequest, SmokeStep
from buildkit.errors import VerificationError
from buildkit.http import Answer
from buildkit.smoke import SmokeRun, pack, read_counter


@dataclass(slots=True)
class FakeContainer:
    reference: str
    settings: dict[str, Any]
    daemon: FakeDaemon
    status: str = "created"
    copied: list[bytes] = field(default_factory=list)

    @property
    def ports(self) -> dict[str, list[dict[str, str]]]:
        return {port: [{"HostPort": port.partition("/")[0]}] for port in self.settings["ports"]}

    def put_archive(self, path: str, data: bytes) -> None:
        assert path == "/"
        self.copied.append(data)

    def start(self) -> None:
        self.status = self.daemon.start_status
        self.daemon.events.append(f"start {self.settings['hostname']}")

    def reload(self) -> None: ...

    def logs(self, **_: Any) -> bytes:
        return b"its last words"

    def remove(self, **_: Any) -> None:
        self.daemon.events.append(f"remove {self.settings['hostname']}")


@dataclass(slots=True)
class FakeDaemon:
    """What of the Docker SDK a smoke run uses."""

    start_status: str = "running"
    events: list[str] = field(default_factory=list)
    made: list[FakeContainer] = field(default_factory=list)

    @property
    def images(self) -> Any:
        return SimpleNamespace(pull=lambda text: self.events.append(f"pull {text}"))

    @property
    def containers(self) -> Any:
        return SimpleNamespace(create=self._create)

    @property
    def networks(self) -> Any:
        network = SimpleNamespace(
            connect=lambda *_, **__: None, remove=lambda: self.events.append("remove network")
        )
        return SimpleNamespace(create=lambda *_, **__: network)

    def _create(self, reference: str, command: list[str] | None, **settings: Any) -> FakeContainer:
        made = FakeContainer(reference, {**settings, "command": command}, self)
        self.made.append(made)
        return made


@dataclass(slots=True)
class World:
    """Time that passes only by sleeping, and a gateway that answers as it is told."""

    answers: dict[str, Answer]
    now: float = 0.0
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def ask(self, url: str, headers: Mapping[str, str]) -> Answer | None:
        self.asked.append((url, headers))
        if url.endswith("/stats"):
            return Answer(200, {}, f"http.ok: {len(self.asked)}\nhttp.off: 0\n".encode())
        return self.answers.get(url.partition("/")[2].partition("/")[2])


CONTAINERS = {"gateway": SmokeContainer(image="proxy", port=80, admin_port=90, ready="/up")}
READY = {"127.0.0.1:80/up": Answer(200, {}, b"")}


def smoke_run(smoke: Smoke, daemon: FakeDaemon, world: World, tmp_path: Path) -> SmokeRun:
    return SmokeRun(
        smoke=smoke,
        images={"proxy": "localhost:5000/proxy@sha256:1"},
        root=tmp_path,
        logs=tmp_path / "logs",
        client=cast("DockerClient", daemon),
        ask=world.ask,
        note=daemon.events.append,
        clock=lambda: world.now,
        sleep=world.sleep,
    )


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    made = FakeDaemon()
    yield made
    assert made.events[-1] == "remove network"
    started = [event.split()[1] for event in made.events if event.startswith("start ")]
    removed = [event.split()[1] for event in made.events if event.startswith("remove ")]
    assert set(started) <= set(removed)


def test_a_step_is_proven_by_its_answer_and_its_counter(daemon: FakeDaemon, tmp_path: Path) -> None:
    request = SmokeRequest(container="gateway", path="/x", headers={"a": "b"}, contains="hello")
    counter = SmokeCounter(container="gateway", name=r"http\.ok")
    step = SmokeStep(title="it answers", request=request, counters=(counter,))
    world = World({**READY, "127.0.0.1:80/x": Answer(200, {}, b"hello there")})
    smoke_run(Smoke(containers=CONTAINERS, steps=(step,)), daemon, world, tmp_path).run()
    assert "proven: it answers" in daemon.events
    assert ("http://127.0.0.1:80/x", {"a": "b"}) in world.asked
    assert (tmp_path / "logs" / "gateway.log").read_bytes() == b"its last words"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(503, {}, b"no healthy upstream"), "status 503, not 200: no healthy upstream"),
        (Answer(200, {"v": "1"}, b"hello"), "gave v: 1, not 2"),
        (Answer(200, {"v": "2"}, b"else"), "a body without 'hello'"),
    ],
)
def test_a_wrong_answer_fails_with_what_came_and_what_was_logged(
    daemon: FakeDaemon, tmp_path: Path, answer: Answer, words: str
) -> None:
    request = SmokeRequest(
        container="gateway", path="/x", response_headers={"v": "2"}, contains="hello"
    )
    step = SmokeStep(title="it answers", request=request, seconds=2)
    world = World({**READY, "127.0.0.1:80/x": answer})
    with pytest.raises(VerificationError, match="smoke step failed: it answers") as caught:
        smoke_run(Smoke(containers=CONTAINERS, steps=(step,)), daemon, world, tmp_path).run()
    assert words in caught.value.details
    assert "its last words" in caught.value.details


def test_a_counter_that_stands_still_fails(daemon: FakeDaemon, tmp_path: Path) -> None:
    counter = SmokeCounter(container="gateway", name=r"http\.off")
    step = SmokeStep(title="it counts", counters=(counter,), seconds=1)
    with pytest.raises(VerificationError) as caught:
        smoke_run(Smoke(containers=CONTAINERS, steps=(step,)), daemon, World(READY), tmp_path).run()
    assert "went from 0 to 0, not up by 1" in caught.value.details


def test_a_container_that_never_gets_ready_fails(daemon: FakeDaemon, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="gateway was not ready after 60 s"):
        smoke_run(Smoke(containers=CONTAINERS), daemon, World({}), tmp_path).run()


def test_a_container_that_ends_by_itself_fails_at_once(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.start_status = "exited"
    world = World({})
    with pytest.raises(VerificationError, match="gateway ended by itself"):
        smoke_run(Smoke(containers=CONTAINERS), daemon, world, tmp_path).run()
    assert world.now == 0


def test_files_are_copied_readable_for_everyone(daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "a.yaml").write_text("a: 1")
    (tmp_path / "config" / "a.yaml").chmod(0o600)
    containers = {"gateway": SmokeContainer(image="proxy", copy={"/etc/config": "config"})}
    smoke_run(Smoke(containers=containers), daemon, World({}), tmp_path).run()
    (data,) = daemon.made[0].copied
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        modes = {item.name: (item.mode, item.uid) for item in archive}
    assert modes == {"etc/config": (0o755, 0), "etc/config/a.yaml": (0o644, 0)}


def test_pack_puts_one_file_at_its_target(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path / "f", "/a/b"))) as archive:
        assert archive.getnames() == ["a/b"]


def test_a_counter_is_named_exactly_once() -> None:
    text = "http.a.ok: 3\nhttp.b.ok: 4\nhttp.histogram: P0(nan,1)\n"
    assert read_counter(text, r"http\.a\.ok") == 3
    assert read_counter(text, r"http\.c\.ok") == 0
    with pytest.raises(VerificationError, match="names several statistics"):
        read_counter(text, r"http\..*ok")
