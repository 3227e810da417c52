"""Builds the CNCF distribution from its Go module, once, for a machine that has no registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from buildkit.config.lock import ToolPin
from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import FetchError, VerificationError
from buildkit.platform import Platform
from buildkit.proc import Runner
from buildkit.store import Store, atomic_copy, discard, read_sealed, write_sealed

# The module's own cmd/registry differs only in what else it links, above all drivers of
# three clouds, which need twice the time to compile and 900 MB more of modules.
_MAIN = """\
package main

import (
	"os"

	"{module}/registry"
	_ "{module}/registry/auth/htpasswd"
	_ "{module}/registry/storage/driver/filesystem"
)

func main() {{
	if registry.RootCmd.Execute() != nil {{
		os.Exit(1)
	}}
}}
"""
_GO_MOD = """\
module meshwright.local/registry

go 1.24

require {module} {version}
"""


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
    against the lock. The versions of its own dependencies are those that it
    names, since nothing else takes part in their choice.

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
    kept = kept_registry(platform, pin, store)
    if kept is not None:
        return kept
    target = _place(platform, pin, store)
    settings = {**env, **platform.go_env(), "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    with store.workspace() as work:
        _verify(pin, go, settings, runner, work)
        main, module = work / "main.go", work / "go.mod"
        main.write_text(_MAIN.format(module=pin.module))
        module.write_text(_GO_MOD.format(module=pin.module, version=pin.version))
        binary = work / "registry"
        flags = ("-mod=mod", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
        argv = (str(go), "build", *flags, "-o", str(binary), ".")
        runner.run(argv, env=settings, cwd=work).check("the local registry does not compile")
        discard(target)
        atomic_copy(binary, target, mode=0o755)
        write_sealed(_note(target), str(Digest.of_file(binary)).encode())
    return target


def kept_registry(platform: Platform, pin: ToolPin, store: Store) -> Path | None:
    """Return the binary if it was built before and is what it was then."""
    path = _place(platform, pin, store)
    known = read_sealed(_note(path))
    if known is None or not path.is_file():
        return None
    return path if str(Digest.of_file(path)).encode() == known else None


def _note(binary: Path) -> Path:
    return binary.with_name(f"{binary.name}.sha256")


def _place(platform: Platform, pin: ToolPin, store: Store) -> Path:
    return store.root / "tools" / f"registry-{pin.version}-{platform.slug}" / "registry"


def _verify(pin: ToolPin, go: Path, env: Mapping[str, str], runner: Runner, work: Path) -> None:
    module = f"{pin.module}@{pin.version}"
    done = runner.run((str(go), "mod", "download", "-json", module), env=env, cwd=work)
    try:
        found = decode_json(done.stdout, _Download)
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
