"""Units that hand images on: pushed, loaded, written as layout or archive, under their tags."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from buildkit.plan.destinations import Destination
from buildkit.plan.draft import Draft
from buildkit.plan.settings import Settings
from buildkit.plan.units import (
    Action,
    ArchiveFormat,
    Kind,
    LoadImage,
    PushIndex,
    SaveImage,
    Unit,
    WriteLayout,
    file_stem,
    image_name,
    unit_id,
)
from buildkit.plan.variants import ImageVariant, chosen_variants


def add_push(draft: Draft, name: str) -> None:
    """Add the unit that names an image's platforms by its tags, where images are pushed."""
    settings = draft.settings
    for made in _results(draft, name) if settings.pushed else ():
        action = PushIndex(
            name=made.name,
            images=made.images,
            references=made.references(settings.pushed),
            compress=compresses(settings),
            no_clobber=settings.no_clobber,
        )
        draft.add(made.unit(Kind.PUSH, action))


def add_load(draft: Draft, name: str) -> None:
    """Add the unit that puts an image into the daemon: its own platform, or the only one."""
    for made in _results(draft, name) if draft.settings.load else ():
        image = _daemon_image(draft, made)
        if image is not None:
            references = made.references(draft.settings.destinations)
            action = LoadImage(name=made.name, image=image, references=references)
            draft.add(replace(made.unit(Kind.LOAD, action), needs=(image,)))


def add_layout(draft: Draft, name: str) -> None:
    """Add the unit that writes an image's platforms into the layout, where one is asked for."""
    settings = draft.settings
    for made in _results(draft, name) if settings.layout else ():
        action = WriteLayout(
            name=made.name,
            images=made.images,
            references=made.references(settings.destinations),
            folder=layout_folder(settings),
            compress=compresses(settings),
        )
        draft.add(made.unit(Kind.LAYOUT, action))


def add_archives(draft: Draft, name: str) -> None:
    """Add the units that save an image as files, one for each format that is asked for."""
    for made in _results(draft, name):
        for form in draft.settings.save:
            own = _daemon_image(draft, made)
            if form is ArchiveFormat.OCI:
                _add_archive(draft, made, form, made.images)
            elif own is not None:
                _add_archive(draft, made, form, (own,))
            else:
                draft.blocked[unit_id(Kind(form), made.name, None)] = (
                    "a docker-archive holds one platform; choose it with --platform"
                )


def layout_folder(settings: Settings) -> Path:
    """Return where the image layout is."""
    return settings.out / "oci"


def compresses(settings: Settings) -> bool:
    """Tell whether layers made here are gzipped, for all that a run writes them to.

    One build has one digest everywhere. Only where nothing leaves this machine is
    the time saved: all destinations are loopback registries.
    """
    if settings.stamp or settings.layout or settings.save:
        return True
    return not all(destination.is_loopback for destination in settings.pushed)


def _add_archive(draft: Draft, made: _Result, form: ArchiveFormat, images: tuple[str, ...]) -> None:
    file = f"{file_stem(made.name)}.{form.removesuffix('-archive')}.tar"
    action = SaveImage(
        name=made.name,
        images=images,
        references=made.references(draft.settings.destinations),
        format=form,
        output=draft.settings.out / "images" / file,
        compress=compresses(draft.settings),
    )
    draft.add(replace(made.unit(Kind(form), action), needs=images))


def _daemon_image(draft: Draft, made: _Result) -> str | None:
    """Return the image of the daemon's platform, or the only one there is."""
    own = f"@{draft.facts.daemon}" if draft.facts.daemon else ""
    fitting = [image for image in made.images if own and image.endswith(own)]
    if fitting:
        return fitting[0]
    return made.images[0] if draft.facts.daemon and len(made.images) == 1 else None


class _Result(Struct, frozen=True, kw_only=True):
    """The platforms of an image that variants have in common, which all get the tags of each."""

    name: str
    images: tuple[str, ...]
    variants: tuple[ImageVariant, ...]

    def references(self, destinations: tuple[Destination, ...]) -> tuple[str, ...]:
        image = image_name(self.name)
        return tuple(
            str(item)
            for destination in destinations
            for variant in self.variants
            for item in destination.references(image, variant.tag)
        )

    def unit(self, kind: Kind, action: Action) -> Unit:
        return Unit(kind=kind, name=self.name, platform=None, action=action, needs=self.images)


def _results(draft: Draft, name: str) -> tuple[_Result, ...]:
    grouped: dict[tuple[str, ...], list[ImageVariant]] = {}
    for variant in chosen_variants(
        draft.config, draft.config.images[name], draft.settings.variants
    ):
        keys = ((name, variant.name, str(platform)) for platform in draft.settings.platforms)
        images = tuple(draft.made[key] for key in keys if key in draft.made)
        if images:
            grouped.setdefault(images, []).append(variant)
    return tuple(
        _Result(name=_result_name(name, images, variants[0]), images=images, variants=(*variants,))
        for images, variants in grouped.items()
    )


def _result_name(image: str, images: tuple[str, ...], variant: ImageVariant) -> str:
    names = {identity.partition("/")[2].partition("@")[0] for identity in images}
    return names.pop() if len(names) == 1 else variant.unit_name(image)
