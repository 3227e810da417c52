"""Variants of images: which there are, which a run makes, and what their units are called."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from buildkit.config.load import Project
from buildkit.config.model import Config, Image
from buildkit.config.problems import near_miss
from buildkit.errors import UsageError
from buildkit.plan.options import Options, split_list

VARIANTS = "DOCKER_BUILD_VARIANTS"
WITH_PLAIN = "INCLUDE_UNTAGGED_DEFAULT"


class ImageVariant(Struct, frozen=True, kw_only=True):
    """One way to build an image; an image without variants has one without a name."""

    name: str = ""
    suffix: str = ""
    """Joined to every tag by a hyphen, unless it is empty."""
    args: Mapping[str, str] = field(default_factory=dict)
    base: Mapping[str, str] = field(default_factory=dict)
    """Declared base = the one that takes its place."""

    def tag(self, tag: str) -> str:
        """Return a tag as this variant has it."""
        return f"{tag}-{self.suffix}" if self.suffix else tag

    def unit_name(self, image: str) -> str:
        """Return what the unit of this variant is called, ``pilot`` or ``pilot:distroless``."""
        return f"{image}:{self.name}" if self.suffix else image


def image_variants(config: Config, image: Image) -> tuple[ImageVariant, ...]:
    """Return all variants of an image, in the order of the file."""
    if image.variants is False or not config.variants:
        return (ImageVariant(),)
    return tuple(
        ImageVariant(
            name=name,
            suffix=name if variant.suffix is None else variant.suffix,
            args=texts(variant.args),
            base=variant.base,
        )
        for name, variant in config.variants.items()
        if image.variants is True or name in image.variants
    )


def chosen_variants(
    config: Config, image: Image, names: tuple[str, ...]
) -> tuple[ImageVariant, ...]:
    """Return the variants of an image that a run makes: of those named, the ones it has."""
    found = image_variants(config, image)
    return tuple(variant for variant in found if not variant.name or variant.name in names)


def choose_variants(
    project: Project, options: Options, environ: Mapping[str, str]
) -> tuple[tuple[str, ...], str]:
    """Return the variants that a run makes, and where that comes from; none where there are none.

    The flag wins over Istio's DOCKER_BUILD_VARIANTS, a list with spaces or commas, that over
    ``matrix.variants``, and without any it is the first of the file. INCLUDE_UNTAGGED_DEFAULT
    adds the one with plain tags, but not to a flag.

    Raises:
        UsageError: there is no such variant.
    """
    known = project.config.variants
    if not known and options.variant is None:
        return (), ""
    names, origin = _named(project, options, environ)
    if options.variant is None and environ.get(WITH_PLAIN, "").lower() == "true":
        plain = tuple(name for name, variant in known.items() if variant.suffix == "")
        names, origin = (*names, *plain), f"{origin}, {WITH_PLAIN} in the environment"
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no variant '{name}' ({origin})",
                details=near_miss(name, known),
                resolution="Name one of the table [variants], or add it there.",
            )
    if not names:
        raise UsageError("--variant names none", resolution=f"Name some of {', '.join(known)}.")
    return tuple(name for name in known if name in names), origin


def _named(
    project: Project, options: Options, environ: Mapping[str, str]
) -> tuple[tuple[str, ...], str]:
    known = project.config.variants
    if options.variant is not None:
        chosen = split_list(options.variant)
        return (tuple(known) if chosen == ("all",) else chosen), "--variant"
    if words := environ.get(VARIANTS, "").replace(",", " ").split():
        return tuple(words), f"{VARIANTS} in the environment"
    if configured := project.config.matrix.variants:
        return configured, project.origins.phrase("matrix.variants")
    return (next(iter(known)),), "the first of [variants]"


def same_variant(variants: tuple[ImageVariant, ...], variant: ImageVariant) -> ImageVariant:
    """Return the variant of another image that goes with one: of its name, else the plain one."""
    by_name = {item.name: item for item in variants}
    plain = next((item for item in variants if not item.suffix), variants[0])
    return by_name.get(variant.name, plain)


def texts(args: Mapping[str, object]) -> dict[str, str]:
    """Return arguments as text; a loaded project has no others."""
    return {name: str(text) for name, text in args.items()}
