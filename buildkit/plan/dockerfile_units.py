"""What a Dockerfile that is used as it is means here: units for its bases and what it copies.

Names after FROM are declared bases, images of the project, what one of these replaces, or
images of a registry. Names that COPY takes from the context are looked up among the
files of the image, then among binaries, packages and what commands make under their own
names, where they may lie below the platform's names and those that builds give their
directories: ``amd64/pilot``, ``linux/amd64/pilot``, ``out/linux_amd64/pilot``,
``build/artifacts-linux-amd64/pilot/pilot``.
"""

from __future__ import annotations

import difflib
import fnmatch
import itertools
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from buildkit.config.check import image_platforms
from buildkit.config.interpolate import interpolate
from buildkit.config.load import Project
from buildkit.config.model import Base, Config, Image
from buildkit.config.problems import near_miss
from buildkit.errors import ConfigError
from buildkit.plan.draft import Draft
from buildkit.plan.outline import Copied, Outline, Start
from buildkit.plan.variants import ImageVariant, image_variants, texts
from buildkit.platform import GO_PLATFORMS, Platform
from buildkit.reference import Reference

SCRATCH = "scratch"
_FOLDERS = frozenset(
    {"out", "bin", "dist", "build", "output", "_output", "target", "release", "artifacts", ""}
)
_MACHINES = frozenset(name.partition("/")[2] for name in GO_PLATFORMS)
"""Architectures by Go's names."""


class Meaning(Struct, frozen=True, kw_only=True):
    """What a name after FROM stands for: a declared base or image, or a base of a registry."""

    name: str
    base: Base | None = None
    """What has to be pinned and pulled; None for what targets.toml declares."""


def dockerfile_arguments(
    project: Project, name: str, variant: ImageVariant, values: Mapping[str, str]
) -> dict[str, str]:
    """Return the values for the ARGs of an image's Dockerfile.

    Args:
        project: the configuration.
        name: the image.
        variant: whose arguments win over the image's, which win over those of all.
        values: the stable variables of the platform.
    """
    config = project.config
    known = {**values, **{f"fetch.{n}": item.number for n, item in config.fetch.items()}}
    shared = {key: interpolate(text, known) for key, text in texts(config.args).items()}
    known |= {f"args.{key}": text for key, text in shared.items()}
    own = {**texts(config.images[name].args), **variant.args}
    return shared | {key: interpolate(text, known) for key, text in own.items()}


class Wanted(Struct, frozen=True, kw_only=True):
    """Which images name a reference, and for which platforms."""

    images: frozenset[str] = frozenset()
    platforms: frozenset[str] = frozenset()


def registry_starts(draft: Draft) -> dict[str, Wanted]:
    """Return what the Dockerfiles of all images and variants name that the lock has to pin."""
    config, found = draft.config, dict[str, Wanted]()
    for name, image in config.images.items():
        if not image.dockerfile:
            continue
        path = draft.project.root / image.dockerfile
        for variant, text in itertools.product(
            image_variants(config, image), image_platforms(config, image)
        ):
            platform = Platform.parse(text)
            args = dockerfile_arguments(draft.project, name, variant, draft.values(platform))
            for start in draft.facts.outline(path, args, platform, image.target).starts:
                base = meaning_of(config, start, variant).base
                if base is not None and base.reference and "@" not in base.reference:
                    known = found.get(base.reference, Wanted())
                    found[base.reference] = Wanted(
                        images=known.images | {name},
                        platforms=known.platforms | {str(start.platform)},
                    )
    return found


def check_declared(project: Project, name: str, outline: Outline) -> None:
    """Check that the Dockerfile declares the arguments that are written for it alone.

    Raises:
        ConfigError: it does not declare one; the message names the line of targets.toml.
    """
    image = project.config.images[name]
    for argument in image.args.keys() - outline.declared:
        path = f"images.{name}.args.{argument}"
        raise ConfigError(
            f"{project.origins.page(path).place(path)}: {path}: "
            f"{image.dockerfile} has no ARG of that name",
            details=near_miss(argument, outline.declared),
            resolution="Correct the name. Arguments of all Dockerfiles belong into [args].",
        )


def meaning_of(config: Config, start: Start, variant: ImageVariant) -> Meaning:
    """Return what a name after FROM or --from= stands for.

    Raises:
        ConfigError: it is no image reference; the message names the line.
    """
    if start.name == SCRATCH:
        return Meaning(name=SCRATCH, base=Base(kind="scratch"))
    if start.name in config.bases or start.name in config.images:
        return Meaning(name=variant.base.get(start.name, start.name))
    try:
        reference = Reference.parse(start.name)
    except ConfigError as error:
        raise start.line.error(
            error.brief, resolution="Give the ARG in it a value under [args] or images.<name>.args."
        ) from error
    declared = _replacement(config, reference)
    if declared:
        return Meaning(name=variant.base.get(declared, declared))
    text = str(reference if reference.tag or reference.digest else reference.with_tag("latest"))
    # An at sign parts names and platforms in ids.
    return Meaning(name=text.replace("@", ":"), base=Base(kind="registry", reference=text))


def _replacement(config: Config, reference: Reference) -> str:
    known: dict[str, str] = {}
    for name, base in config.bases.items():
        known |= {str(Reference.parse(text)): name for text in base.replaces}
        if base.kind == "registry":
            known.setdefault(str(Reference.parse(base.reference)), name)
    for name, image in config.images.items():
        known |= {str(Reference.parse(text)): name for text in image.replaces}
    return known.get(str(reference)) or known.get(reference.name, "")


def staged(
    image: Image, outline: Outline, platform: Platform, outputs: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return what a Dockerfile copies of our own: name in the context, and what makes it.

    Args:
        image: whose files and binaries lie in the context.
        outline: what its Dockerfile copies.
        platform: the target.
        outputs: what can be copied, by name, with the unit that makes it, or ``file:`` and
            where a command puts it.

    Raises:
        ConfigError: a name is neither a file of the image nor an output, or is one of
            another architecture; the message names the line.
    """
    found: dict[str, str] = {}
    for name in image.binaries:
        found |= dict.fromkeys((name, f"{platform.arch}/{name}"), outputs[name])
    found |= {file: outputs[file] for file in image.packages}
    held = (*image.files, *found)
    for copied in outline.copied:
        if copied.path != "." and not any(_holds(path, copied.path) for path in held):
            found[copied.path] = outputs[_output(copied, platform, outputs)]
    return tuple(found.items())


def _holds(path: str, wanted: str) -> bool:
    """Tell whether what lies at a path of the context is, holds or is below what is wanted."""
    return (
        path == wanted
        or wanted.startswith(f"{path}/")
        or path.startswith(f"{wanted}/")
        or fnmatch.fnmatchcase(path, wanted)
    )


def _output(copied: Copied, platform: Platform, outputs: Mapping[str, str]) -> str:
    """Return the name of the output that a path means."""
    *folders, name = copied.path.split("/")
    if name not in outputs:
        raise copied.line.error(
            f"{copied.path} is neither a binary nor a file of the image",
            resolution=_advice(copied.path, name, outputs),
        )
    for folder in folders:
        if not _is_staging(folder, name, platform):
            raise _strange(copied, folder, platform)
    return name


def _is_staging(folder: str, name: str, platform: Platform) -> bool:
    """Tell whether a directory says nothing but where builds put things, and for what platform."""
    mine = {platform.os, platform.arch, platform.variant}
    words = set(re.split(r"[-_.]", folder))
    return folder == name or folder in _FOLDERS or words <= mine | _FOLDERS


def _advice(path: str, name: str, outputs: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(outputs), n=1)
    asked = f"Did you mean {path.removesuffix(name)}{near[0]}? " if near else ""
    return f'{asked}A file is named under images.<name>.files, as "{path}" = "${{source}}/{path}".'


def _strange(copied: Copied, folder: str, platform: Platform) -> ConfigError:
    if _MACHINES & set(re.split(r"[-_.]", folder)) - {platform.arch}:
        return copied.line.error(
            f"{copied.path} is of {folder}, and the image is for {platform}",
            resolution="Declare ARG TARGETARCH in the stage and write ${TARGETARCH}, "
            "or give the image that one platform.",
        )
    return copied.line.error(
        f"{copied.path}: '{folder}' is no directory of the build context",
        resolution=_advice(copied.path, copied.path, ()),
    )
