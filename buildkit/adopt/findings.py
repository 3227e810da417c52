"""Put together what the readers find of one tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from buildkit.adopt import istio
from buildkit.adopt.dockerfiles import (
    Adopted,
    adopt_dockerfiles,
    copied_names,
    open_arguments,
    own_arguments,
)
from buildkit.adopt.dockerplan import PLAN, adopt_plan, parse_plan
from buildkit.adopt.fpm import read_packages
from buildkit.adopt.golist import Package, main_packages
from buildkit.adopt.model import Binary, FileValue, Findings, Image, Prebuilt, Stamp
from buildkit.adopt.module import Module, inner_modules, read_module
from buildkit.adopt.outputs import with_own_names
from buildkit.adopt.scripts import read_scripts, told_tags
from buildkit.adopt.stamps import find_stamps

_VARIANTS = {
    "default": {"BASE_DISTRIBUTION": "debug"},
    "debug": {"BASE_DISTRIBUTION": "debug"},
    "distroless": {"BASE_DISTRIBUTION": "distroless"},
}
"""Those of docker-builder; the first two are one image under two tags."""


def read_tree(tree: Path, listings: Mapping[str, tuple[Package, ...]]) -> Findings:
    """Read everything that a tree says of how it is built.

    Args:
        tree: its root, resolved, with a go.mod.
        listings: its packages by GOOS.

    Raises:
        UsageError: it is no Go module.
        ConfigError: a file of Istio's kind cannot be read.
    """
    module = read_module(tree)
    make = istio.read_make(tree)
    binaries = main_packages(listings, tree, module.path)
    if make:
        binaries = istio.with_lists(binaries, make)
    else:
        binaries = with_own_names(binaries, read_scripts(tree), copied_names(tree))
    tags, groups = istio.list_settings(make) if make else ((), {})
    prebuilt = istio.read_prebuilt(tree)
    names = [item.name for item in binaries if not item.left_out]
    names += [item.name for item in prebuilt]
    packages = read_packages(tree, names)
    names += [file for item in packages if not item.left_out for file in item.outputs]
    found = _images(tree, names)
    args, images, doubts = _arguments(tree, make, prebuilt, found.images)
    hub = istio.read_hub(tree)
    every = [package for listing in listings.values() for package in listing]
    stamps = _with_hub(find_stamps(tree, module.path, every), hub)
    return Findings(
        name=_project_name(module.path, tree),
        module=module.path,
        go=module.go,
        go_limit=(module.limit, module.limit_reason),
        release_hub=hub,
        version=istio.read_version(tree, make),
        stamps=stamps,
        tags=tags,
        ldflags=("-extldflags=-static",) if make else (),
        groups=groups,
        binaries=binaries,
        prebuilt=prebuilt,
        args=args,
        variants=_VARIANTS if any(image.variants for image in images) and make else {},
        packages=packages,
        images=images,
        undecided=(
            *found.undecided,
            *doubts,
            *(() if make else told_tags(read_scripts(tree))),
            *_undecided(tree, module, binaries),
        ),
    )


def _images(tree: Path, names: list[str]) -> Adopted:
    try:
        text = (tree / PLAN).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return adopt_dockerfiles(tree, names)
    return Adopted(images=tuple(adopt_plan(tree, parse_plan(text), names)))


def _arguments(
    tree: Path,
    make: istio.Make | None,
    prebuilt: tuple[Prebuilt, ...],
    images: tuple[Image, ...],
) -> tuple[Mapping[str, str | FileValue], tuple[Image, ...], tuple[str, ...]]:
    """Return the arguments that Dockerfiles declare, the images with their own, and the doubts."""
    if make is None:
        values, told = open_arguments(tree, images)
        return values, images, told
    own = {image.dockerfile: own_arguments(tree, image.dockerfile) for image in images}
    declared = {name: text for found in own.values() for name, text in found.items()}
    args = istio.read_arguments(tree, make, prebuilt, declared)
    own_too = (istio.with_gateway(image, own[image.dockerfile], args) for image in images)
    return args, tuple(own_too), ()


def _with_hub(stamps: tuple[Stamp, ...], hub: str) -> tuple[Stamp, ...]:
    """Leave a stamp of the hub open where nothing says which hub that is."""
    return tuple(
        item if hub or item.text != "${hub}" else replace(item, text="") for item in stamps
    )


def _undecided(tree: Path, module: Module, binaries: tuple[Binary, ...]) -> list[str]:
    told = []
    if module.limit:
        told.append(
            f"{module.limit_reason}: Go {module.limit} has to be on PATH, or a release of it "
            "that `invoke lock` can pin in [go] toolchain"
        )
    if inner := sorted(inner_modules(tree)):
        names = ", ".join(path.parent.relative_to(tree).as_posix() for path in inner)
        told.append(f"modules of their own below the tree are not looked into: {names}")
    if not any(not item.left_out for item in binaries):
        told.append(f"{module.path} has no main package that could be built")
    return told


def _project_name(module: str, tree: Path) -> str:
    parts = [part for part in module.split("/") if not re.fullmatch(r"v\d+", part)]
    name = PurePosixPath(parts[-1]).name if parts else tree.name
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]", "", name) or "project"
