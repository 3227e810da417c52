"""Pins of fetched files for ``targets.lock``: looks at what the sources have now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import structs

from buildkit.build.download import Downloads
from buildkit.build.fetch import is_current, strip, unpack
from buildkit.build.origin import Origin, open_origin
from buildkit.config.lock import NO_GLIBC, FilePin
from buildkit.config.model import Fetch
from buildkit.digest import Digest
from buildkit.errors import FetchError, VerificationError
from buildkit.glibc import read_linkage
from buildkit.machine import check_machine
from buildkit.plan.binary_units import source_key
from buildkit.plan.units import Progress
from buildkit.platform import Platform
from buildkit.store import Store
from buildkit.wheels import Pip


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """What resolving needs.

    Attributes:
        store: keeps what was downloaded, so that the next build has it.
        downloads: fetches URLs.
        pip: finds and fetches wheels.
        environ: has the secrets that sources are asked with.
        warn: tells the user which source could not be reached.
        progress: tells how far a download is.
    """

    store: Store
    downloads: Downloads
    pip: Pip
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    warn: Callable[[str], None]
    progress: Progress

    def fetch(
        self, name: str, fetch: Fetch, previous: Mapping[str, tuple[FilePin, ...]]
    ) -> dict[str, tuple[FilePin, ...]]:
        """Pin every source of a fetched binary on every platform it serves.

        A source that cannot be had from here keeps its previous pin if that is of the
        same version, and otherwise stays without one.

        Args:
            name: the binary's name.
            fetch: its table in targets.toml.
            previous: its pins in the lock as it was, by platform.

        Raises:
            VerificationError: a source gives a binary for another machine, or another
                file than its own checksum says.
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
            origin = Origin(
                name=name,
                source=source,
                pin=FilePin(source=key, version=fetch.number, file="", sha256=""),
                version=fetch.number,
                platform=Platform.parse(platform),
                base_url=fetch.base_url,
                environ=self.environ,
            )
            try:
                yield self._pin(origin, known.get(key), strips=fetch.strip)
            except FetchError as error:
                kept = "its previous pin stays" if key in known else "it stays without a pin"
                self.warn(f"{name} for {platform} from {key}: {kept}\n{error}")
                if key in known:
                    yield known[key]

    def _pin(self, origin: Origin, known: FilePin | None, *, strips: bool) -> FilePin:
        if origin.source.wheel:
            wheel = self.pip.find(*origin.wheel, origin.platform)
            named = structs.replace(origin.pin, file=wheel.file, sha256=wheel.sha256, tag=wheel.tag)
            origin, sha256 = replace(origin, pin=named), wheel.sha256
        else:
            named = structs.replace(origin.pin, file=origin.file)
            origin, sha256 = replace(origin, pin=named), origin.published_sha256(self.downloads)
        if known is not None and known.sha256 == sha256 and known.glibc:
            kept = replace(origin, pin=known)
            if is_current(kept, strips=strips):
                return known
        with (
            self.store.workspace() as work,
            open_origin(origin, self.downloads, self.pip, work, self.progress) as download,
        ):
            _check_published(download, origin, sha256)
            return self._measure(origin, download, work, strips=strips)

    def _measure(self, origin: Origin, download: Path, work: Path, *, strips: bool) -> FilePin:
        binary = unpack(download, origin.member, work)
        check_machine(binary, origin.platform)
        final = strip(binary, work) if strips else binary
        self.store.put_file(final)
        linkage = read_linkage(binary)
        glibc = linkage.glibc if linkage else None
        return structs.replace(
            origin.pin,
            sha256=Digest.of_file(download).hex,
            member=origin.member,
            member_sha256=Digest.of_file(binary).hex if origin.member else "",
            stripped_sha256=Digest.of_file(final).hex if final != binary else "",
            glibc=str(glibc) if glibc else NO_GLIBC,
        )


def _check_published(download: Path, origin: Origin, sha256: str) -> None:
    found = Digest.of_file(download).hex if sha256 else ""
    if found != sha256:
        raise VerificationError(
            f"{origin.pin.file} is not what the checksum beside it says",
            details=f"sha256 expected {sha256}, got {found}",
            resolution="Do not use it before you know why; the lock stays as it was.",
        )
