"""Compile Go: one `go build` per platform and group of settings."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from buildkit.build.gocommand import Target, list_argv, make_calls
from buildkit.build.golisting import Description, GoListing
from buildkit.build.gosources import source_key
from buildkit.build.stamps import stamp_problem
from buildkit.digest import Digest
from buildkit.errors import BuildError, BuildkitError
from buildkit.machine import check_machine
from buildkit.plan.hashing import Hasher
from buildkit.plan.sources import SourceTree
from buildkit.plan.units import Artifact, Compile, Progress, SourceDirectory, Step
from buildkit.proc import Completed, Runner, out_of_memory, out_of_space
from buildkit.store import sync_file


class GoCommand(Struct, frozen=True, kw_only=True):
    """A go program and the environment its children get, without a platform."""

    program: Path
    environment: Mapping[str, str]


class GoBuilder(Struct, frozen=True, kw_only=True):
    """Builds Compile units; see :class:`buildkit.plan.units.Builder`.

    Attributes:
        go: gives the toolchain when the first batch runs.
        runner: starts it.
        hasher: digests of sources and outputs.
        volatile: gives the values of ``${git...}`` and ``${created}``.
        jobs: how many actions one `go build` runs at once.
        scratch: a directory on the file system of the outputs.
        listings: a directory for what Go told of the sources.
    """

    go: Callable[[], GoCommand]
    runner: Runner
    hasher: Hasher
    volatile: Callable[[], Mapping[str, str]]
    jobs: int
    scratch: Path
    listings: Path

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],  # noqa: ARG002 - part of the Builder protocol
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Compile the binaries of one batch and move them to their places together.

        Raises:
            BuildError: the compiler refused; details are its own words.
            OutOfMemoryError: the kernel ended it or what it started.
            EnvironmentMissingError: a disk was full.
            VerificationError: an output is for another machine.
        """
        targets = tuple(Target.of(step.unit) for step in steps)
        progress(f"compiling {len(targets)} binaries" if len(targets) > 1 else "compiling")
        self.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.scratch) as name:
            stage = Path(name)
            started = time.time_ns()
            action = targets[0].action
            with ThreadPoolExecutor(max_workers=2) as pool:
                # Git answers while Go tells its settings: an edited file waits for both.
                asked = pool.submit(self._volatile, action)
                command = self.go()
                described = pool.submit(self._describe, command, targets)
                volatile = asked.result()
                built, peak = self._compile(command, targets, stage, volatile)
                for target in targets:
                    check_machine(built[target], target.platform)
                checked = pool.submit(self._check, described, started, built, volatile)
                for program in built.values():
                    # What has just been written is hashed a moment later, see Hasher.
                    synced = pool.submit(sync_file, program)
                    self.hasher.digest(program)
                    synced.result()
                sources, problems = checked.result()
            return tuple(
                self._artifact(target, built[target], sources, problems[target], peak)
                for target in targets
            )

    def _check(
        self,
        described: Future[Description],
        started: int,
        built: Mapping[Target, Path],
        volatile: Mapping[str, str],
    ) -> tuple[Mapping[str, tuple[SourceDirectory, ...]], Mapping[Target, str]]:
        """Return what programs were made from, and what they lack."""
        found, keep = described.result()
        sources, packages = found.settled(started), found.linked()
        keys = {target: source_key(target.action.package) for target in built}
        if sources.keys() >= set(keys.values()):
            keep()
        return sources, {
            target: _lack(target, program, volatile, packages.get(keys[target], frozenset()))
            for target, program in built.items()
        }

    def _volatile(self, action: Compile) -> Mapping[str, str]:
        return self.volatile() if action.volatile_stamps else {}

    def _artifact(
        self,
        target: Target,
        program: Path,
        sources: Mapping[str, tuple[SourceDirectory, ...]],
        problem: str,
        peak: int,
    ) -> Artifact:
        """Move a program to its place."""
        output = target.action.output
        output.parent.mkdir(parents=True, exist_ok=True)
        return Artifact(
            unit=target.unit.id,
            digest=self.hasher.rename(program, output),
            size=output.stat().st_size,
            path=output,
            sources=sources.get(source_key(target.action.package)),
            problem=problem,
            peak_memory=peak,
        )

    def _compile(
        self,
        command: GoCommand,
        targets: tuple[Target, ...],
        stage: Path,
        volatile: Mapping[str, str],
    ) -> tuple[Mapping[Target, Path], int]:
        built: dict[Target, Path] = {}
        peak = 0
        for call in make_calls(targets, stage):
            members = tuple(call.targets.values())
            call.folder.mkdir()
            argv = call.argv(command.program, self.jobs, volatile)
            done = self._run(command, members[0], argv, stage, log=_log(targets))
            if done.returncode != 0:
                raise _compile_error(done, members)
            built.update(call.built)
            peak = max(peak, done.peak_memory)
        return built, peak

    def _describe(self, command: GoCommand, targets: tuple[Target, ...]) -> Description:
        action = targets[0].action
        asked = list_argv(command.program, targets[0])
        packages = [target.action.package for target in targets]
        surroundings = (action.toolchain, action.workspace, str(action.source))
        listing = GoListing(
            place=self.listings / f"{action.group or 'default'}-{targets[0].platform.slug}.json",
            question=str(Digest.of_json([asked, targets[0].variables, surroundings])),
            tree=SourceTree(root=str(action.source), hasher=self.hasher),
            workspace=action.workspace,
        )

        def ask() -> bytes:
            done = self._run(command, targets[0], [*asked, *packages], None)
            return done.stdout if done.returncode == 0 else b""

        return listing.describe(map(source_key, packages), ask)

    def _run(
        self,
        command: GoCommand,
        target: Target,
        argv: list[str],
        stage: Path | None,
        log: Path | None = None,
    ) -> Completed:
        env = {**command.environment, **target.variables}
        if stage is not None:
            env["GOTMPDIR"] = str(stage)
        return self.runner.run(argv, env=env, cwd=target.action.source, log=log)


def _lack(
    target: Target, program: Path, volatile: Mapping[str, str], linked: frozenset[str]
) -> str:
    wanted = target.action.version_stamps
    stamps = {name: value for name, value in target.stamps(volatile) if name in wanted}
    return stamp_problem(program, stamps, linked)


def _log(targets: tuple[Target, ...]) -> Path:
    action = targets[0].action
    return action.output.parent / "logs" / f"compile-{action.group or 'default'}.log"


def _compile_error(done: Completed, targets: tuple[Target, ...]) -> BuildkitError:
    if done.was_killed or done.met_full_disk:
        names = ", ".join(target.unit.name for target in targets)
        lack = out_of_memory if done.was_killed else out_of_space
        return lack(f"{names} for {targets[0].platform}", done.output)
    failed = [line.split()[1] for line in done.output.splitlines() if _HEADER.match(line)]
    named = [t for t in targets if any(_is_package(path, t) for path in failed)] or targets
    binaries = ", ".join(target.unit.name for target in named)
    return BuildError(
        f"{binaries} for {targets[0].platform} did not compile",
        details=done.output or f"go ended with status {done.returncode}",
        resolution=f"The whole output is in {_log(targets)}.",
    )


_HEADER = re.compile(r"# \S")
"""Go's line above the errors of a package, followed by its import path."""


def _is_package(path: str, target: Target) -> bool:
    key = source_key(target.action.package)
    return path == key or path.endswith(f"/{key}")
