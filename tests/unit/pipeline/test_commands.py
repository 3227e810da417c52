"""The command that a plan shows is the one that a run starts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from buildkit.build.golang import GoBuilder, GoCommand
from buildkit.pipeline.commands import STAGE, Command, Compiler
from buildkit.plan.hashing import Hasher
from buildkit.plan.planner import Plan
from buildkit.plan.units import Compile, Step, Unit, Verdict
from buildkit.platform import Platform
from tests.fakes.runner import Call, FakeRunner
from tests.fakes.units import binary, compile_action, push
from tests.unit.build.elf import TEXT, make_elf

GO = Path("/go/bin/go")
ARM = Platform("linux", "arm64")
VALUES = {"git.revision": "abc", "git.describe": "1.2 3"}


def unit(root: Path, name: str, **changes: Any) -> Unit:
    action = compile_action(root, root / "out" / name, f"./cmd/{name}")
    return binary(name, replace(action, **changes))


def plan(*units: Unit, verdict: Verdict = Verdict.RUN) -> Plan:
    steps = tuple(Step(unit=item, verdict=verdict, reason="x") for item in units)
    return Plan(steps=steps, artifacts={})


def compiler(root: Path) -> Compiler:
    return Compiler(program=GO, jobs=3, volatile=lambda: VALUES, scratch=root / "out" / "tmp")


def started(root: Path, *units: Unit) -> list[Call]:
    """Run the builder and return the compiles that it started."""

    def go(call: Call) -> tuple[int, bytes, bytes]:
        if "build" in call.argv:
            target = call.argv[call.argv.index("-o") + 1]
            for item in units:
                path = Path(target) / item.name if target.endswith("/") else Path(target)
                path.write_bytes(make_elf(TEXT))
        return 0, b"", b""

    runner = FakeRunner(go)
    builder = GoBuilder(
        go=lambda: GoCommand(program=GO, environment={"HOME": "/home"}),
        runner=runner,
        hasher=Hasher({}),
        volatile=lambda: VALUES,
        jobs=3,
        scratch=root / "out" / "tmp",
        listings=root / "out" / "listings",
    )
    builder.build(plan(*units).steps, {}, lambda _: None)
    return [call for call in runner.calls if "build" in call.argv]


def shown(command: Command, call: Call) -> tuple[list[str], dict[str, str]]:
    """Return a plan's command with the name of the directory that the run made."""
    stage = Path(call.env["GOTMPDIR"]).name
    return (
        [word.replace(STAGE, stage) for word in command.argv],
        {name: value.replace(STAGE, stage) for name, value in command.environment.items()},
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tags": ("a", "b"), "cgo": True, "trimpath": False, "gcflags": ("all=-N", "-l")},
        {"env": (("GOAMD64", "v3"), ("CGO_CFLAGS", "-O2 -g")), "ldflags": ()},
        {"stamps": (("x.v", "a b"),), "volatile_stamps": (("x.d", "${git.describe}"),)},
        {"package": "./tools/v2"},
    ],
)
def test_what_a_plan_shows_is_what_a_run_starts(tmp_path: Path, changes: dict[str, Any]) -> None:
    app = unit(tmp_path, "app", **changes)
    (call,) = started(tmp_path, app)
    command = compiler(tmp_path).commands(plan(app))[app.id]
    argv, environment = shown(command, call)
    assert argv == list(call.argv)
    assert command.directory == call.cwd
    own = {name: value for name, value in call.env.items() if name != "HOME"}
    assert {name: environment[name] for name in own} == own
    assert environment.keys() - own.keys() == {"GOENV", "GOTOOLCHAIN"}


def test_binaries_of_one_batch_share_the_command(tmp_path: Path) -> None:
    one, two = unit(tmp_path, "one"), unit(tmp_path, "two")
    (call,) = started(tmp_path, one, two)
    commands = compiler(tmp_path).commands(plan(one, two, push("x", ())))
    assert commands.keys() == {one.id, two.id}
    assert commands[one.id] is commands[two.id]
    assert shown(commands[one.id], call)[0] == list(call.argv)


def test_what_need_not_run_has_the_command_that_would_make_it_alone(tmp_path: Path) -> None:
    one, two = unit(tmp_path, "one"), unit(tmp_path, "two")
    for verdict in (Verdict.CACHED, Verdict.RESTORED):
        commands = compiler(tmp_path).commands(plan(one, two, verdict=verdict))
        assert [commands[item.id].argv[-1] for item in (one, two)] == ["./cmd/one", "./cmd/two"]
        assert "./cmd/two" not in commands[one.id].argv


def test_platforms_are_told_by_variables(tmp_path: Path) -> None:
    app = unit(tmp_path, "app")
    commands = compiler(tmp_path).commands(plan(app, replace(app, platform=ARM)))
    assert [command.environment["GOARCH"] for command in commands.values()] == ["amd64", "arm64"]


def test_git_is_not_asked_where_nothing_is_stamped_with_it(tmp_path: Path) -> None:
    def never() -> dict[str, str]:
        raise AssertionError

    app = unit(tmp_path, "app")
    assert isinstance(app.action, Compile)
    made = Compiler(program=GO, jobs=1, volatile=never, scratch=tmp_path)
    assert made.commands(plan(app))[app.id].argv[0] == str(GO)


def test_the_text_is_a_line_for_a_shell() -> None:
    command = Command(
        argv=("go", "build", "-ldflags=-s -w"),
        environment={"GOOS": "linux", "CGO_CFLAGS": "-O2 -g"},
        directory=Path("/my src"),
    )
    assert shlex.split(command.text) == [
        *("cd", "/my src", "&&", "GOOS=linux", "CGO_CFLAGS=-O2 -g"),
        *("go", "build", "-ldflags=-s -w"),
    ]
