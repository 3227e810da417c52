"""The Docker engine: images built by the daemon's classic builder through the Docker SDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerEngine:
    """Builder of BuildImage units.

    Args:
        client: called when the first image is built.
        layers: gives bases that the daemon lacks; its store holds work in progress.
        project: names images in the daemon, beside those of other projects.
        volatile: gives the values of ``${git...}`` and ``${created}``.
        locate: where an image is pulled from, which is a mirror for some.
    """

    client: Callable[[], DockerClient]
    layers: Layers
    project: str
    volatile: Callable[[], Mapping[str, str]]
    locate: Locate = itself

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
        refuse_unsupported(recipe.dockerfile, recipe.stages)
        bases = self._stage_bases(recipe, starts, platform, progress)
        with self.layers.store.workspace() as folder:
            job = _Job(
                unit=step.unit.id,
                platform=platform,
                context=folder / "context.tar",
                args=_declared(recipe, args),
            )
            text = classic_text(recipe.dockerfile, recipe.stages, bases)
            write_context(recipe.entries, text, job.context)
            image = _build(client, job, progress)
        name = local_name(self.project, action.name, tag=platform.slug)
        tag_image(client, image.id, name)
        return Artifact(unit=step.unit.id, digest=image.id, size=image.size, reference=(name,))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One build request to the daemon."""

    unit: str
    platform: Platform
    context: Path
    args: Mapping[str, str]


def _build(client: DockerClient, job: _Job, progress: Progress) -> LocalImage:
    image = _run(client, job, progress, fresh=False)
    if not same_platform(image.platform, job.platform):
        # The classic builder's cache mixes platforms.
        image = _run(client, job, progress, fresh=True)
    if not same_platform(image.platform, job.platform):
        raise BuildError(
            f"{job.unit} came out as {image.platform}",
            details="The daemon built for another platform than it was asked to.",
            resolution="A base of the Dockerfile may be of that platform: start from {{ base }}.",
        )
    return image


def _run(client: DockerClient, job: _Job, progress: Progress, *, fresh: bool) -> LocalImage:
    brief = f"{job.unit} cannot be built"
    with job.context.open("rb") as stream, daemon_errors(brief):
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
