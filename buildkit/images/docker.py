"""The Docker engine: images that a daemon builds, by one of its builders.

The classic builder is reached through the Docker SDK; see ``buildx`` for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from buildkit.errors import BuildError
from buildkit.images.classic import classic_text, refuse_unsupported
from buildkit.images.context import DOCKERFILE_NAME, write_context
from buildkit.images.daemon import (
    LocalImage,
    daemon_errors,
    daemon_platform,
    find_image,
    follow,
    image_environment,
    same_platform,
    tag_image,
)
from buildkit.images.labels import image_labels
from buildkit.images.layers import Layers
from buildkit.images.load import load_base, pull_image
from buildkit.images.local import base_config, base_sheet, local_name
from buildkit.images.recipe import Recipe, prepare
from buildkit.images.stages import platform_args
from buildkit.images.starts import Starts
from buildkit.plan.units import Artifact, BuildImage, Progress, Step
from buildkit.platform import Platform
from buildkit.reference import Locate, itself

if TYPE_CHECKING:
    from docker import DockerClient


class Job(Struct, frozen=True, kw_only=True):
    """One image for a builder of the daemon.

    Attributes:
        unit: its name in messages.
        platform: the target.
        recipe: the Dockerfile, and the files that it copies.
        bases: the daemon's name of what each stage starts from, by the stage's number.
        images: the daemon's name of what ``--from=`` names, by that name.
        args: the arguments to send.
        folder: scratch space.
    """

    unit: str
    platform: Platform
    recipe: Recipe
    bases: Mapping[int, str]
    images: Mapping[str, str]
    args: Mapping[str, str]
    folder: Path


class Backend(Protocol):
    """One of a daemon's builders."""

    def check(self, client: DockerClient, recipe: Recipe, images: Collection[str]) -> None:
        """Refuse what it cannot do.

        Args:
            client: the daemon.
            recipe: the Dockerfile.
            images: names after ``--from=`` that mean an image of ours in the daemon.

        Raises:
            ConfigError: the message names the line and what to write instead.
        """
        ...

    def build(self, client: DockerClient, job: Job, progress: Progress) -> LocalImage:
        """Build an image.

        Raises:
            BuildError: the daemon failed; details hold its words.
        """
        ...


class ClassicBackend(Struct, frozen=True, kw_only=True):
    """The builder that the Docker SDK reaches."""

    def check(self, client: DockerClient, recipe: Recipe, images: Collection[str]) -> None:
        """Refuse what needs BuildKit, see :class:`Backend`."""
        del client
        refuse_unsupported(recipe.dockerfile, recipe.stages, images)

    def build(self, client: DockerClient, job: Job, progress: Progress) -> LocalImage:
        """Build an image, see :class:`Backend`."""
        context = job.folder / "context.tar"
        text = classic_text(job.recipe.dockerfile, job.recipe.stages, job.bases, job.images)
        write_context(job.recipe.entries, text, context)
        return _build(client, job, context, progress)


class DockerEngine(Struct, frozen=True, kw_only=True):
    """Builder of BuildImage units.

    Args:
        client: called when the first image is built.
        layers: gives bases that the daemon lacks; its store holds work in progress.
        project: names images in the daemon, beside those of other projects.
        volatile: gives the values of ``${git...}`` and ``${created}``.
        locate: where an image is pulled from, which is a mirror for some.
        backend: which of the daemon's builders.
    """

    client: Callable[[], DockerClient]
    layers: Layers
    project: str
    volatile: Callable[[], Mapping[str, str]]
    locate: Locate = itself
    backend: Backend = field(default_factory=ClassicBackend)

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Build each image; its artifact's digest is the image id, its reference a local name.

        Raises:
            ConfigError: the template, the Dockerfile or its context is wrong.
            BuildError: the daemon failed; details hold its words.
        """
        return tuple(self._image(step, given, progress) for step in steps)

    def _image(self, step: Step, given: Mapping[str, Artifact], progress: Progress) -> Artifact:
        action, platform = step.unit.action, step.unit.platform
        if not isinstance(action, BuildImage) or platform is None:
            raise BuildError(f"{step.unit.id} is no image of one platform")
        client = self.client()
        base = load_base(client, self.layers, given[action.base], platform)
        starts = Starts.of(action, platform, given)
        args = platform_args(platform, daemon_platform(client))

        def environment(name: str, text: str) -> Mapping[str, str]:
            wanted = Platform.parse(text) if text else platform
            start = starts.get(name, wanted)
            if start is not None:
                return base_sheet(start, wanted).image_config.run.environment
            return image_environment(client, pull_image(client, name, wanted, progress)[0])

        recipe = prepare(
            action,
            platform,
            given,
            base=base.name,
            labels=image_labels(action, base, self.volatile),
            args=args,
            environment=environment,
        )
        images = self._images(recipe, starts, platform)
        self.backend.check(client, recipe, images)
        bases = self._stage_bases(recipe, starts, platform, progress)
        with self.layers.store.workspace() as folder:
            job = Job(
                unit=step.unit.id,
                platform=platform,
                recipe=recipe,
                bases=bases,
                images=images,
                args=_declared(recipe, args),
                folder=folder,
            )
            image = self.backend.build(client, job, progress)
        name = local_name(self.project, action.name, tag=platform.slug)
        tag_image(client, image.id, name)
        return Artifact(unit=step.unit.id, digest=image.id, size=image.size, reference=(name,))

    def _images(self, recipe: Recipe, starts: Starts, platform: Platform) -> dict[str, str]:
        copies = (copy for stage in recipe.stages for copy in stage.copies)
        names = {copy.origin for copy in copies if isinstance(copy.origin, str)}
        known = {name: starts.get(name, platform) for name in sorted(names)}
        return {
            name: load_base(self.client(), self.layers, artifact, platform).name
            for name, artifact in known.items()
            if artifact is not None
        }

    def _stage_bases(
        self, recipe: Recipe, starts: Starts, platform: Platform, progress: Progress
    ) -> dict[int, str]:
        # Each stage that starts from an image gets one that is of the right platform.
        client = self.client()
        bases: dict[int, str] = {}
        for stage in recipe.stages:
            if not isinstance(stage.base, str):
                continue
            wanted = Platform.parse(stage.platform) if stage.platform else platform
            start = starts.get(stage.base, wanted)
            if start is not None:
                bases[stage.index] = load_base(client, self.layers, start, wanted).name
            elif stage.base == "scratch":
                scratch = load_base(client, self.layers, scratch_artifact(wanted), wanted)
                bases[stage.index] = scratch.name
            else:
                bases[stage.index], _ = pull_image(
                    client, stage.base, wanted, progress, self.locate
                )
        return bases


def _build(client: DockerClient, job: Job, context: Path, progress: Progress) -> LocalImage:
    image = _run(client, job, context, progress, fresh=False)
    if not same_platform(image.platform, job.platform):
        # The classic builder's cache mixes platforms.
        image = _run(client, job, context, progress, fresh=True)
    return check_platform(image, job)


def check_platform(image: LocalImage, job: Job) -> LocalImage:
    """Return an image that is of the platform that was asked for.

    Raises:
        BuildError: it is of another.
    """
    if not same_platform(image.platform, job.platform):
        raise BuildError(
            f"{job.unit} came out as {image.platform}",
            details="The daemon built for another platform than it was asked to.",
            resolution="A base of the Dockerfile may be of that platform: start from {{ base }}.",
        )
    return image


def _run(
    client: DockerClient, job: Job, context: Path, progress: Progress, *, fresh: bool
) -> LocalImage:
    brief = f"{job.unit} cannot be built"
    with context.open("rb") as stream, daemon_errors(brief):
        entries = client.api.build(
            fileobj=stream,
            custom_context=True,
            dockerfile=DOCKERFILE_NAME,
            platform=str(job.platform),
            buildargs=dict(job.args),
            nocache=fresh,
            rm=True,
            forcerm=True,
            decode=True,
        )
        found = follow(entries, progress, brief=brief)
    ids = [str(item["ID"]) for item in found if "ID" in item]
    image = find_image(client, ids[-1]) if ids else None
    if image is None:
        raise BuildError(brief, details="The daemon reported no image and no error.")
    return image


def scratch_artifact(platform: Platform) -> Artifact:
    """Return the artifact of the base without layers."""
    return Artifact(
        unit=f"base/scratch@{platform}", digest="", size=len(base_config(platform, None))
    )


def _declared(recipe: Recipe, args: Mapping[str, str]) -> dict[str, str]:
    # The daemon warns about an argument that no ARG takes up, and one that is sent wins
    # over a default, which a predefined one does not.
    items = [item for stage in recipe.stages for item in stage.instructions if item.name == "ARG"]
    plain = {word for item in items for word in item.words if "=" not in word}
    every = {word.partition("=")[0] for item in items for word in item.words}
    predefined = {name: recipe.scope[name] for name in args if name in plain}
    return predefined | {name: text for name, text in recipe.given.items() if name in every}
