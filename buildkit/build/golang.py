"""Compile Go: one `go build` per platform and group of settings."""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from buildkit.build.gosources import (
    LIST_FIELDS,
    linked_packages,
    settled_sources,
    source_key,
)
from buildkit.build.stamps import stamp_flag, stamp_problem
from buildkit.config.interpolate import interpolate
from buildkit.errors import BuildError, BuildkitError
from buildkit.machine import check_machine
from buildkit.plan.hashing import Hasher
from buildkit.plan.sources import SourceTree
from buildkit.plan.units import Artifact, Compile, Progress, SourceDirectory, Step
from buildkit.platform import Platform
from buildkit.proc import Completed, Runner, out_of_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class GoCommand:
    """A go program and the environment its children get, without a platform."""

    program: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """One binary of a batch."""

    step: Step
    action: Compile

    @property
    def file(self) -> str:
        return self.action.output.name

    @property
    def default_file(self) -> str:
        """The name that `go build -o DIR/` gives it; empty where its import path decides."""
        last = posixpath.basename(posixpath.normpath(self.action.package))
        if last in {".", ".."} or _MAJOR.fullmatch(last):
            return ""
        return last + _platform(self.step).executable_suffix


_MAJOR = re.compile(r"v[0-9]+")
"""The end of a module's import path, which Go leaves out of a program's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One `go build` and the binaries that it makes, by the file names that Go chooses."""

    folder: Path
    targets: Mapping[str, _Target]

    @property
    def output(self) -> str:
        """What follows ``-o``: the folder, or the file where Go's name is not known."""
        alone = self.targets.get("")
        return f"{self.folder}{os.sep}" if alone is None else str(self.folder / alone.file)

    @property
    def built(self) -> tuple[tuple[_Target, Path], ...]:
        """The binaries and where they come to lie."""
        return tuple((t, self.folder / (name or t.file)) for name, t in self.targets.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class GoBuilder:
    """Builds Compile units; see :class:`buildkit.plan.units.Builder`.

    Attributes:
        go: gives the toolchain when the first batch runs.
        runner: starts it.
        hasher: digests of sources and outputs.
        volatile: gives the values of ``${git...}`` and ``${created}``.
        jobs: how many actions one `go build` runs at once.
        scratch: a directory on the file system of the outputs.
    """

    go: Callable[[], GoCommand]
    runner: Runner
    hasher: Hasher
    volatile: Callable[[], Mapping[str, str]]
    jobs: int
    scratch: Path

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
            VerificationError: an output is for another machine.
        """
        targets = tuple(_target(step) for step in steps)
        progress(f"compiling {len(targets)} binaries" if len(targets) > 1 else "compiling")
        self.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.scratch) as name:
            stage = Path(name)
            started = time.time_ns()
            command = self.go()
            with ThreadPoolExecutor(max_workers=1) as pool:
                listing = pool.submit(self._list, command, targets)
                built, peak = self._compile(command, targets, stage)
                action = targets[0].action
                tree = SourceTree(root=str(action.source), hasher=self.hasher)
                sources = settled_sources(listing.result(), tree, action.workspace, started)
                packages = linked_packages(listing.result(), tree)
            for target in targets:
                check_machine(built[target], _platform(target.step))
            problems = [self._problem(target, built[target], packages) for target in targets]
            for target in targets:
                _place(built[target], target.action.output)
            return tuple(
                replace(self._artifact(target, sources, problem), peak_memory=peak)
                for target, problem in zip(targets, problems, strict=True)
            )

    def _problem(self, target: _Target, built: Path, packages: Mapping[str, frozenset[str]]) -> str:
        action = target.action
        stamps = {
            name: value for name, value in self._stamps(action) if name in action.version_stamps
        }
        return stamp_problem(built, stamps, packages.get(source_key(action.package), frozenset()))

    def _stamps(self, action: Compile) -> list[tuple[str, str]]:
        volatile = self.volatile() if action.volatile_stamps else {}
        settled = ((name, interpolate(text, volatile)) for name, text in action.volatile_stamps)
        return [*action.stamps, *settled]

    def _artifact(
        self,
        target: _Target,
        sources: Mapping[str, tuple[SourceDirectory, ...]],
        problem: str,
    ) -> Artifact:
        output = target.action.output
        return Artifact(
            unit=target.step.unit.id,
            digest=self.hasher.digest(output) or "",
            size=output.stat().st_size,
            path=output,
            sources=sources.get(source_key(target.action.package)),
            problem=problem,
        )

    def _compile(
        self, command: GoCommand, targets: tuple[_Target, ...], stage: Path
    ) -> tuple[Mapping[_Target, Path], int]:
        built: dict[_Target, Path] = {}
        peak = 0
        for call in _calls(targets, stage):
            members = tuple(call.targets.values())
            call.folder.mkdir()
            argv = self._argv(command, members[0].action, call.output)
            argv += [target.action.package for target in members]
            done = self._run(command, members[0], argv, stage, log=_log(targets))
            if done.returncode != 0:
                raise _compile_error(done, members)
            built.update(call.built)
            peak = max(peak, done.peak_memory)
        return built, peak

    def _argv(self, command: GoCommand, action: Compile, output: str) -> list[str]:
        stamps = (stamp_flag(name, value) for name, value in self._stamps(action))
        ldflags = [*action.ldflags, *stamps]
        argv = [str(command.program), "build", "-buildvcs=false", f"-p={self.jobs}", "-o", output]
        argv += ["-trimpath"] if action.trimpath else []
        argv += [f"-tags={','.join(action.tags)}"] if action.tags else []
        argv += [f"-gcflags={' '.join(action.gcflags)}"] if action.gcflags else []
        return argv + ([f"-ldflags={' '.join(ldflags)}"] if ldflags else [])

    def _list(self, command: GoCommand, targets: tuple[_Target, ...]) -> bytes:
        action = targets[0].action
        argv = [str(command.program), "list", "-deps", LIST_FIELDS]
        argv += [f"-tags={','.join(action.tags)}"] if action.tags else []
        argv += [target.action.package for target in targets]
        done = self._run(command, targets[0], argv, None)
        return done.stdout if done.returncode == 0 else b""

    def _run(
        self,
        command: GoCommand,
        target: _Target,
        argv: list[str],
        stage: Path | None,
        log: Path | None = None,
    ) -> Completed:
        action = target.action
        env = {**command.environment, "CGO_ENABLED": "1" if action.cgo else "0"}
        env |= dict(action.env) | _platform(target.step).go_env()
        if stage is not None:
            env["GOTMPDIR"] = str(stage)
        return self.runner.run(argv, env=env, cwd=action.source, log=log)


def _target(step: Step) -> _Target:
    action = step.unit.action
    if not isinstance(action, Compile):
        raise TypeError(step.unit.id)
    return _Target(step=step, action=action)


def _platform(step: Step) -> Platform:
    if step.unit.platform is None:
        raise TypeError(step.unit.id)
    return step.unit.platform


def _calls(targets: tuple[_Target, ...], stage: Path) -> list[_Call]:
    """Part binaries into as few calls as Go's naming of outputs allows, mostly one."""
    rounds: list[dict[str, _Target]] = []
    for target in targets:
        name = target.default_file
        free = [r for r in rounds if name and "" not in r and name not in r]
        if free:
            free[0][name] = target
        else:
            rounds.append({name: target})
    return [
        _Call(folder=stage / f"call{number}", targets=members)
        for number, members in enumerate(rounds)
    ]


def _place(built: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with built.open("rb") as stream:
        os.fsync(stream.fileno())
    built.replace(output)


def _log(targets: tuple[_Target, ...]) -> Path:
    action = targets[0].action
    return action.output.parent / "logs" / f"compile-{action.group or 'default'}.log"


def _compile_error(done: Completed, targets: tuple[_Target, ...]) -> BuildkitError:
    if done.was_killed:
        names = ", ".join(target.step.unit.name for target in targets)
        return out_of_memory(f"{names} for {_platform(targets[0].step)}", done.output)
    failed = [line.split()[1] for line in done.output.splitlines() if _HEADER.match(line)]
    named = [t for t in targets if any(_is_package(path, t) for path in failed)] or targets
    binaries = ", ".join(target.step.unit.name for target in named)
    return BuildError(
        f"{binaries} for {_platform(targets[0].step)} did not compile",
        details=done.output or f"go ended with status {done.returncode}",
        resolution=f"The whole output is in {_log(targets)}.",
    )


_HEADER = re.compile(r"# \S")
"""Go's line above the errors of a package, followed by its import path."""


def _is_package(path: str, target: _Target) -> bool:
    key = source_key(target.action.package)
    return path == key or path.endswith(f"/{key}")
