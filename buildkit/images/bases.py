"""Base images, assembled here for any platform from any host, or pulled by digest.

Every base is an image of one platform of our own: a daemon that has one name
for two platforms hands out either of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.config.lock import PackagePin
from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import BuildError, ConfigError, EnvironmentMissingError
from buildkit.http import HttpPool
from buildkit.images.archive import KEYRINGS, DebianArchive, debian_architecture
from buildkit.images.bootstrap import bootstrap_entries
from buildkit.images.deb import debian_entries
from buildkit.images.local import base_config, pulled_name
from buildkit.images.packages import fetch_packages
from buildkit.images.sheet import Sheet, write_sheet
from buildkit.images.static import certificate_version, static_entries, zone_version
from buildkit.oci.layer import Entry, write_layer
from buildkit.plan.units import Artifact, AssembleBase, Progress, Step
from buildkit.platform import Platform
from buildkit.proc import Runner
from buildkit.store import Store, note_use, read_sealed, write_sealed

ASSEMBLER_VERSION = 1
"""Part of every cached layer's key: raise it when the same pins give other bytes."""


def assembler_version(project: str) -> str:
    """Return everything beside its pins that the bytes of an assembled base depend on."""
    return f"{ASSEMBLER_VERSION} {project} {certificate_version()} {zone_version()}"


class _Record(msgspec.Struct, frozen=True):
    """Which layer a key gave."""

    diff_id: str
    size: int


class BaseAssembler(Struct, frozen=True, kw_only=True):
    """Builder of AssembleBase units.

    Layers are kept in the store by what they are made of, so that a no-op and a
    run without network need no archive. An artifact of scratch has no path; one
    of a registry base has a sheet for a path, and two references: the local name
    and the pinned one. ``find`` gives what a registry says an image is made of.
    """

    store: Store
    project: str
    find: Callable[[str, Platform], Sheet]
    pool: HttpPool
    runner: Runner
    environ: Mapping[str, str]
    warn: Callable[[str], None]
    host_archive: Callable[[], str | None] = lambda: None
    """Gives the archive that apt uses here, for bases of kind bootstrap that name none."""
    keyrings: tuple[Path, ...] = KEYRINGS

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Make or find each base."""
        del given
        return tuple(self._base(step, progress) for step in steps)

    def _base(self, step: Step, progress: Progress) -> Artifact:
        action, platform = step.unit.action, step.unit.platform
        if not isinstance(action, AssembleBase) or platform is None:
            raise BuildError(f"{step.unit.id} is no base image of one platform")
        match action.base.kind:
            case "scratch":
                config = base_config(platform, None)
                digest = str(Digest.of_bytes(config))
                return Artifact(unit=step.unit.id, digest=digest, size=len(config))
            case "static":
                return self._static(step.unit.id)
            case "registry":
                return self._pull(step.unit.id, action, platform, progress)
            case "debian":
                return self._debian(step.unit.id, action, platform, progress)
            case "bootstrap":
                return self._bootstrap(step.unit.id, action, platform, progress)

    def _static(self, unit: str) -> Artifact:
        key = Digest.of_json(
            ["static", ASSEMBLER_VERSION, self.project, certificate_version(), zone_version()]
        )
        return self._layer(unit, key, lambda _folder: static_entries(self.project))

    def _debian(
        self, unit: str, action: AssembleBase, platform: Platform, progress: Progress
    ) -> Artifact:
        if not action.packages:
            raise ConfigError(
                f"no package of the base '{action.name}' is pinned for {platform}",
                resolution="Run `invoke lock`.",
            )
        known = self._known(_debian_key(action.packages))
        if known is not None:
            return _artifact(unit, *known)
        archive = self._archive(action)
        architecture = debian_architecture(platform)
        progress(f"{len(action.packages)} packages of {action.base.suite}")
        fetched = fetch_packages(archive, action.packages, architecture, warn=self.warn)
        packages = tuple((item.pin.name, item.path) for item in fetched)
        key = _debian_key(tuple(item.pin for item in fetched))
        return self._layer(unit, key, lambda folder: debian_entries(packages, folder))

    def _bootstrap(
        self, unit: str, action: AssembleBase, platform: Platform, progress: Progress
    ) -> Artifact:
        base, architecture = action.base, debian_architecture(platform)
        what = [base.suite, sorted(base.packages), base.archive, architecture]
        key = Digest.of_json(["bootstrap", ASSEMBLER_VERSION, certificate_version(), what])
        progress(f"mmdebstrap installs {base.suite} for {architecture}")

        def entries(folder: Path) -> tuple[Entry, ...]:
            return bootstrap_entries(
                folder,
                suite=base.suite,
                packages=base.packages,
                architecture=architecture,
                archive=action.archive or self.host_archive() or "",
                runner=self.runner,
                environ=self.environ,
            )

        return self._layer(unit, key, entries)

    def _archive(self, action: AssembleBase) -> DebianArchive:
        if not action.archive:
            raise EnvironmentMissingError(
                f"there is no Debian archive for the base '{action.name}'",
                details="This machine uses no apt, and its packages are not in the cache.",
                resolution="Name one with --debian-archive or bases.<name>.archive, "
                "or give the image a second base.",
            )
        return DebianArchive(
            url=action.archive.rstrip("/"),
            suite=action.base.suite,
            pool=self.pool,
            runner=self.runner,
            store=self.store,
            environ=self.environ,
            keyrings=self.keyrings,
        )

    def _layer(
        self, unit: str, key: Digest, entries: Callable[[Path], Iterable[Entry]]
    ) -> Artifact:
        with self.store.lock(f"base-{key.short}"):
            known = self._known(key)
            if known is None:
                with self.store.workspace() as folder:
                    layer = write_layer(entries(folder), folder / "layer.tar")
                    _, path = self.store.put_file(layer.path)
                record = _Record(diff_id=str(layer.diff_id), size=layer.size)
                write_sealed(self._place(key), msgspec.json.encode(record))
                known = (record, path)
        return _artifact(unit, *known)

    def _known(self, key: Digest) -> tuple[_Record, Path] | None:
        place = self._place(key)
        try:
            record = decode_json(read_sealed(place) or b"", _Record)
            path = self.store.get(Digest.parse(record.diff_id))
        except (msgspec.MsgspecError, ValueError):
            return None
        note_use(place)
        return (record, path) if path else None

    def _place(self, key: Digest) -> Path:
        return self.store.root / "bases" / f"{key.hex}.json"

    def _pull(
        self, unit: str, action: AssembleBase, platform: Platform, progress: Progress
    ) -> Artifact:
        if not action.digest:
            raise ConfigError(
                f"the base '{action.name}' is not pinned for {platform}",
                resolution="Run `invoke lock`.",
            )
        repository = action.base.reference.partition("@")[0]
        pinned = f"{repository}@{action.digest}"
        progress(f"asking for {pinned}")
        sheet = self.find(pinned, platform)
        path = self.store.root / "sheets" / f"{sheet.id.hex}.json"
        write_sheet(path, sheet)
        name = pulled_name(pinned, platform)
        return Artifact(
            unit=unit, digest=str(sheet.id), size=sheet.size, path=path, reference=(name, pinned)
        )


def _artifact(unit: str, record: _Record, path: Path) -> Artifact:
    return Artifact(unit=unit, digest=record.diff_id, size=record.size, path=path)


def _debian_key(pins: tuple[PackagePin, ...]) -> Digest:
    hashes = sorted((pin.name, pin.sha256) for pin in pins)
    return Digest.of_json(["debian", ASSEMBLER_VERSION, certificate_version(), hashes])
