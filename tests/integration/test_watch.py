"""`invoke watch` with real files, a real compiler and a real registry."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from buildkit.pipeline.events import file_changes
from buildkit.plan.watched import Watched
from buildkit.platform import Platform
from tests.integration import conftest
from tests.integration.go_module import APP, GoModule
from tests.integration.registry_servers import installed_program, serve

LINUX = Platform("linux", Platform.host().arch)
LIMIT_SECONDS = 120
TARGETS = f"""\
schema_version = 1
[project]
name = "tiny"
source = "src"
release_hub = "docker.io/tiny"
[matrix]
platforms = ["{LINUX}"]
[binaries]
app = {{ package = "./cmd/app" }}
[bases.empty]
kind = "scratch"
[images.app]
base = ["empty"]
binaries = ["app"]
"""


class Loop:
    """A watching process and what it said so far."""

    def __init__(self, root: Path, *words: str) -> None:
        self.root, self._log = root, root / "said"
        (root / "images" / "app").mkdir(parents=True)
        (root / "images" / "app" / "Dockerfile.j2").write_text("FROM {{ base }}\nCOPY app /app\n")
        (root / "targets.toml").write_text(TARGETS)
        self.module = GoModule(root)
        self.output = root / "out" / LINUX.slug / "app"
        self._read = 0
        program = "from buildkit.tasks import main; main()"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *words],
                cwd=root,
                env={
                    **conftest.outside_settings(),
                    "PATH": os.environ["PATH"],
                    "HOME": str(root),
                    "MESHWRIGHT_CACHE": str(root / "cache"),
                },
                stdout=log,
                stderr=log,
            )

    def turn(self, pattern: str) -> list[str]:
        """Wait for a line; return it and those since the last one that was waited for."""
        wait_until(lambda: self._find(pattern) is not None or self.process.poll() is not None)
        end = self._find(pattern)
        assert end is not None, self._log.read_text()
        lines = self._lines()[self._read : end + 1]
        self._read = end + 1
        return lines

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(LIMIT_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def _find(self, pattern: str) -> int | None:
        numbered = enumerate(self._lines()[self._read :], self._read)
        return next((number for number, line in numbered if re.search(pattern, line)), None)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Loop]]:
    loops: list[Loop] = []

    def begin(*words: str) -> Loop:
        loops.append(Loop(tmp_path.resolve(), *words))
        return loops[0]

    yield begin
    for loop in loops:
        loop.kill()


def note(text: str) -> str:
    return f"{APP}\nfunc init() {{ note = `{text}` }}\n"


def turns(lines: list[str]) -> list[str]:
    return [line for line in lines if " s (" in line]


@pytest.mark.go
@pytest.mark.registry
def test_a_saved_file_is_in_the_registry_and_its_digest_goes_to_the_command(
    start: Callable[..., Loop], tmp_path: Path
) -> None:
    with serve(installed_program(), tmp_path) as port:
        rolled = tmp_path / "rolled"
        command = f"sh -c 'echo $IMAGE_APP >> {rolled}'"
        hub = f"localhost:{port}"
        loop = start("watch", "docker", "--no-load", "--hub", hub, "--exec", command)
        loop.turn("^watching")
        loop.module.write("cmd/app/main.go", note("new"))
        loop.turn(r"^app/main.go: pushed app  .* \(detect .*, plan .*, compile .*, push .*\)$")
        loop.turn("succeeded")
        assert b"|new|" in subprocess.check_output([loop.output])
        names = rolled.read_text().split()
        assert len(set(names)) == len(names) == 2
        assert all(re.fullmatch(rf"{hub}/app@sha256:[0-9a-f]{{64}}", name) for name in names)
        assert loop.stop() == 0
        assert "watching has ended" in loop.turn("ended")


@pytest.mark.go
def test_errors_are_shown_and_the_loop_goes_on(start: Callable[..., Loop]) -> None:
    loop = start("watch", "build", "--exec", "false")
    loop.turn("^warning: false ended with status 1")
    loop.turn("^watching")
    loop.module.write("loop.log", "before")
    inner = APP.replace("tiny/inner", "tiny/later")

    loop.module.write("cmd/app/main.go", inner.replace("inner.Mode", "later.Mode"))
    assert any("did not compile" in line for line in loop.turn("main.go: failed"))
    loop.module.write("loop.log", "what a loop says must not call for a turn of its own")
    # A package that no record can name yet, in a directory that did not exist. Before the
    # watcher is there again, what changed is told by the directory that has a new name.
    loop.module.write("later/mode.go", 'package later\n\nconst Mode = "later"\n')
    assert not any("loop.log" in line for line in loop.turn("(later.*|src): made compile/default"))
    assert subprocess.check_output([loop.output]).endswith(b"|later")

    (loop.root / "targets.toml").write_text(TARGETS + "[")
    loop.turn("/targets.toml: failed")
    more = TARGETS.replace("[bases", 'site = { package = "./cmd/site" }\n[bases')
    (loop.root / "targets.toml").write_text(more)
    loop.turn("/targets.toml: made compile/default")
    assert loop.output.with_name("site").exists()


@pytest.mark.go
def test_what_cannot_matter_takes_no_turn(start: Callable[..., Loop]) -> None:
    loop = start("watch", "build", "--platform", str(LINUX))
    loop.turn("^watching")
    for name in ("cmd/app/.main.go.swp", "cmd/app/4913", "cmd/app/README.md", ".git/index"):
        loop.module.write(name, "x")
    loop.module.write("cmd/app/main_test.go", "package main\n\nvar X = 1\n")
    loop.module.write("../out/notes.go", "x")
    loop.module.write("cmd/app/page.txt", "another page")
    (line,) = turns(loop.turn("page.txt"))
    assert line.startswith("app/page.txt: made compile/default")
    assert loop.stop() == 0


def folder(path: Path) -> Watched:
    return Watched(
        files=frozenset(),
        packages=frozenset({str(path)}),
        patterns=frozenset(),
    ).again()


def test_what_changed_before_the_watcher_was_there_is_not_lost(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    before = time.time_ns()
    (root / "main.go").touch()
    wait_until(lambda: time.time_ns() > before + 50_000_000)
    (root / "other.go").touch()
    since = (root / "other.go").stat().st_ctime_ns
    with closing(file_changes(folder(root), since)) as bursts:
        assert next(bursts) == (str(root / "other.go"),)
        (root / "main.go").write_text("package main\n")
        assert next(bursts) == (str(root / "main.go"),)


def test_a_burst_is_one_change(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    names = [str(root / f"{number}.go") for number in range(20)]
    with closing(file_changes(folder(root), 0)) as bursts:
        (root / "first.go").touch()
        assert str(root / "first.go") in next(bursts)
        for name in names:
            Path(name).touch()
        seen = set(next(bursts))
        while not seen >= set(names):
            seen.update(next(bursts))


def test_a_directory_that_went_away_is_a_change(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    watched = folder(gone)
    gone.rmdir()
    assert len(list(file_changes(watched, time.time_ns()))) == 1
    assert watched.again().places[0][0] == str(tmp_path)
