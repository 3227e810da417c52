"""Where Go is and which version, without running it where a file tells."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.errors import EnvironmentMissingError
from buildkit.proc import Runner

_VERSION = re.compile(r"\bgo(\d+\.\d+(?:\.\d+)?(?:(?:alpha|beta|rc)\d+)?)")


class Toolchain(Struct, frozen=True, kw_only=True):
    """A Go installation."""

    goroot: Path
    version: str
    """As ``1.26.8`` or ``1.27rc1``; a development tree has its language version."""
    release: str
    """The whole first line of GOROOT's VERSION, experiments and commit included:
    two toolchains that compile differently differ here."""

    @property
    def go(self) -> Path:
        """The ``go`` program itself, never a shim."""
        return self.goroot / "bin" / "go"


def find_go(environ: Mapping[str, str], runner: Runner, cwd: Path) -> Toolchain | None:
    """Return the Go that PATH names first, or None where there is none.

    Args:
        environ: PATH is taken from it; a shim gets all of it.
        runner: asks a shim; not used where ``go`` lies in a GOROOT.
        cwd: where a shim is asked, since some choose by directory.

    Raises:
        EnvironmentMissingError: there is a ``go`` that does not say where it lies.
    """
    found = shutil.which("go", path=environ.get("PATH", ""))
    if found is None:
        return None
    real = Path(found).resolve()
    return toolchain_at(real.parent.parent) or _ask(Path(found), environ, runner, cwd)


def toolchain_at(goroot: Path) -> Toolchain | None:
    """Read a GOROOT: two looks at the file system; None where it is none."""
    if not (goroot / "bin" / "go").is_file():
        return None
    try:
        release = (goroot / "VERSION").read_text(encoding="utf-8").partition("\n")[0].strip()
    except OSError:
        return None
    return _toolchain(goroot, release)


def _toolchain(goroot: Path, release: str) -> Toolchain | None:
    match = _VERSION.search(release)
    return Toolchain(goroot=goroot, version=match[1], release=release) if match else None


def _ask(go: Path, environ: Mapping[str, str], runner: Runner, cwd: Path) -> Toolchain:
    env = {**environ, "GOTOOLCHAIN": "local"}
    done = runner.run([str(go), "env", "-json", "GOROOT", "GOVERSION"], env=env, cwd=cwd)
    if done.returncode == 0:
        said = decode_json(done.stdout, dict[str, str])
        goroot = Path(said.get("GOROOT", ""))
        # A tree built from source may have no VERSION; GOVERSION is told since Go 1.16.
        found = toolchain_at(goroot) or _toolchain(goroot, said.get("GOVERSION", ""))
        if found is not None:
            return found
    raise EnvironmentMissingError(
        f"{go} does not say which Go it is",
        details=done.output,
        resolution="Let PATH name a working Go first, or remove that one from it.",
    )
