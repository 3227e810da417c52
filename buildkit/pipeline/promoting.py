"""`invoke promote SRC DST`: images from a registry or a layout to one's own registry."""

from __future__ import annotations

import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from buildkit.errors import UsageError
from buildkit.oci.layout import Layout, image_name
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.report import print_json
from buildkit.pipeline.workshop import Workshop
from buildkit.plan.destinations import Destination, check_protected
from buildkit.plan.options import Options, split_list
from buildkit.plan.unlocked import LABEL
from buildkit.plan.variants import ImageVariant, chosen_variants, image_variants
from buildkit.reference import Reference, hub_reference, split_hub
from buildkit.registry.attached import Attached, find_attached
from buildkit.registry.originals import Original, in_layout, in_registry, label_values
from buildkit.registry.promotion import (
    Promoted,
    Promotion,
    check_promotions,
    missing_originals,
    preview,
    promote,
)
from buildkit.registry.sending import Sender

_COLUMNS = ("image", "result", "attached", "digest before", "digest after")
_PORT = re.compile(r"[^/]*:[0-9]+")
_UNIT = "promote"


def run_promote(options: Options, source: str, target: str) -> None:
    """Copy one image, or all images of a tag, by digest.

    Args:
        options: the flags of the call.
        source: a reference, a hub, or the directory of an image layout.
        target: hubs, or references for one image; several by commas.

    Raises:
        UsageError: they cannot be meant so.
        RegistryError: a registry failed or refused, or lacks an image; no tag moved.
    """
    hub = source if not _is_layout(source) and not is_reference(source) else None
    shop = Workshop.open(replace(options, hub=hub or options.hub))
    if not options.dry_run:
        _check_protected(shop, target)
    sender = Sender(registry=Makers(shop).registry)
    promotions = tuple(
        item
        for tag, original in _originals(shop, sender, source)
        for item in _promotions(shop, tag, original, target, _attached(shop, sender, original))
    )
    _check_single(promotions, source, target)
    check_promotions(promotions, as_is=bool(options.as_is))
    warnings = [*_warn_of_hubs(shop, target), *_warn_of_unlocked(shop, promotions)]
    with closing(shop.reporter):
        _show(shop, _carry_out(shop, promotions, sender, target), warnings)


def _carry_out(
    shop: Workshop, promotions: tuple[Promotion, ...], sender: Sender, target: str
) -> tuple[Promoted, ...]:
    no_clobber = bool(shop.options.no_clobber)
    if shop.options.dry_run:
        return preview(promotions, sender, no_clobber=no_clobber)
    started = time.monotonic()
    shop.reporter.started(_UNIT)

    def progress(text: str) -> None:
        shop.reporter.progress(_UNIT, text)

    found = promote(promotions, sender, progress, no_clobber=no_clobber)
    shop.reporter.finished(_UNIT, "done", time.monotonic() - started, f"to {target}")
    return found


def _attached(shop: Workshop, sender: Sender, original: Original) -> tuple[Attached, ...]:
    """Return what goes along with an image, unless the flags leave it behind."""
    if shop.options.bare or not original.origin:
        return ()
    with sender.answering([Reference.parse(original.origin).registry]):
        return find_attached(sender.registry, original)


def is_reference(text: str) -> bool:
    """Tell a reference, which has a tag or digest, from a hub, which may have a port."""
    if "@" in text:
        return True
    return ":" in text.rpartition("/")[2] and not _PORT.fullmatch(text)


def _is_layout(text: str) -> bool:
    return Path(text).is_dir() or text.startswith((".", "/", "~"))


def _originals(shop: Workshop, sender: Sender, source: str) -> list[tuple[Reference, Original]]:
    """Return each image with the reference that it has now."""
    if _is_layout(source):
        return _of_layout(shop, Path(source).expanduser())
    if is_reference(source):
        return _of_registry(sender, [Reference.parse(source)])
    if not _is_host(source.partition("/")[0]):
        raise UsageError(
            f"promote {source}: that is neither a directory nor a registry",
            resolution="Name an image (localhost:5000/pilot:latest), a hub (localhost:5000, "
            "docker.io/istio), or the directory of an image layout (out/oci).",
        )
    place: Destination = shop.settings.destinations[0]
    names = _chosen(shop, _made_images(shop))
    config, chosen = shop.project.config, shop.settings.variants
    return _of_registry(
        sender,
        [
            item
            for name in names
            for variant in chosen_variants(config, config.images[name], chosen)
            for item in place.references(name, variant.tag)
        ],
    )


def _is_host(text: str) -> bool:
    return "." in text or ":" in text or text == "localhost"


def _of_registry(sender: Sender, references: list[Reference]) -> list[tuple[Reference, Original]]:
    found, errors = [], []
    with sender.answering(reference.registry for reference in references):
        for reference in references:
            if reference.digest is None and sender.registry.head_manifest(reference) is None:
                errors.append(str(reference))
                continue
            found.append((reference, in_registry(sender.registry, reference)))
    if errors:
        raise missing_originals(errors)
    return found


def _made_images(shop: Workshop) -> tuple[str, ...]:
    """Return the images that a build makes by itself, or all where some are named."""
    images = shop.project.config.images
    return tuple(name for name, image in images.items() if image.default or shop.options.only)


def _of_layout(shop: Workshop, folder: Path) -> list[tuple[Reference, Original]]:
    layout = Layout.open(folder)
    named = [
        (Reference.parse(name), entry) for entry in layout.entries if (name := image_name(entry))
    ]
    tags = split_list(shop.options.tag) or tuple(sorted({item.tag for item, _ in named}))
    if len(tags) > 1 and not shop.options.tag:
        raise UsageError(
            f"{folder} has images of several tags",
            details=f"They are {', '.join(tags)}.",
            resolution="Say which with --tag.",
        )
    chosen = _chosen(shop, tuple(dict.fromkeys(_image_of(item) for item, _ in named)))
    found = [
        (item, in_layout(layout, entry, str(item)))
        for item, entry in named
        if item.tag in tags and _image_of(item) in chosen
    ]
    if not found:
        raise UsageError(
            f"{folder} has no image for {', '.join(tags) or 'any tag'}",
            details="\n".join(layout.names),
            resolution="Name another --tag or --only.",
        )
    return found


def _chosen(shop: Workshop, names: tuple[str, ...]) -> tuple[str, ...]:
    only = split_list(shop.options.only)
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UsageError(
            f"--only {unknown[0]}: no such image", details=f"There are {', '.join(names)}."
        )
    return tuple(name for name in names if not only or name in only)


def _image_of(reference: Reference) -> str:
    return reference.repository.rpartition("/")[2]


def _promotions(
    shop: Workshop,
    reference: Reference,
    original: Original,
    target: str,
    attached: tuple[Attached, ...],
) -> list[Promotion]:
    return [
        Promotion(original=original, tag=tag, attached=attached)
        for place in split_list(target)
        for tag in _tags_at(shop, reference, place)
    ]


def _tags_at(shop: Workshop, reference: Reference, place: str) -> list[Reference]:
    if is_reference(place):
        found = Reference.parse(place)
        if found.digest is not None:
            raise UsageError(
                f"promote to {place}: a digest is no destination",
                resolution="Name a tag there; the digest stays what it is at the source.",
            )
        return [found]
    given = split_list(shop.options.new_tag)
    tags = tuple(map(_variant_of(shop, reference).tag, given))
    tags = tags or ((reference.tag,) if reference.tag else ())
    if not tags:
        raise UsageError(
            f"{reference} has no tag to keep", resolution="Say with --new-tag what it becomes."
        )
    return [hub_reference(place, _image_of(reference), tag) for tag in tags]


def _variant_of(shop: Workshop, reference: Reference) -> ImageVariant:
    """Return the variant that a tag is of, so that a new tag says so as well."""
    config = shop.project.config
    image = config.images.get(_image_of(reference))
    variants = image_variants(config, image) if image else ()
    found = [v for v in variants if v.suffix and reference.tag.endswith(f"-{v.suffix}")]
    return max(found, key=lambda variant: len(variant.suffix), default=ImageVariant())


def _check_single(promotions: tuple[Promotion, ...], source: str, target: str) -> None:
    places = split_list(target)
    if not places:
        raise UsageError("promote to nowhere", resolution="Name a hub or a reference.")
    images = {item.original.name for item in promotions}
    single = [place for place in places if is_reference(place)]
    if single and len(images) > 1:
        raise UsageError(
            f"promote {source} to {single[0]}: that is the name of one image",
            details=f"There are {len(images)}: {', '.join(sorted(images))}.",
            resolution="Name a hub as the destination, such as registry.example.com/team.",
        )


def _check_protected(shop: Workshop, target: str) -> None:
    places = split_list(target)
    hubs = (Reference.parse(place).name if is_reference(place) else place for place in places)
    check_protected(hubs, shop.project.config.registry.protected, shop.environ)


def _warn_of_hubs(shop: Workshop, target: str) -> list[str]:
    """Say where a destination is not the hub that is stamped into the binaries."""
    stamped = shop.project.config.project.release_hub
    hubs = [
        Reference.parse(place).name.rpartition("/")[0] if is_reference(place) else place
        for place in split_list(target)
    ]
    warnings = [
        f"the binaries say that they come from {stamped}, these images go to {hub}"
        for hub in dict.fromkeys(hubs)
        if stamped and split_hub(hub) != split_hub(stamped)
    ]
    for text in warnings:
        shop.reporter.warn(text)
    return warnings


def _warn_of_unlocked(shop: Workshop, promotions: tuple[Promotion, ...]) -> list[str]:
    """Say which images hold what no lock vouches for; they say so themselves."""
    originals = {item.original.name: item.original for item in promotions}
    warnings = [
        f"{name} holds what is not locked: {', '.join(values)}"
        for name, original in originals.items()
        if (values := label_values(original, LABEL))
    ]
    for text in warnings:
        shop.reporter.warn(text)
    return warnings


def _show(shop: Workshop, found: tuple[Promoted, ...], warnings: list[str]) -> None:
    if shop.options.json:
        print_json({"images": [_describe(item) for item in found], "warnings": warnings})
        return
    rows = [
        (
            str(item.promotion.tag),
            str(item.change),
            str(len(item.promotion.attached) or ""),
            str(item.promotion.digest),
            str(item.after or ""),
        )
        for item in found
    ]
    shop.reporter.table(_COLUMNS, rows)


def _describe(item: Promoted) -> dict[str, Any]:
    promotion = item.promotion
    return {
        "source": promotion.original.name,
        "digest": str(promotion.digest),
        "destination": str(promotion.tag),
        "change": str(item.change),
        "replaced": str(item.before) if item.before else "",
        "attached": [str(found.root.descriptor.digest) for found in promotion.attached],
        "digest_there": str(item.after) if item.after else "",
    }
