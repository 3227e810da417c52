"""Run the images of a project together, as containers from the registry, and talk to them.

What runs and what must come back is the ``[smoke]`` table of targets.toml. The
containers have a network of their own and are removed afterwards, also after a
failure; what they logged stays in files.
"""

from __future__ import annotations

import io
import re
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from buildkit.config.model import (
    Smoke,
    SmokeContainer,
    SmokeCounter,
    SmokeRequest,
    SmokeStep,
)
from buildkit.errors import BuildkitError, VerificationError
from buildkit.images.daemon import daemon_errors

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

READY_SECONDS = 60.0
_POLL_SECONDS = 0.25
_LOG_LINES = 15
_LABEL = "meshwright.smoke"


class Answer(Protocol):
    """An HTTP answer; header names are case-insensitive."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        ...

    @property
    def body(self) -> bytes:
        """The body."""
        ...


Ask = Callable[[str, Mapping[str, str]], Answer | None]
"""GETs a URL with headers; None where nothing answers."""


class SmokeRun(Struct, frozen=True, kw_only=True):
    """One run of the smoke table.

    Attributes:
        smoke: the table.
        images: image name to the reference that is pulled.
        root: the directory that the table's paths are relative to.
        logs: where the containers' output goes.
        client: the Docker daemon.
        ask: sends requests from this machine.
        note: takes one line per thing proven.
        clock: seconds, monotonic.
    """

    smoke: Smoke
    images: Mapping[str, str]
    root: Path
    logs: Path
    client: DockerClient
    ask: Ask
    note: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> None:
        """Start everything, take every step, and clean up.

        Raises:
            VerificationError: something did not answer as it should.
            BuildkitError: the daemon failed.
        """
        with _stage(self.client, self.logs) as stage:
            for name, container in self.smoke.containers.items():
                self._start(stage, name, container)
            for step in self.smoke.steps:
                self._take(stage, step)

    def _start(self, stage: _Stage, name: str, wanted: SmokeContainer) -> None:
        reference = self.images[wanted.image]
        ports = {wanted.port, wanted.admin_port, wanted.ready_port} - {0}
        with daemon_errors(f"{name} cannot be started", VerificationError):
            self.client.images.pull(reference)
            container = self.client.containers.create(
                reference,
                list(wanted.command) or None,
                name=f"{stage.prefix}-{name}",
                hostname=name,
                labels={_LABEL: stage.prefix},
                ports={f"{port}/tcp": ("127.0.0.1", 0) for port in sorted(ports)},
            )
            stage.containers[name] = container
            stage.network.connect(container, aliases=[name])
            self._copy(container, wanted.copy)
            container.start()
        if wanted.ready:
            self._await_ready(stage, name, wanted)
        self.note(f"{name} runs {reference}")

    def _await_ready(self, stage: _Stage, name: str, wanted: SmokeContainer) -> None:
        deadline = self.clock() + READY_SECONDS
        while self.clock() < deadline:
            stage.check_alive(name)
            answer = self.ask(stage.url(name, wanted.ready_port or wanted.port) + wanted.ready, {})
            if answer is not None and answer.status == HTTPStatus.OK:
                return
            self.sleep(_POLL_SECONDS)
        raise VerificationError(
            f"{name} was not ready after {READY_SECONDS:.0f} s",
            details=stage.tail(name),
            resolution=f"What it logged is in {self.logs}.",
        )

    def _copy(self, container: Container, files: Mapping[str, str]) -> None:
        for target, file in files.items():
            container.put_archive("/", pack(self.root / file, target))

    def _take(self, stage: _Stage, step: SmokeStep) -> None:
        before = [self._counter(stage, counter) for counter in step.counters]
        for name, files in step.copy.items():
            self._copy(stage.containers[name], files)
        deadline = self.clock() + step.seconds
        while True:
            problem = self._problem(stage, step, before)
            if not problem:
                self.note(f"proven: {step.title}")
                return
            if self.clock() > deadline:
                raise VerificationError(
                    f"smoke step failed: {step.title}",
                    details=f"{problem}\n{stage.all_tails()}",
                    resolution=f"What the containers logged is in {self.logs}.",
                )
            self.sleep(_POLL_SECONDS)

    def _problem(self, stage: _Stage, step: SmokeStep, before: list[int]) -> str:
        problem = self._request_problem(stage, step.request) if step.request else ""
        for counter, old in zip(step.counters, before, strict=True):
            new = self._counter(stage, counter)
            if not problem and new < old + counter.by:
                problem = f"{counter.name} went from {old} to {new}, not up by {counter.by}"
        return problem

    def _request_problem(self, stage: _Stage, wanted: SmokeRequest) -> str:
        answer = self.ask(self._url(stage, wanted) + wanted.path, wanted.headers)
        if answer is None:
            return f"{wanted.container} did not answer {wanted.path}"
        if answer.status != wanted.status:
            body = answer.body[:200].decode("utf-8", "replace")
            return f"{wanted.path} gave status {answer.status}, not {wanted.status}: {body}"
        for name, value in wanted.response_headers.items():
            if answer.headers.get(name) != value:
                return f"{wanted.path} gave {name}: {answer.headers.get(name)}, not {value}"
        if wanted.contains and wanted.contains not in answer.body.decode("utf-8", "replace"):
            return f"{wanted.path} gave a body without '{wanted.contains}'"
        return ""

    def _url(self, stage: _Stage, wanted: SmokeRequest) -> str:
        container = self.smoke.containers[wanted.container]
        port = container.admin_port if wanted.admin else container.port
        return stage.url(wanted.container, port)

    def _counter(self, stage: _Stage, counter: SmokeCounter) -> int:
        port = self.smoke.containers[counter.container].admin_port
        answer = self.ask(stage.url(counter.container, port) + "/stats", {})
        text = answer.body.decode("utf-8", "replace") if answer else ""
        return read_counter(text, counter.name)


class _Stage(Struct):
    """The containers of one run."""

    prefix: str
    network: Network
    containers: dict[str, Container] = field(default_factory=dict)

    def url(self, name: str, port: int) -> str:
        container = self.containers[name]
        container.reload()
        bindings = container.ports.get(f"{port}/tcp")
        if not bindings:
            self.check_alive(name)
            raise VerificationError(f"{name} publishes no port {port}")
        return f"http://127.0.0.1:{bindings[0]['HostPort']}"

    def check_alive(self, name: str) -> None:
        container = self.containers[name]
        container.reload()
        if container.status in {"exited", "dead"}:
            raise VerificationError(
                f"{name} ended by itself", details=self.tail(name) or "It logged nothing."
            )

    def tail(self, name: str) -> str:
        return bytes(self.containers[name].logs(tail=_LOG_LINES)).decode("utf-8", "replace")

    def all_tails(self) -> str:
        return "\n".join(f"--- {name}\n{self.tail(name)}" for name in self.containers)


@contextmanager
def _stage(client: DockerClient, logs: Path) -> Iterator[_Stage]:
    prefix = f"meshwright-smoke-{uuid.uuid4().hex[:8]}"
    with daemon_errors("the smoke network cannot be made", VerificationError):
        network = client.networks.create(prefix, labels={_LABEL: prefix})
    stage = _Stage(prefix, network)
    try:
        yield stage
    finally:
        _clear(stage, logs)


def _clear(stage: _Stage, logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    failure: BuildkitError | None = None
    for name, container in stage.containers.items():
        try:
            with daemon_errors(f"{name} cannot be removed", VerificationError):
                (logs / f"{name}.log").write_bytes(bytes(container.logs()))
                container.remove(force=True, v=True)
        except BuildkitError as error:
            failure = error
    with daemon_errors("the smoke network cannot be removed", VerificationError):
        stage.network.remove()
    if failure is not None:
        raise failure


def read_counter(text: str, pattern: str) -> int:
    """Read one of Envoy's statistics (``name: value`` per line) by a regular expression.

    A statistic that does not exist yet counts as 0.

    Raises:
        VerificationError: the expression names several.
    """
    lines = (line.partition(": ") for line in text.splitlines())
    found = {name: value for name, _, value in lines if re.fullmatch(pattern, name)}
    if len(found) > 1:
        raise VerificationError(
            f"'{pattern}' names several statistics", details=", ".join(sorted(found))
        )
    value = next(iter(found.values()), "0")
    return int(value) if value.isdecimal() else 0


def pack(source: Path, target: str) -> bytes:
    """Return a tar of a file or directory as it is to lie at ``target`` in a container."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(source, arcname=target.lstrip("/"), filter=_readable)
    return buffer.getvalue()


def _readable(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member
