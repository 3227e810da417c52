"""Base images, assembled here for any platform from any host, or pulled by digest.

Every base is an image of one platform of our own: a daemon that has one name
for two platforms hands out either of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from buildkit.digest import Digest
from buildkit.errors import BuildError, ConfigError
from buildkit.images.load import pull_image
from buildkit.images.local import base_config
from buildkit.images.static import static_entries, static_versions
from buildkit.oci.layer import Entry, write_layer
from buildkit.plan.units import Artifact, AssembleBase, Progress, Step
from buildkit.platform import Platform
from buildkit.store import Store, atomic_write

if TYPE_CHECKING:
    from docker import DockerClient

ASSEMBLER_VERSION = 1
"""Part of every cached layer's key: raise it when the same pins give other bytes."""


class _Record(msgspec.Struct, frozen=True):
    """Which layer a key gave."""

    diff_id: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseAssembler:
    """Builder of AssembleBase units.

    Layers are kept in the store by what they are made of, so that a no-op and a
    run without network need no archive. An artifact of scratch has no path; one
    of a registry base has two references, the local name and the pinned one.
    """

    store: Store
    project: str
    client: Callable[[], DockerClient]

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
                return self._layer(step.unit.id, self._static_key(), self._static_entries)
            case "registry":
                return self._pull(step.unit.id, action, platform, progress)
            case "debian":
                raise BuildError(f"{step.unit.id}: Debian bases are not assembled yet")

    def _static_key(self) -> Digest:
        return Digest.of_json(["static", ASSEMBLER_VERSION, self.project, static_versions()])

    def _static_entries(self) -> Iterable[Entry]:
        return static_entries(self.project)

    def _layer(self, unit: str, key: Digest, entries: Callable[[], Iterable[Entry]]) -> Artifact:
        place = self.store.root / "bases" / f"{key.hex}.json"
        with self.store.lock(f"base-{key.short}"):
            try:
                record = msgspec.json.decode(place.read_bytes(), type=_Record)
                path = self.store.get(Digest.parse(record.diff_id))
            except (FileNotFoundError, msgspec.DecodeError, ValueError):
                path = None
            if path is None:
                with self.store.workspace() as folder:
                    layer = write_layer(entries(), folder / "layer.tar")
                    _, path = self.store.put_file(layer.path)
                record = _Record(diff_id=str(layer.diff_id), size=layer.size)
                atomic_write(place, msgspec.json.encode(record))
        return Artifact(unit=unit, digest=record.diff_id, size=record.size, path=path)

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
        name, found = pull_image(self.client(), pinned, platform, progress)
        return Artifact(unit=unit, digest=found.id, size=found.size, reference=(name, pinned))
