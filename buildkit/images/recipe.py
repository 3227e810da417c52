"""What an image is made of, worked out once for any engine: Dockerfile, stages, context."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from buildkit.errors import BuildError
from buildkit.images.context import context_entries, select
from buildkit.images.dockerfile import Dockerfile, parse
from buildkit.images.labels import append_labels
from buildkit.images.render import read_template, render
from buildkit.images.stages import (
    NOTHING,
    FindEnvironment,
    Stage,
    global_arguments,
    no_environment,
    reachable,
    stages_of,
    up_to_stage,
)
from buildkit.oci.layer import Entry
from buildkit.plan.units import Artifact, BuildImage, image_name
from buildkit.platform import Platform

FILE_PREFIX = "file:"


class Recipe(Struct, frozen=True, kw_only=True):
    """A rendered Dockerfile, the stages that count, and the files they copy."""

    dockerfile: Dockerfile
    stages: tuple[Stage, ...]
    entries: tuple[Entry, ...]
    scope: Mapping[str, str]
    """Predefined arguments, and the values of ARGs before the first FROM."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Values of arguments that win over defaults."""


def template_variables(action: BuildImage, platform: Platform, base: str) -> dict[str, str]:
    """Return every variable of an image's template by dotted name.

    ``base`` is the name to write after FROM; the rest comes from the action.
    """
    return {
        **dict(action.variables),
        "base": base,
        "image": image_name(action.name),
        "platform.os": platform.os,
        "platform.arch": platform.arch,
        "platform.variant": platform.variant,
    }


def prepare(
    action: BuildImage,
    platform: Platform,
    given: Mapping[str, Artifact],
    *,
    base: str,
    labels: Mapping[str, str],
    args: Mapping[str, str],
    environment: FindEnvironment = no_environment,
) -> Recipe:
    """Render an image's Dockerfile and find what it needs.

    Args:
        action: the image.
        platform: the target.
        given: artifacts of the binaries by unit id.
        base: the name to write after FROM.
        labels: added to those of the action.
        args: the arguments that are predefined.
        environment: gives the variables of an image to start from.

    Raises:
        ConfigError: the template or the Dockerfile is wrong, or copies what is
            not there; the message names the line.
    """
    if action.is_template:
        text = render(action.template, template_variables(action, platform, base))
    else:
        text = read_template(action.template)
    parsed = parse(text, origin=os.path.normpath(action.template))
    text, escape = up_to_stage(parsed, action.image.target), parsed.escape
    labelled = append_labels(text, {**dict(action.labels), **labels}.items(), escape=escape)
    entries = context_entries(_sources(action, given), binaries=_binaries(action))
    return recipe_of(
        labelled,
        entries,
        origin=os.path.normpath(action.template),
        args=args,
        environment=environment,
        given=dict(action.args),
    )


def recipe_of(
    text: str,
    entries: tuple[Entry, ...],
    *,
    origin: str,
    args: Mapping[str, str],
    environment: FindEnvironment = no_environment,
    given: Mapping[str, str] = NOTHING,
) -> Recipe:
    """Return the recipe of a Dockerfile and its whole context, see :func:`prepare`."""
    dockerfile = parse(text, origin=origin)
    stages = reachable(stages_of(dockerfile, args, environment, given))
    return Recipe(
        dockerfile=dockerfile,
        stages=stages,
        entries=select(entries, dockerfile, stages),
        scope=global_arguments(dockerfile, args, given),
        given=given,
    )


def _binaries(action: BuildImage) -> frozenset[str]:
    return frozenset(name for name, origin in action.context if not origin.startswith(FILE_PREFIX))


def _sources(action: BuildImage, given: Mapping[str, Artifact]) -> dict[str, Path]:
    sources: dict[str, Path] = {}
    for name, origin in action.context:
        if origin.startswith(FILE_PREFIX):
            sources[name] = Path(origin.removeprefix(FILE_PREFIX))
            continue
        path = given[origin].path
        if path is None:
            raise BuildError(f"{origin} made no file that {action.name} could copy")
        sources[name] = path
    return sources
