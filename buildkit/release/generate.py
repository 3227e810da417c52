"""What programs of the project print, as files of its release: completions, manifests."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from buildkit.errors import BuildError
from buildkit.proc import Runner

_PATH = "/usr/bin:/bin"


def printed(program: Path, arguments: Sequence[str], runner: Runner) -> bytes:
    """Return what a program prints; it sees neither settings nor the home of the user.

    Raises:
        BuildError: it fails, or prints nothing.
    """
    words = " ".join((program.name, *arguments))
    with tempfile.TemporaryDirectory(prefix="print-") as home:
        environment = {"HOME": home, "PATH": _PATH, "LC_ALL": "C", "TZ": "UTC", "NO_COLOR": "1"}
        done = runner.run([str(program), *arguments], env=environment, cwd=Path(home))
    done.check(f"`{words}` failed, and what it prints belongs into an archive")
    if not done.stdout:
        raise BuildError(
            f"`{words}` printed nothing, and what it prints belongs into an archive",
            resolution="Mend its words in release.archives.",
        )
    return done.stdout
