"""The `go build` calls of compiles: one function makes what a plan shows and what a run starts."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.build.gosources import LIST_FIELDS
from buildkit.build.stamps import stamp_flag
from buildkit.config.interpolate import interpolate
from buildkit.plan.units import Compile, Unit
from buildkit.platform import Platform
from buildkit.toolchain.accept import compare_versions


class Target(Struct, frozen=True, kw_only=True):
    """One binary of a batch."""

    unit: Unit
    action: Compile
    platform: Platform

    @classmethod
    def of(cls, unit: Unit) -> Target:
        """Take a Compile unit."""
        if not isinstance(unit.action, Compile) or unit.platform is None:
            raise TypeError(unit.id)
        return cls(unit=unit, action=unit.action, platform=unit.platform)

    @property
    def file(self) -> str:
        """The name of its output."""
        return self.action.output.name

    @property
    def default_file(self) -> str:
        """The name that `go build -o DIR/` gives it; empty where its import path decides."""
        last = posixpath.basename(posixpath.normpath(self.action.package))
        if last in {".", ".."} or _MAJOR.fullmatch(last):
            return ""
        return last + self.platform.executable_suffix

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the compile itself, which win over those of its surroundings."""
        cgo = {"CGO_ENABLED": "1" if self.action.cgo else "0"}
        return cgo | dict(self.action.env) | self.platform.go_env()

    def stamps(self, volatile: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return Go variable and value of every stamp, given the values of ``${git...}``."""
        texts = self.action.volatile_stamps
        return [*self.action.stamps, *((n, interpolate(text, volatile)) for n, text in texts)]


_RELEASE = re.compile(r"go(\d+\.\d+\S*)")
_MAJOR = re.compile(r"v[0-9]+")
"""The end of a module's import path, which Go leaves out of a program's name."""


class Call(Struct, frozen=True, kw_only=True):
    """One `go build` and the binaries that it makes, by the file names that Go chooses."""

    folder: Path
    targets: Mapping[str, Target]

    @property
    def output(self) -> str:
        """What follows ``-o``: the folder, or the file where Go's name is not known."""
        alone = self.targets.get("")
        return f"{self.folder}{os.sep}" if alone is None else str(self.folder / alone.file)

    @property
    def built(self) -> tuple[tuple[Target, Path], ...]:
        """The binaries and where they come to lie."""
        return tuple((t, self.folder / (name or t.file)) for name, t in self.targets.items())

    def argv(self, program: Path, jobs: int, volatile: Mapping[str, str]) -> list[str]:
        """Return the command.

        Args:
            program: the go program.
            jobs: how many actions it runs at once.
            volatile: the values of ``${git...}`` and ``${created}``.
        """
        first = next(iter(self.targets.values()))
        action = first.action
        stamps = (stamp_flag(name, value) for name, value in first.stamps(volatile))
        ldflags = [*action.ldflags, *stamps]
        argv = [str(program), "build"]
        # Go 1.18 began to ask git, and knows the flag that keeps it from that.
        argv += ["-buildvcs=false"] if _is_from(action.toolchain, "1.18") else []
        argv += [f"-p={jobs}", "-o", self.output]
        argv += ["-trimpath"] if action.trimpath else []
        argv += [f"-tags={','.join(action.tags)}"] if action.tags else []
        argv += [f"-gcflags={' '.join(action.gcflags)}"] if action.gcflags else []
        argv += [f"-ldflags={' '.join(ldflags)}"] if ldflags else []
        return argv + [target.action.package for target in self.targets.values()]


def list_argv(program: Path, target: Target) -> list[str]:
    """Return the `go list` that tells what the packages that are appended were made from."""
    # Go 1.19 began to take the names of fields; one before prints them all.
    fields = LIST_FIELDS if _is_from(target.action.toolchain, "1.19") else "-json"
    tags = target.action.tags
    return [str(program), "list", "-deps", fields, *([f"-tags={','.join(tags)}"] if tags else [])]


def _is_from(release: str, version: str) -> bool:
    """Tell whether a toolchain is at least of a version; one with a name of its own is new."""
    found = _RELEASE.match(release)
    return found is None or compare_versions(found[1], version) >= 0


def make_calls(targets: Iterable[Target], stage: Path) -> list[Call]:
    """Part the binaries of a batch into as few calls as Go's naming of outputs allows, mostly one.

    Args:
        targets: what shares platform and settings.
        stage: the directory that the calls write below.
    """
    rounds: list[dict[str, Target]] = []
    for target in targets:
        name = target.default_file
        free = [r for r in rounds if name and "" not in r and name not in r]
        if free:
            free[0][name] = target
        else:
            rounds.append({name: target})
    return [
        Call(folder=stage / f"call{number}", targets=members)
        for number, members in enumerate(rounds)
    ]
