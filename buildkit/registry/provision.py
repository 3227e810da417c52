"""Builds the CNCF distribution from its Go module, once, for a machine that has no registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from buildkit.config.lock import ToolPin
from buildkit.errors import FetchError, VerificationError
from buildkit.platform import Platform
from buildkit.proc import Runner
from buildkit.store import Store, atomic_copy


class _Download(msgspec.Struct, frozen=True):
    Sum: str = ""
    Error: str = ""


def build_registry(
    platform: Platform,
    *,
    pin: ToolPin,
    go: Path,
    env: Mapping[str, str],
    runner: Runner,
    store: Store,
) -> Path:
    """Return a static registry binary for a platform, building it if it is not cached.

    The module is verified twice: by Go against the checksum database, and
    against the lock.

    Args:
        platform: what it is to run on.
        pin: the module and its sum.
        go: the toolchain.
        env: its environment: proxies, caches, credentials; without GOOS and GOARCH.
        runner: starts it.
        store: keeps the binary.

    Raises:
        FetchError: the module cannot be had.
        VerificationError: it is not what the lock pins.
        BuildError: it does not compile.
    """
    target = store.root / "tools" / f"registry-{pin.version}-{platform.slug}" / "registry"
    if target.exists():
        return target
    with store.workspace() as work:
        _verify(pin, go, env, runner, work)
        # GOBIN would refuse to hold what is compiled for another platform, so
        # GOPATH moves; the module cache must not move with it.
        cache = runner.run((str(go), "env", "GOMODCACHE"), env=env, cwd=work)
        settings = {
            **{key: value for key, value in env.items() if key != "GOBIN"},
            **platform.go_env(),
            "GOMODCACHE": cache.check("go env failed").stdout.decode().strip(),
            "GOPATH": str(work / "go"),
            "GOFLAGS": "",
            "CGO_ENABLED": "0",
        }
        flags = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")
        argv = (str(go), "install", *flags, f"{pin.package}@{pin.version}")
        runner.run(argv, env=settings, cwd=work).check("the local registry does not compile")
        (binary,) = (path for path in (work / "go" / "bin").rglob("registry") if path.is_file())
        atomic_copy(binary, target, mode=0o755)
    return target


def _verify(pin: ToolPin, go: Path, env: Mapping[str, str], runner: Runner, work: Path) -> None:
    module = f"{pin.module}@{pin.version}"
    done = runner.run((str(go), "mod", "download", "-json", module), env=env, cwd=work)
    try:
        found = msgspec.json.decode(done.stdout, type=_Download)
    except (msgspec.DecodeError, msgspec.ValidationError):
        found = _Download(Error=done.output)
    if done.returncode != 0 or found.Error:
        raise FetchError(
            f"cannot download the local registry's source {module}",
            details=found.Error or done.output,
            resolution="Check GOPROXY and the network, install a `registry` program, "
            "or name a running registry with --hub.",
        )
    if found.Sum != pin.sum:
        raise VerificationError(
            f"{module} is not what the lock pins",
            details=f"Expected {pin.sum}, got {found.Sum}.",
            resolution="Find out why before you run `invoke lock`.",
        )
