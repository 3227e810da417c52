"""What images need in one run: engine, sinks, and whether what they made is still there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from buildkit.errors import BuildkitError
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.outline import Outline
from buildkit.plan.units import (
    Artifact,
    Builder,
    EngineName,
    Kind,
    LoadImage,
    Override,
    PushIndex,
    Unit,
    WriteLayout,
)
from buildkit.platform import Platform
from buildkit.reference import Reference, mirrored

if TYPE_CHECKING:
    from docker import DockerClient

    from buildkit.http import HttpPool
    from buildkit.images.docker import DockerEngine
    from buildkit.images.layers import Layers
    from buildkit.images.nearby import Nearby
    from buildkit.images.outline import Outlines
    from buildkit.images.programs import ImagePrograms
    from buildkit.images.remote import RegistryImages
    from buildkit.oci.model import Descriptor
    from buildkit.reference import Reference
    from buildkit.registry.client import RegistryClient


class ImageSupply:
    """Constructs what makes and moves images; each thing when it is first needed.

    Args:
        shop: the run.
        docker: gives the client of the daemon.
        registry: gives the client of registries.
        pool: gives connections for downloads.
    """

    def __init__(
        self,
        shop: Workshop,
        *,
        docker: Callable[[], DockerClient],
        registry: Callable[[], RegistryClient],
        pool: Callable[[], HttpPool],
    ) -> None:
        self._shop = shop
        self._docker = docker
        self._registry = registry
        self._pool = pool

    @cached_property
    def nearby(self) -> Nearby:
        """What the Docker daemon says of itself."""
        from buildkit.images.nearby import look

        return look(self._shop.environ)

    def outline(
        self, path: Path, args: Mapping[str, str], platform: Platform, target: str
    ) -> Outline:
        """Return what a Dockerfile that is used as it is asks for."""
        return self._outlines.read(path, args, platform, target)

    @cached_property
    def _outlines(self) -> Outlines:
        from buildkit.images.outline import Outlines

        return Outlines()

    def daemon_platform(self) -> Platform:
        """Return what the daemon runs, or would run."""
        return self.nearby.platform or Platform("linux", self._shop.host.arch)

    def unrunnable(self, arch: str) -> str:
        """Say why containers of a foreign architecture do not run here, and what helps.

        Behind anything but a socket of this machine the daemon's kernel is another one, with
        emulators of its own, as in Docker Desktop.
        """
        if not self.nearby.socket or not sys.platform.startswith("linux"):
            return ""
        from buildkit.doctor.checks.machine import check_emulation
        from buildkit.doctor.finding import State
        from buildkit.doctor.gather import gather_emulation

        (facts,) = gather_emulation((arch,), self.daemon_platform().arch, is_elsewhere=False)
        found = check_emulation(facts)
        return "" if found.state is State.OK else f"{found.meaning}; {found.mend}"

    def blocked(self) -> dict[Kind, str]:
        """Return, per kind, why it cannot be made on this machine now."""
        engine = self._shop.settings.engine
        if engine not in {EngineName.DOCKER, EngineName.BUILDX}:
            return {}
        problem = self.nearby.problem
        if not problem and engine is EngineName.BUILDX:
            problem = self._buildx_problem()
        return {Kind.IMAGE: problem} if problem else {}

    def skipped(self) -> dict[Kind, str]:
        """Return, per kind, why it is left out on this machine."""
        return {Kind.LOAD: self.nearby.problem} if self.nearby.problem else {}

    def assembler(self) -> Builder:
        """Return the builder of bases."""
        from buildkit.images.archive import host_archive
        from buildkit.images.bases import BaseAssembler

        shop = self._shop
        return BaseAssembler(
            store=shop.store,
            project=shop.project.config.project.name,
            find=self._remote.sheet,
            pool=self._pool(),
            runner=shop.processes,
            environ=shop.environ,
            warn=shop.reporter.warn,
            host_archive=lambda: host_archive(shop.processes, shop.environ, shop.os_release),
        )

    def engine(self) -> Builder:
        """Return the builder of images."""
        from buildkit.images.engine import ImageEngine

        shop = self._shop
        return ImageEngine(
            layers=self.layers,
            remote=self._remote,
            folder=shop.state / "images",
            project=shop.project.config.project.name,
            volatile=shop.volatile,
            epoch=shop.epoch,
            docker=self._docker_engine,
            buildx=self._buildx_engine,
            buildx_problem=self._buildx_problem,
            client=self._docker,
            tell=shop.reporter.note,
        )

    def publisher(self) -> Builder:
        """Return the builder that pushes."""
        from buildkit.images.publish import IndexPublisher
        from buildkit.registry.sending import Sender

        return IndexPublisher(layers=self.layers, sender=Sender(registry=self._registry()))

    def loader(self) -> Builder:
        """Return the builder that loads into the daemon."""
        from buildkit.images.loading import ImageLoader

        return ImageLoader(client=self._docker, layers=self.layers)

    def layout_writer(self) -> Builder:
        """Return the builder that writes the layout."""
        from buildkit.images.layout import LayoutWriter

        return LayoutWriter(layers=self.layers, digest=self._shop.hasher.digest)

    def archive_writer(self) -> Builder:
        """Return the builder that saves images as files."""
        from buildkit.images.saving import ArchiveWriter

        return ArchiveWriter(layers=self.layers)

    def find_programs(self, words: str) -> dict[Platform, str]:
        """Return the images behind what a user called one, by platform, see :mod:`programs`."""
        return self._programs.find(words)

    def extract(self, given: Override, platform: Platform, target: Path) -> None:
        """Write the Envoy of an image to a file."""
        self._programs.extract(given, platform, target)

    @cached_property
    def _programs(self) -> ImagePrograms:
        from buildkit.images.programs import ImagePrograms

        return ImagePrograms(
            remote=self._remote,
            layers=self.layers,
            client=None if self.nearby.problem else self._docker,
        )

    def base_present(self, _unit: Unit, artifact: Artifact) -> str | None:
        """Say why a base is not there as recorded."""
        if artifact.path is None:
            return None
        if artifact.reference:
            return self._sheet_problem(artifact)
        digest = self._shop.hasher.digest(artifact.path)
        if digest is None:
            return "its layer is no longer in the cache"
        return None if digest == artifact.digest else "its layer in the cache was altered"

    def image_present(self, _unit: Unit, artifact: Artifact) -> str | None:
        """Say why an image is not there as recorded; its layers are its needs' affair."""
        return self._sheet_problem(artifact)

    def _sheet_problem(self, artifact: Artifact) -> str | None:
        from buildkit.images.sheet import sheet_problem

        return sheet_problem(artifact, self._shop.store, self._shop.hasher.digest)

    def push_present(self, unit: Unit, artifact: Artifact) -> str | None:
        """Say why a tag does not name what was pushed, asking the registry for each."""
        action = unit.action
        for text in action.references if isinstance(action, PushIndex) else ():
            try:
                found = self._registry().head_manifest(Reference.parse(text))
            except BuildkitError as error:
                return f"{text} cannot be asked for: {error.brief}"
            if found is None:
                return f"{text} is not in the registry"
            if str(found.digest) != artifact.digest:
                return f"{text} is something else in the registry"
        return None

    def load_present(self, unit: Unit, artifact: Artifact) -> str | None:
        """Say why the daemon does not have an image under its names, asking it once for all."""
        from buildkit.images.nearby import load_problem

        action = unit.action
        names = action.references if isinstance(action, LoadImage) else ()
        return load_problem(names, artifact.digest, self._daemon_images)

    def layout_present(self, unit: Unit, artifact: Artifact) -> str | None:
        """Say why the layout does not hold an image as recorded."""
        from buildkit.images.layout import layout_problem

        action = unit.action
        if not isinstance(action, WriteLayout):
            return None
        return layout_problem(action, artifact, self._shop.hasher.digest)

    @cached_property
    def _daemon_images(self) -> dict[str, str]:
        from buildkit.images.nearby import list_images

        if self.nearby.socket:
            return list_images(self.nearby.socket)
        from buildkit.images.daemon import named_images

        return named_images(self._docker())

    @cached_property
    def _remote(self) -> RegistryImages:
        from buildkit.images.remote import RegistryImages

        return RegistryImages(registry=self._registry, locate=self._locate)

    @cached_property
    def layers(self) -> Layers:
        """The layers of bases and images, as files and as what registries get."""
        from buildkit.images.layers import Layers

        return Layers(
            store=self._shop.store,
            digest=self._shop.hasher.digest,
            fetch=self._fetch,
            locate=self._locate,
            packed=self._shop.packed,
        )

    def _fetch(self, repository: Reference, blob: Descriptor) -> Iterator[bytes]:
        return self._registry().blobs.stream(repository, blob)

    def _docker_engine(self) -> DockerEngine:
        from buildkit.images.docker import DockerEngine

        shop = self._shop
        return DockerEngine(
            client=self._docker,
            layers=self.layers,
            project=shop.project.config.project.name,
            volatile=shop.volatile,
            locate=self._locate,
        )

    def _buildx_engine(self) -> DockerEngine:
        from buildkit.images.buildx import BuildxBackend

        shop = self._shop
        backend = BuildxBackend(runner=shop.processes, environ=shop.environ)
        return replace(self._docker_engine(), backend=backend)

    def _buildx_problem(self) -> str:
        from buildkit.images.buildx import buildx_problem

        shop = self._shop
        return shop.answers.once(
            "buildx", lambda: buildx_problem(shop.processes, shop.environ, shop.project.root)
        )

    def _locate(self, reference: Reference) -> Reference:
        return mirrored(reference, self._shop.project.config.mirrors)
