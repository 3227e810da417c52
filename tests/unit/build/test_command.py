"""A command is run in its place and its declared outputs are taken; a runner plays it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.build.command import CommandBuilder
from buildkit.errors import BuildError, ConfigError, EnvironmentMissingError
from buildkit.plan.hashing import Hasher
from buildkit.plan.units import Artifact, Kind, RunCommand, Unit
from buildkit.proc import OutOfMemoryError
from tests.fakes.runner import Answer, Call, FakeRunner, refuse
from tests.fakes.units import running

ENVIRON = {"PATH": "/bin", "HOME": "/home/me", "HTTPS_PROXY": "http://p", "SECRET": "x"}


def action(root: Path, *outputs: str) -> RunCommand:
    (root / "source").mkdir(exist_ok=True)
    return RunCommand(
        name="web",
        argv=("make", "${out}"),
        env=(("TO", "${out}"),),
        directory=root / "source",
        where="${source}",
        inputs=(),
        outputs=outputs or ("dist",),
        folder=root / "out" / "command" / "web",
        into_source=False,
        paths=(("source", root / "source"),),
        log=root / "log",
    )


def made(root: Path, command: RunCommand, answer: Answer) -> tuple[Artifact, FakeRunner]:
    runner = FakeRunner(answer)
    builder = CommandBuilder(
        runner=runner, hasher=Hasher({}), environ=ENVIRON, scratch=root / "out" / "tmp"
    )
    unit = Unit(kind=Kind.COMMAND, name="web", platform=None, action=command)
    (artifact,) = builder.build((running(unit),), {}, lambda _: None)
    return artifact, runner


def writing(*names: str) -> Callable[[Call], tuple[int, bytes, bytes]]:
    def answer(call: Call) -> tuple[int, bytes, bytes]:
        for name in names:
            path = Path(call.argv[1]) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        return 0, b"", b""

    return answer


def test_only_declared_outputs_are_kept(tmp_path: Path) -> None:
    command = action(tmp_path, "dist", "bin/tool")
    artifact, runner = made(tmp_path, command, writing("dist/a", "dist/b", "bin/tool", "junk"))
    kept = {p.relative_to(command.folder).as_posix() for p in command.folder.rglob("*")}
    assert kept == {"dist", "dist/a", "dist/b", "bin", "bin/tool"}
    assert (artifact.path, artifact.size) == (command.folder, 20)
    (call,) = runner.calls
    assert call.env["TO"] == call.argv[1]
    assert list((tmp_path / "out" / "tmp").iterdir()) == []


def test_it_gets_an_allow_list_of_the_environment(tmp_path: Path) -> None:
    _, runner = made(tmp_path, action(tmp_path), writing("dist"))
    env = dict(runner.calls[0].env)
    del env["TO"]
    assert env == {"PATH": "/bin", "HOME": "/home/me", "HTTPS_PROXY": "http://p"}


def test_what_was_made_before_is_replaced(tmp_path: Path) -> None:
    command = action(tmp_path)
    made(tmp_path, command, writing("dist/old"))
    made(tmp_path, command, writing("dist/new"))
    assert [path.name for path in (command.folder / "dist").iterdir()] == ["new"]


def test_a_failure_leaves_what_was_there_and_tells_the_last_lines(tmp_path: Path) -> None:
    command = action(tmp_path)
    made(tmp_path, command, writing("dist"))
    lines = "\n".join(f"line {number}" for number in range(100)).encode()
    with pytest.raises(BuildError, match="web ended with status 3") as caught:
        made(tmp_path, command, lambda _: (3, b"", lines))
    assert caught.value.details.splitlines()[0] == "line 80"
    assert str(command.log) in caught.value.resolution
    assert (command.folder / "dist").exists()


def test_an_output_that_is_missing_is_told_beside_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="did not make dist") as caught:
        made(tmp_path, action(tmp_path), writing("dits/a"))
    assert "it made dits/a" in caught.value.details


def test_outputs_in_the_source_stay_where_they_are(tmp_path: Path) -> None:
    source = tmp_path / "source"
    command = replace(action(tmp_path, "api.go"), folder=source, into_source=True)
    with pytest.raises(BuildError, match=r"did not make api\.go") as caught:
        made(tmp_path, command, writing("api.go"))
    assert "into the source tree" in caught.value.resolution
    (source / "api.go").write_text("x")
    (source / "other.go").write_text("x")
    artifact, _ = made(tmp_path, command, writing())
    assert artifact.path == source
    assert (source / "other.go").exists()


def test_a_killed_command_is_tried_again_as_any_other(tmp_path: Path) -> None:
    with pytest.raises(OutOfMemoryError, match="command web"):
        made(tmp_path, action(tmp_path), lambda _: (-signal.SIGKILL, b"", b""))


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    def absent(call: Call) -> tuple[int, bytes, bytes]:
        raise EnvironmentMissingError(f"cannot start {call.argv[0]}")

    with pytest.raises(EnvironmentMissingError, match="command web: cannot start make") as caught:
        made(tmp_path, action(tmp_path), absent)
    assert "on PATH" in caught.value.resolution


def test_what_cannot_work_is_refused_before_it_starts(tmp_path: Path) -> None:
    command = action(tmp_path)
    with pytest.raises(ConfigError, match="nothing is at its input 'ui'"):
        made(tmp_path, replace(command, inputs=(("ui", tmp_path / "ui"),)), refuse)
    with pytest.raises(ConfigError, match=r"the directory .* does not exist"):
        made(tmp_path, replace(command, directory=tmp_path / "gone"), refuse)
