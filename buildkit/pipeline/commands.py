"""The commands that a plan's compiles are, or would be, made with."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.build.gocommand import Target, make_calls
from buildkit.plan.command_files import filled
from buildkit.plan.planner import Plan
from buildkit.plan.units import Compile, RunCommand, Unit, Verdict
from buildkit.toolchain.environment import FIXED

STAGE = "<new>"
"""Stands for the name of the directory that a run makes for one batch."""


class Command(Struct, frozen=True, kw_only=True):
    """One child process: what is started where, and the variables that are its own.

    Beside these it gets what reaches modules: PATH, HOME, proxies, GOPROXY and the like.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path

    @property
    def text(self) -> str:
        """The command as a shell takes it."""
        variables = (f"{name}={shlex.quote(value)}" for name, value in self.environment.items())
        words = " ".join((*variables, shlex.join(self.argv)))
        return f"cd {shlex.quote(str(self.directory))} && {words}"


class Compiler(Struct, frozen=True, kw_only=True):
    """What the commands of compiles depend on beyond their units.

    Attributes:
        program: the go program.
        jobs: how many actions one `go build` runs at once.
        volatile: gives the values of ``${git...}`` and ``${created}``.
        scratch: below which a run makes a directory for each batch.
    """

    program: Path
    jobs: int
    volatile: Callable[[], Mapping[str, str]]
    scratch: Path

    def commands(self, plan: Plan) -> dict[str, Command]:
        """Return, by unit id, the command that makes it.

        What runs together is one command; for what need not run it is the one that
        would make it alone.
        """
        batches: dict[str, list[Unit]] = {}
        found: dict[str, Command] = {}
        for step in plan.steps:
            if isinstance(step.unit.action, RunCommand):
                found[step.unit.id] = _of_command(step.unit.action)
            elif isinstance(step.unit.action, Compile):
                runs = step.verdict is Verdict.RUN
                batches.setdefault(step.unit.batch if runs else step.unit.id, []).append(step.unit)
        for units in batches.values():
            found |= self._batch(units)
        return found

    def _batch(self, units: list[Unit]) -> dict[str, Command]:
        stage = self.scratch / STAGE
        found: dict[str, Command] = {}
        for call in make_calls(map(Target.of, units), stage):
            first = next(iter(call.targets.values()))
            volatile = self.volatile() if first.action.volatile_stamps else {}
            command = Command(
                argv=tuple(call.argv(self.program, self.jobs, volatile)),
                environment={**FIXED, **first.variables, "GOTMPDIR": str(stage)},
                directory=first.action.source,
            )
            found |= {target.unit.id: command for target in call.targets.values()}
        return found


def _of_command(action: RunCommand) -> Command:
    argv, env = filled(action, Path(STAGE))
    return Command(argv=argv, environment=env, directory=action.directory)
