"""Runs commands and says what they cost: time, memory, and what they read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.errors import BuildError
from tests.bench import launch

Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one measurement runs: phases one after another, the commands of each at once."""

    phases: tuple[tuple[Argv, ...], ...]
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of the caller."""


class Cost(Struct, frozen=True, kw_only=True):
    """What a job took.

    ``cpu`` is what its processes had of the cores, in seconds; ``peak`` is the
    largest resident set of any of them, in bytes; ``read`` is every byte that they
    asked the system for, page cache included (0 where the system does not tell);
    ``output`` is what they printed.
    """

    seconds: float
    cpu: float
    peak: int
    read: int
    output: str
    failed: str = ""


def measure(job: Job) -> Cost:
    """Run a job to its end.

    Raises:
        BuildError: a command failed; details hold its last words.
    """
    # What an earlier job left to be written to disk is not this one's cost.
    os.sync()
    request = {"phases": job.phases, "folder": str(job.folder), "environ": dict(job.environ)}
    done = subprocess.run(
        [sys.executable, "-I", "-S", launch.__file__],
        input=msgspec.json.encode(request),
        capture_output=True,
        check=True,
    )
    cost = msgspec.json.decode(done.stdout, type=Cost)
    if cost.failed:
        raise BuildError("a command that was to be measured failed", details=cost.failed)
    return cost
