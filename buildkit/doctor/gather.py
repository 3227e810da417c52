"""Gathers the facts of this machine; nothing is changed, and little is started.

What is asked beyond the file system: the Docker daemon, the registries where images
go, `go env` for GOPROXY, and git for a tree that another user owns.
"""

from __future__ import annotations

import configparser
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from buildkit.doctor.facts import (
    DARWIN,
    CredentialFacts,
    DiskFacts,
    DockerFacts,
    EmulationFacts,
    Handler,
    ProxyFacts,
    TreeFacts,
)
from buildkit.errors import BuildkitError, ConfigError, EnvironmentMissingError
from buildkit.execute.space import Disk, Place
from buildkit.http import host_of
from buildkit.http.routes import ProxySettings
from buildkit.images.nearby import chosen_context, describe, find_socket
from buildkit.machine import parse_machine
from buildkit.proc import Runner
from buildkit.registry.container import Nearness, nearness
from buildkit.registry.credentials import credential_files, credential_keys, load_credentials
from buildkit.vcs import UNKNOWN, GitFacts, look_at_worktree

Ask = Callable[[Mapping[str, str]], tuple[Mapping[str, Any], Mapping[str, Any]]]

BINFMT = Path("/proc/sys/fs/binfmt_misc")

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_PIP_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS")
_PIP_KEYS = ("index-url", "extra-index-url", "no-index", "find-links")
_COMPANIONS = {("amd64", "386")}
"""Architectures whose programs another one's kernel runs as they are."""


def gather_docker(
    environ: Mapping[str, str],
    *,
    system: str,
    host_name: str,
    now: float,
    needed: str,
    ask: Ask = describe,
) -> DockerFacts:
    """Ask the daemon for its version and state.

    Args:
        environ: names the daemon.
        system: as sys.platform.
        host_name: this machine's name.
        now: the time here.
        needed: why the project cannot do without a daemon.
        ask: gives its version and state, see :func:`buildkit.images.nearby.describe`.
    """
    context, chosen_by = chosen_context(environ)
    host = environ.get("DOCKER_HOST", "")
    path = find_socket(environ)
    endpoint = path or (host_of(host) or host if host else f"the context {context}")
    origin = "DOCKER_HOST" if host else chosen_by or "the default"
    try:
        version, info = ask(environ)
    except EnvironmentMissingError as error:
        problem = f"{error.brief}: {error.details}" if error.details else error.brief
        return DockerFacts(
            endpoint=endpoint,
            origin=origin,
            problem=problem.removesuffix("."),
            is_refused=bool(path)
            and Path(path).exists()
            and not os.access(path, os.R_OK | os.W_OK),
            other_sockets=tuple(other_sockets(environ, path)),
            needed=needed,
        )
    address = "http+docker://localhost" if path else host.replace("tcp://", "http://")
    near = nearness(
        info, address or "http+docker://localhost", host_system=system, host_name=host_name
    )
    root = str(info.get("DockerRootDir") or "")
    return DockerFacts(
        endpoint=endpoint,
        origin=origin,
        passed_over=context if host else "",
        arch=str(version.get("Arch") or ""),
        version=str(version.get("Version") or "of unknown version"),
        is_podman=_is_podman(version),
        is_virtual=near is not Nearness.SHARED,
        driver=str(info.get("Driver") or ""),
        root=root,
        free=_free(Path(root)) if near is Nearness.SHARED and root else None,
        has_proxy=any(info.get(name) for name in ("HttpProxy", "HttpsProxy")),
        seconds_ahead=_seconds_ahead(info, now),
        needed=needed,
    )


def other_sockets(environ: Mapping[str, str], asked: str) -> Iterator[tuple[str, str]]:
    """Yield name and path of each other socket of a daemon that is there."""
    home, runtime = environ.get("HOME", ""), environ.get("XDG_RUNTIME_DIR", "")
    places = (
        ("Docker", "/var/run/docker.sock"),
        ("rootless Docker", f"{runtime}/docker.sock" if runtime else ""),
        ("Docker Desktop", f"{home}/.docker/run/docker.sock"),
        ("Docker Desktop", f"{home}/.docker/desktop/docker.sock"),
        ("Colima", f"{home}/.colima/default/docker.sock"),
        ("OrbStack", f"{home}/.orbstack/run/docker.sock"),
        ("Rancher Desktop", f"{home}/.rd/docker.sock"),
        ("Podman", f"{runtime}/podman/podman.sock" if runtime else ""),
        ("Podman", "/run/podman/podman.sock"),
        ("Podman", f"{home}/.local/share/containers/podman/machine/podman.sock"),
    )
    for name, path in places:
        with suppress(OSError):
            if path and path != asked and Path(path).is_socket():
                yield name, path


def gather_emulation(
    arches: Iterable[str], native: str, *, is_elsewhere: bool, root: Path = BINFMT
) -> tuple[EmulationFacts, ...]:
    """Tell who runs each architecture's programs in containers.

    Args:
        arches: in Go's spelling.
        native: the daemon's own.
        is_elsewhere: containers run under another kernel than this one.
        root: where binfmt_misc is mounted.
    """
    handlers = {} if is_elsewhere else read_handlers(root)
    absent = Handler.UNKNOWN if is_elsewhere else Handler.MISSING

    def handler(arch: str) -> Handler:
        is_native = arch == native or (native, arch) in _COMPANIONS
        return Handler.NATIVE if is_native else handlers.get(arch, absent)

    return tuple(EmulationFacts(arch=arch, handler=handler(arch)) for arch in arches)


def read_handlers(root: Path) -> dict[str, Handler]:
    """Read which architectures have an interpreter, from the magic of each entry.

    The format is the kernel's ``Documentation/admin-guide/binfmt-misc.rst``.
    """
    found: dict[str, Handler] = {}
    with suppress(OSError):
        is_on = (root / "status").read_text().strip() == "enabled"
        for entry in sorted(root.iterdir()):
            if entry.name not in {"register", "status"}:
                found |= _handler(entry.read_text(), is_on=is_on)
    return found


def _handler(text: str, *, is_on: bool) -> dict[str, Handler]:
    lines = text.splitlines()
    values = dict(line.partition(" ")[::2] for line in lines[1:])
    try:
        magic = bytes.fromhex(values.get("magic", "")).ljust(64, b"\0")
        machines = parse_machine(magic, "binfmt")
    except (ValueError, BuildkitError):
        return {}
    if not is_on or lines[0] != "enabled":
        state = Handler.DISABLED
    else:
        state = Handler.FIXED if "F" in values.get("flags:", "") else Handler.UNFIXED
    return {machine.arch: state for machine in machines}


def why_unasked(hub: str, environ: Mapping[str, str], *, is_offline: bool) -> str:
    """Return why a hub beyond this machine is not asked whether it is there."""
    if is_offline:
        return "--offline is given"
    try:
        proxy = ProxySettings.of(environ).proxy_for(f"https://{hub}/")
    except EnvironmentMissingError as error:
        return error.brief
    # A connection of our own would say nothing of the one through the proxy.
    return f"it is behind the proxy {proxy_host(proxy)}" if proxy else ""


def gather_credentials(
    environ: Mapping[str, str], registries: Iterable[str]
) -> tuple[CredentialFacts, ...]:
    """Read what the files with credentials name, and look for their helpers.

    Args:
        environ: names the files, and PATH.
        registries: what is pushed to and may ask for a login.
    """
    wanted = tuple(registries)
    return tuple(_credentials(path, environ, wanted) for path in credential_files(environ))


def _credentials(
    path: Path, environ: Mapping[str, str], registries: tuple[str, ...]
) -> CredentialFacts:
    is_podman = path.name == "auth.json"
    try:
        held = load_credentials(path)
    except ConfigError as error:
        return CredentialFacts(path=str(path), is_podman=is_podman, error=error.details)
    named = {held.creds_store, *held.cred_helpers.values()} - {""}
    helpers = tuple(sorted(named))
    programs = {name: f"docker-credential-{name}" for name in helpers}
    search = environ.get("PATH", "")
    asked = {held.helper_of(credential_keys(registry)) for registry in registries}
    return CredentialFacts(
        path=str(path),
        is_podman=is_podman,
        logins=len(held.auths),
        helpers=helpers,
        absent=tuple(n for n in helpers if shutil.which(programs[n], path=search) is None),
        needed=tuple(sorted(asked - {""})),
    )


def absent_auth_file(environ: Mapping[str, str]) -> str:
    """Return what REGISTRY_AUTH_FILE names, if that is not there."""
    named = environ.get("REGISTRY_AUTH_FILE", "")
    return named if named and not Path(named).is_file() else ""


def gather_proxy(environ: Mapping[str, str]) -> ProxyFacts:
    """Read our proxy variables as requests read them."""
    try:
        ProxySettings.of(environ)
    except EnvironmentMissingError as error:
        return ProxyFacts(error=error.brief)
    values = ((name, environ.get(name) or environ.get(name.upper())) for name in _PROXY_VARIABLES)
    return ProxyFacts(hosts=tuple((name, proxy_host(value)) for name, value in values if value))


def proxy_host(text: str) -> str:
    """Return the host of a proxy, written as a URL or without a scheme."""
    return host_of(text if "://" in text else f"http://{text}")


def goproxy_hosts(text: str) -> tuple[str, ...]:
    """Return what GOPROXY names, of addresses the host alone (``go help goproxy``)."""
    parts = (part.strip() for part in text.replace("|", ",").split(","))
    return tuple(_shown(part) for part in parts if part)


def _shown(part: str) -> str:
    return urlsplit(part).scheme + ":" if part.startswith("file:") else host_of(part) or part


def pip_places(environ: Mapping[str, str], system: str, prefix: Path) -> tuple[str, ...]:
    """Return what sets pip's index, without its value.

    The files are those of pip's documentation, "Configuration".
    """
    named = [name for name in _PIP_VARIABLES if environ.get(name)]
    return (*named, *(str(path) for path in _pip_files(environ, system, prefix) if _sets(path)))


def _pip_files(environ: Mapping[str, str], system: str, prefix: Path) -> tuple[Path, ...]:
    home = Path(environ.get("HOME", "/"))
    chosen = environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return ()
    settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    user = home / "Library/Application Support/pip" if system == DARWIN else settings / "pip"
    shared = Path("/Library/Application Support/pip" if system == DARWIN else "/etc")
    places = (shared, home / ".pip", user, prefix)
    return (*(place / "pip.conf" for place in places), *([Path(chosen)] if chosen else ()))


def _sets(path: Path) -> bool:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return False
    return any(key in parser[name] for name in parser.sections() for key in _PIP_KEYS)


def gather_tree(
    source: Path, git: GitFacts, runner: Runner, environ: Mapping[str, str], user: int
) -> TreeFacts:
    """Look at the source tree.

    Args:
        source: the tree.
        git: what git says of it.
        runner: asks git for safe.directory, where another user owns the tree.
        environ: PATH and where git's configuration is.
        user: the id of this user.
    """
    program = shutil.which("git", path=environ.get("PATH", ""))
    try:
        found = look_at_worktree(source)
    except (OSError, UnicodeDecodeError):
        found = None
    if found is None:
        return TreeFacts(path=str(source), git=program is not None, kind=None)
    # Git looks at the owner of the tree, of .git and of the repository (CVE-2022-24765).
    places = (found.root, found.root / ".git", found.git_directory)
    is_foreign = any(place.exists() and place.stat().st_uid != user for place in places)
    return TreeFacts(
        path=str(source),
        root=str(found.root),
        git=program is not None,
        kind=found.kind,
        git_directory=str(found.git_directory),
        is_whole=found.git_directory.exists(),
        is_shallow=found.is_shallow,
        is_foreign=is_foreign,
        is_safe=bool(is_foreign and program and _is_safe(found.root, program, runner, environ)),
        has_commit=git.revision != UNKNOWN,
        is_dirty=git.dirty,
    )


def _is_safe(root: Path, git: str, runner: Runner, environ: Mapping[str, str]) -> bool:
    argv = [git, "config", "--get-all", "safe.directory"]
    done = runner.run(argv, env=environ, cwd=Path("/"))
    return bool({"*", str(root)} & set(done.stdout.decode(errors="replace").splitlines()))


def gather_disks(places: Iterable[Place], disks: Mapping[Path, Disk]) -> tuple[DiskFacts, ...]:
    """Join the places that lie on one file system.

    Args:
        places: directories, and what a whole build writes there.
        disks: the file system of each.
    """
    joined: dict[int, DiskFacts] = {}
    for place in places:
        disk = disks[place.folder]
        before = joined.get(disk.device, DiskFacts(folders=(), free=disk.free))
        joined[disk.device] = DiskFacts(
            folders=(*before.folders, str(place.folder)),
            free=disk.free,
            needed=before.needed + place.needed,
        )
    return tuple(joined.values())


def _is_podman(version: Mapping[str, Any]) -> bool:
    parts = version.get("Components") or ()
    return any(str(part.get("Name", "")).startswith("Podman") for part in parts)


def _free(root: Path) -> int | None:
    # The root itself may be closed to this user; a directory above it lies on the same disk
    # unless another is mounted there, which only its owner can see.
    for place in (root, *root.parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def _seconds_ahead(info: Mapping[str, Any], now: float) -> float:
    try:
        return datetime.fromisoformat(str(info.get("SystemTime"))).timestamp() - now
    except ValueError:
        return 0.0
