"""Runs the programs of ``[command.NAME]`` and takes their outputs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.errors import BuildError, ConfigError, EnvironmentMissingError
from buildkit.plan.command_files import command_files, filled, outputs_digest
from buildkit.plan.hashing import Hasher
from buildkit.plan.units import Artifact, Progress, RunCommand, Step
from buildkit.proc import Completed, Runner, out_of_memory
from buildkit.store import discard
from buildkit.toolchain.environment import passed_on

_LAST_LINES = 20


class CommandBuilder(Struct, frozen=True, kw_only=True):
    """Makes the outputs of commands.

    Attributes:
        runner: starts them.
        hasher: tells digests of outputs.
        environ: the user's environment, of which they get an allow-list.
        scratch: a directory of the same file system as the outputs.
    """

    runner: Runner
    hasher: Hasher
    environ: Mapping[str, str]
    scratch: Path

    def build(
        self, steps: tuple[Step, ...], given: Mapping[str, Artifact], progress: Progress
    ) -> tuple[Artifact, ...]:
        """Run the command of each step; see :class:`buildkit.plan.units.Builder`.

        Raises:
            BuildError: it failed, or did not make what it declares.
            ConfigError: an input does not exist.
            EnvironmentMissingError: the program is not there, or memory was too little.
        """
        del given, progress
        return tuple(self._build(step) for step in steps)

    def _build(self, step: Step) -> Artifact:
        action = step.unit.action
        if not isinstance(action, RunCommand):
            raise TypeError(step.unit.id)
        _check_inputs(action)
        self.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="command-") as work:
            stage = Path(work) / "out"
            stage.mkdir()
            done = self._run(action, stage)
            made = action.folder if action.into_source else stage
            _check_outputs(action, made, stage)
            if not action.into_source:
                _place(action, stage, Path(work) / "kept")
        return Artifact(
            unit=step.unit.id,
            digest=outputs_digest(action.folder, action.outputs, self.hasher),
            size=sum(_size(action.folder / name) for name in action.outputs),
            path=action.folder,
            peak_memory=done.peak_memory,
        )

    def _run(self, action: RunCommand, stage: Path) -> Completed:
        argv, own = filled(action, stage)
        env = {**passed_on(self.environ), "PATH": self.environ.get("PATH", ""), **own}
        if not action.directory.is_dir():
            raise ConfigError(
                f"command {action.name}: the directory {action.directory} does not exist",
                resolution=f"Mend command.{action.name}.directory.",
            )
        try:
            done = self.runner.run(argv, env=env, cwd=action.directory, log=action.log)
        except EnvironmentMissingError as error:
            raise EnvironmentMissingError(
                f"command {action.name}: {error.brief}",
                details=error.details,
                resolution="Install that program, or mend argv; it is looked for on PATH.",
            ) from error
        if done.was_killed:
            raise out_of_memory(f"command {action.name}", _last(done))
        if done.returncode != 0:
            raise BuildError(
                f"command {action.name} ended with status {done.returncode}",
                details=_last(done),
                resolution=f"The whole output is in {action.log}.",
            )
        return done


def _check_inputs(action: RunCommand) -> None:
    for name, path in command_files(action):
        if not path.exists():
            raise ConfigError(
                f"command {action.name}: nothing is at its input '{name}'",
                details=f"Looked for {path}.",
                resolution=f"Mend command.{action.name}.inputs.",
            )


def _check_outputs(action: RunCommand, made: Path, stage: Path) -> None:
    missing = [name for name in action.outputs if not (made / name).exists()]
    if not missing:
        return
    there = sorted(p.relative_to(stage).as_posix() for p in stage.rglob("*") if p.is_file())
    where = "the source tree" if action.into_source else "${out}"
    raise BuildError(
        f"command {action.name} succeeded and did not make {', '.join(missing)}",
        details=f"In {where} it made {', '.join(there[:_LAST_LINES]) or 'nothing'}."
        if not action.into_source
        else "",
        resolution=f"It has to write it into {where}; or mend command.{action.name}.outputs. "
        f"What it said is in {action.log}.",
    )


def _place(action: RunCommand, stage: Path, kept: Path) -> None:
    """Put the declared outputs in their place, and nothing else of what was made."""
    for name in action.outputs:
        target = kept / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # One output may lie in another that is a directory.
        if (stage / name).exists():
            shutil.move(stage / name, target)
    action.folder.parent.mkdir(parents=True, exist_ok=True)
    discard(action.folder)
    kept.rename(action.folder)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(p.lstat().st_size for p in path.rglob("*") if not p.is_dir())
    return path.lstat().st_size


def _last(done: Completed) -> str:
    return "\n".join(done.output.splitlines()[-_LAST_LINES:])
