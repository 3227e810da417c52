"""The command that runs after each success of a loop, with the pushed images in its environment."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from buildkit.digest import Digest
from buildkit.errors import BuildkitError, UsageError
from buildkit.execute.outcomes import Outcome
from buildkit.log import Reporter
from buildkit.plan.units import PushIndex
from buildkit.proc import Runner
from buildkit.reference import Reference


def split_command(text: str | None) -> tuple[str, ...]:
    """Split a command into words, as a POSIX shell does; nothing is expanded.

    Raises:
        UsageError: there is no word, or a quotation has no end.
    """
    if text is None:
        return ()
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--exec {text}: {error}", resolution="Close the quotation.") from error
    if not words:
        raise UsageError("--exec names no command")
    return words


def image_variables(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Return ``IMAGE_<NAME>`` and ``hub/name@sha256:...`` of every image that is in its registry.

    The name is upper case, with ``_`` for whatever a variable cannot hold.
    """
    found = {}
    for outcome in outcomes:
        action, artifact = outcome.unit.action, outcome.artifact
        if isinstance(action, PushIndex) and artifact is not None:
            place = Reference.parse(action.references[0])
            name = re.sub(r"[^A-Z0-9]", "_", action.name.upper())
            found[f"IMAGE_{name}"] = str(place.with_digest(Digest.parse(artifact.digest)))
    return found


def run_command(
    command: tuple[str, ...],
    images: Mapping[str, str],
    environ: Mapping[str, str],
    runner: Runner,
    reporter: Reporter,
) -> None:
    """Run a command and show what it says; that it fails is told and stops nothing.

    Args:
        command: program and arguments, started without a shell in the current directory.
        images: see :func:`image_variables`.
        environ: the user's environment, which the command gets as well.
        runner: starts it.
        reporter: takes its output, when it has ended.
    """
    words = shlex.join(command)
    try:
        done = runner.run(command, env={**environ, **images}, cwd=Path.cwd())
    except BuildkitError as error:
        reporter.warn(f"{error.brief}: {error.details}")
        return
    for line in (done.stdout + done.stderr).decode("utf-8", "replace").splitlines():
        reporter.note(f"  {line}")
    if done.returncode:
        reporter.warn(f"{words} ended with status {done.returncode}")
    else:
        reporter.note(f"{words} succeeded  {done.seconds:.2f} s")
