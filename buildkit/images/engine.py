"""The builder of images: without a daemon where the Dockerfile allows it, else with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from buildkit.errors import BuildError
from buildkit.glibc import Linkage
from buildkit.images.assemble import Assembly, refusal
from buildkit.images.classic import BuildKitNeededError
from buildkit.images.contents import contents_problem
from buildkit.images.exported import export_image
from buildkit.images.labels import image_labels
from buildkit.images.layers import Layers
from buildkit.images.libc import check_every, check_libc, linked_programs, made_by_commands
from buildkit.images.local import base_sheet, local_base, local_name
from buildkit.images.recipe import prepare
from buildkit.images.remote import RegistryImages
from buildkit.images.sheet import Sheet, write_sheet
from buildkit.images.stages import platform_args
from buildkit.images.starts import Starts
from buildkit.images.tree import Tree
from buildkit.plan.units import Artifact, BuildImage, EngineName, Kind, Progress, Step, file_stem
from buildkit.platform import Platform

if TYPE_CHECKING:
    from docker import DockerClient

    from buildkit.images.docker import DockerEngine


class ImageEngine(Struct, frozen=True, kw_only=True):
    """Builder of BuildImage units.

    An artifact's digest is the image's id, its path the sheet that says what the
    image is made of, its reference the name it has where it is in the daemon.

    Attributes:
        layers: turns files into layers.
        remote: gives images of registries.
        folder: where sheets go.
        project: names images in the daemon, beside those of other projects.
        volatile: gives the values of ``${git...}`` and ``${created}``.
        epoch: gives the time of creation to write down, seconds since 1970.
        docker: the engine that a daemon runs, with its classic builder.
        buildx: the same with its BuildKit.
        buildx_problem: says why that cannot be used; empty where it can.
        client: the daemon; asked where that engine is used.
        tell: takes why an image goes to it.
    """

    layers: Layers
    remote: RegistryImages
    folder: Path
    project: str
    volatile: Callable[[], Mapping[str, str]]
    epoch: Callable[[], int]
    docker: Callable[[], DockerEngine]
    buildx: Callable[[], DockerEngine]
    buildx_problem: Callable[[], str]
    client: Callable[[], DockerClient]
    tell: Callable[[str], None]

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Make each image.

        Raises:
            ConfigError: the template, the Dockerfile or its context is wrong, or
                needs a daemon where only the OCI engine may be used.
            BuildError: the daemon failed; details hold its words.
        """
        return tuple(self._image(step, given, progress) for step in steps)

    def _image(self, step: Step, given: Mapping[str, Artifact], progress: Progress) -> Artifact:
        action, platform = step.unit.action, step.unit.platform
        if not isinstance(action, BuildImage) or platform is None:
            raise BuildError(f"{step.unit.id} is no image of one platform")
        sheet = None
        if action.engine in {EngineName.AUTO, EngineName.OCI}:
            sheet = self._assemble(step, action, platform, given)
        if sheet is None:
            if action.image.packages:
                # Before the distribution's own tool says so in words of its own.
                below = base_sheet(given[action.base], platform)
                self._check_libc(step, below, given, check_every)
            sheet = self._with_daemon(step, platform, given, progress)
        self._check_libc(step, sheet, given, check_libc)
        path = self.folder / platform.slug / f"{file_stem(action.name)}.json"
        write_sheet(path, sheet)
        return Artifact(
            unit=step.unit.id,
            digest=str(sheet.id),
            size=sheet.size,
            path=path,
            reference=(local_name(self.project, action.name, tag=platform.slug),),
        )

    def _check_libc(
        self,
        step: Step,
        sheet: Sheet,
        given: Mapping[str, Artifact],
        check: Callable[[Tree, Mapping[Path, Linkage], str, str], None],
    ) -> None:
        """Refuse programs that a C library is too old for, or that there is none for."""
        kinds = (f"{Kind.BINARY}/", f"{Kind.FETCH}/")
        files = [item.path for unit, item in given.items() if unit.startswith(kinds)]
        if isinstance(step.unit.action, BuildImage):
            files += made_by_commands(step.unit.action.context, given)
        programs = linked_programs(path for path in files if path is not None)
        if programs and isinstance(step.unit.action, BuildImage):
            base = step.unit.action.base.partition("@")[0].partition("/")[2]
            check(self._tree(sheet), programs, step.unit.id, f"its base {base}")

    def _tree(self, sheet: Sheet) -> Tree:
        return Tree.of(*(self.layers.entries(layer) for layer in sheet.layers))

    def _assemble(
        self, step: Step, action: BuildImage, platform: Platform, given: Mapping[str, Artifact]
    ) -> Sheet | None:
        base = local_base(given[action.base], platform)
        starts = Starts.of(action, platform, given)

        @cache
        def find(name: str, wanted: Platform) -> Sheet:
            start = starts.get(name, wanted)
            return base_sheet(start, wanted) if start else self.remote.sheet(name, wanted)

        def environment(name: str, text: str) -> Mapping[str, str]:
            sheet = find(name, Platform.parse(text) if text else platform)
            return sheet.image_config.run.environment

        recipe = prepare(
            action,
            platform,
            given,
            base=base.name,
            labels=image_labels(action, base, self.volatile),
            args=platform_args(platform, Platform("linux", Platform.host().arch)),
            environment=environment,
        )
        problem = refusal(recipe.dockerfile, recipe.stages)
        if problem is not None:
            if action.engine is EngineName.OCI:
                raise problem
            self.tell(f"{step.unit.id} is built by Docker: {problem.brief}")
            return None

        assembly = Assembly(
            recipe=recipe,
            platform=platform,
            find=find,
            layers=self.layers,
            epoch=self.epoch(),
            programs=tuple(given.values()),
        )
        return assembly.sheet()

    def _with_daemon(
        self, step: Step, platform: Platform, given: Mapping[str, Artifact], progress: Progress
    ) -> Sheet:
        (built,) = self._with_builder(step, given, progress)
        sheet = export_image(self.client(), self.layers.store, built.digest)
        run = sheet.image_config.run
        problem = contents_problem(self._tree(sheet), run, platform, tuple(given.values()))
        return Sheet(config=sheet.config, layers=sheet.layers, problem=problem)

    def _with_builder(
        self, step: Step, given: Mapping[str, Artifact], progress: Progress
    ) -> tuple[Artifact, ...]:
        action = step.unit.action
        if isinstance(action, BuildImage) and action.engine is EngineName.BUILDX:
            return self.buildx().build((step,), given, progress)
        try:
            return self.docker().build((step,), given, progress)
        except BuildKitNeededError as error:
            if not isinstance(action, BuildImage) or action.engine is not EngineName.AUTO:
                raise
            if problem := self.buildx_problem():
                raise BuildKitNeededError(
                    error.brief, details=f"{error.details}\n{problem}", resolution=error.resolution
                ) from error
            self.tell(f"{step.unit.id} is built by buildx: {error.brief}")
        return self.buildx().build((step,), given, progress)
