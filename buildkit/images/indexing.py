"""From what images are made of to what registries and archives hold: manifests and an index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from buildkit.errors import BuildError, VerificationError
from buildkit.images.layers import Layers
from buildkit.images.sheet import Sheet, read_sheet
from buildkit.oci.model import Image, Index
from buildkit.plan.units import Artifact
from buildkit.platform import Platform


def sheet_of(artifact: Artifact) -> Sheet:
    """Return what an image unit made.

    Raises:
        BuildError: its sheet is gone or damaged.
        VerificationError: it could not work, see :mod:`buildkit.images.contents`.
    """
    sheet = read_sheet(artifact.path or Path())
    if sheet.problem:
        raise VerificationError(
            f"{artifact.unit} cannot work: {sheet.problem}",
            resolution="Correct the template: ENTRYPOINT, CMD, and what is copied to where. "
            "A stamp is named in [stamps].",
        )
    return sheet


def platform_image(sheet: Sheet, layers: Layers, *, compress: bool) -> Image:
    """Return an image as it goes to a registry or an archive."""
    moved = tuple(layers.moved(layer, compress=compress) for layer in sheet.layers)
    return Image.of(sheet.config.encode(), moved)


def index_images(
    units: Iterable[str], given: Mapping[str, Artifact], layers: Layers, *, compress: bool
) -> dict[Platform, Image]:
    """Return the images of an index by platform.

    Raises:
        BuildError, VerificationError: see :func:`sheet_of`.
    """
    found = {}
    for unit in units:
        platform = Platform.parse(unit.partition("@")[2])
        sheet = sheet_of(given[unit])
        config = sheet.image_config
        if (config.os, config.architecture) != (platform.os, platform.arch):
            raise BuildError(f"{unit} is an image for {config.platform}")
        found[platform] = platform_image(sheet, layers, compress=compress)
    return found


def index_of(images: Mapping[Platform, Image]) -> Index:
    """Return the index of one image per platform."""
    return Index.of(
        tuple(replace(image.descriptor, platform=platform) for platform, image in images.items())
    )
