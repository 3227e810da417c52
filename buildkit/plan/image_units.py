"""Units of images: their bases, the images of each platform, and the tags that name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from buildkit.config.check import image_platforms
from buildkit.config.interpolate import interpolate
from buildkit.config.model import Image
from buildkit.plan.destinations import Destination
from buildkit.plan.draft import Draft, Texts, split_stable
from buildkit.plan.settings import Settings
from buildkit.plan.units import (
    ArchiveFormat,
    AssembleBase,
    BuildImage,
    Kind,
    LoadImage,
    PushIndex,
    SaveImage,
    Unit,
    WriteLayout,
    unit_id,
)
from buildkit.plan.unlocked import LABEL, unlocked_names
from buildkit.platform import Platform
from buildkit.reference import Reference, mirrored

_OCI = "org.opencontainers.image"


def add_bases(draft: Draft, platform: Platform) -> None:
    """Add the unit of every base for a Linux platform."""
    if platform.os != "linux":
        return
    lock = draft.project.lock
    for name, base in draft.config.bases.items():
        action = AssembleBase(
            name=name,
            base=base,
            packages=lock.debian.get(name, {}).get(platform.arch, ()),
            archive=base.archive or draft.facts.archive,
            digest=lock.registry.get(name, {}).get(str(platform), ""),
            assembler=draft.facts.assembler,
        )
        draft.add(Unit(kind=Kind.BASE, name=name, platform=platform, action=action))


def mirror_notes(units: Iterable[Unit], mirrors: Mapping[str, str]) -> tuple[str, ...]:
    """Say once per base where it is read from, if that is not where its name says."""
    notes: dict[str, None] = {}
    for action in (unit.action for unit in units):
        if isinstance(action, AssembleBase) and action.base.kind == "registry":
            reference = Reference.parse(action.base.reference)
            place = mirrored(reference, mirrors)
            if place != reference:
                words = f"is read from the mirror {place.name}, not {reference.name}"
                notes[f"base {action.name} {words}"] = None
    return tuple(notes)


def add_image(draft: Draft, name: str, platform: Platform) -> None:
    """Add an image of one platform, after the images that it is based on."""
    image = draft.config.images[name]
    identity = unit_id(Kind.IMAGE, name, platform)
    if identity in draft.units or str(platform) not in image_platforms(draft.config, image):
        return
    for base in image.base:
        if base in draft.config.images:
            add_image(draft, base, platform)
    base_id = _choose_base(draft, name, image, platform)
    if base_id is None:
        return
    context = _context(draft, image, platform)
    absent = [need for _, need in context if _is_unit(need) and need not in draft.units]
    if absent:
        draft.blocked[identity] = f"needs {', '.join(absent)}, which does not exist"
        return
    draft.add(_image(draft, name, platform, base_id, context))


def add_push(draft: Draft, name: str) -> None:
    """Add the unit that names an image's platforms by its tags, where images are pushed."""
    images = _platform_images(draft, name)
    settings = draft.settings
    if not images or not settings.pushed:
        return
    action = PushIndex(
        name=name,
        images=images,
        references=_references(settings.pushed, name),
        compress=compresses(settings),
        no_clobber=settings.no_clobber,
    )
    draft.add(Unit(kind=Kind.PUSH, name=name, platform=None, action=action, needs=images))


def add_load(draft: Draft, name: str) -> None:
    """Add the unit that puts an image into the daemon: its own platform, or the only one."""
    image = _daemon_image(draft, name)
    if image is None or not draft.settings.load:
        return
    references = _references(draft.settings.destinations, name)
    action = LoadImage(name=name, image=image, references=references)
    draft.add(Unit(kind=Kind.LOAD, name=name, platform=None, action=action, needs=(image,)))


def add_layout(draft: Draft, name: str) -> None:
    """Add the unit that writes an image's platforms into the layout, where one is asked for."""
    images = _platform_images(draft, name)
    settings = draft.settings
    if not images or not settings.layout:
        return
    action = WriteLayout(
        name=name,
        images=images,
        references=_references(draft.settings.destinations, name),
        folder=layout_folder(settings),
        compress=compresses(settings),
    )
    draft.add(Unit(kind=Kind.LAYOUT, name=name, platform=None, action=action, needs=images))


def add_archives(draft: Draft, name: str) -> None:
    """Add the units that save an image as files, one for each format that is asked for."""
    every = _platform_images(draft, name)
    for form in draft.settings.save if every else ():
        own = _daemon_image(draft, name)
        if form is ArchiveFormat.OCI:
            _add_archive(draft, name, form, every)
        elif own is not None:
            _add_archive(draft, name, form, (own,))
        else:
            draft.blocked[unit_id(Kind(form), name, None)] = (
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


def _add_archive(draft: Draft, name: str, form: ArchiveFormat, images: tuple[str, ...]) -> None:
    file = f"{name}.{form.removesuffix('-archive')}.tar"
    action = SaveImage(
        name=name,
        images=images,
        references=_references(draft.settings.destinations, name),
        format=form,
        output=draft.settings.out / "images" / file,
        compress=compresses(draft.settings),
    )
    draft.add(Unit(kind=Kind(form), name=name, platform=None, action=action, needs=images))


def _daemon_image(draft: Draft, name: str) -> str | None:
    """Return the image of the daemon's platform, or the only one there is."""
    images = _platform_images(draft, name)
    own = unit_id(Kind.IMAGE, name, draft.facts.daemon) if draft.facts.daemon else ""
    if own in images:
        return own
    return images[0] if draft.facts.daemon and len(images) == 1 else None


def _platform_images(draft: Draft, name: str) -> tuple[str, ...]:
    platforms = draft.settings.platforms
    identities = (unit_id(Kind.IMAGE, name, platform) for platform in platforms)
    return tuple(identity for identity in identities if identity in draft.units)


def _references(destinations: tuple[Destination, ...], name: str) -> tuple[str, ...]:
    return tuple(str(item) for destination in destinations for item in destination.references(name))


def _is_unit(need: str) -> bool:
    return not need.startswith("file:")


def _image(draft: Draft, name: str, platform: Platform, base_id: str, context: Texts) -> Unit:
    image = draft.config.images[name]
    values = draft.values(platform)
    needs = (base_id, *(need for _, need in context if _is_unit(need)))
    labels, volatile = split_stable(_labels(draft, name, image), values)
    if names := unlocked_names(needs, draft.units):
        labels = (*labels, (LABEL, names))
    template = image.dockerfile or f"images/{name}/Dockerfile.j2"
    variables = [(key, values[key]) for key in ("version", "project", "hub")]
    variables += [(f"vars.{k}", interpolate(v, values)) for k, v in image.variables.items()]
    action = BuildImage(
        name=name,
        image=image,
        template=draft.project.root / template,
        base=base_id,
        context=context,
        variables=tuple(variables),
        labels=labels,
        volatile_labels=volatile,
        engine=draft.settings.engine,
    )
    return Unit(kind=Kind.IMAGE, name=name, platform=platform, action=action, needs=needs)


def _context(draft: Draft, image: Image, platform: Platform) -> Texts:
    found = []
    for name in image.binaries:
        kind = Kind.BINARY if name in draft.config.binaries else Kind.FETCH
        found.append((name, unit_id(kind, name, platform)))
    root = draft.project.root
    found += [(name, f"file:{root / file}") for name, file in sorted(image.files.items())]
    return tuple(found)


def _labels(draft: Draft, name: str, image: Image) -> dict[str, str]:
    project = draft.config.project
    labels = {
        f"{_OCI}.title": name,
        f"{_OCI}.description": image.description,
        f"{_OCI}.version": "${version}",
        f"{_OCI}.source": project.url,
        f"{_OCI}.licenses": project.licenses,
        f"{_OCI}.revision": "${git.revision}",
        f"{_OCI}.created": "${created}",
    }
    return {key: text for key, text in labels.items() if text}


def _choose_base(draft: Draft, name: str, image: Image, platform: Platform) -> str | None:
    reasons: list[str] = []
    for base in image.base:
        kind = Kind.IMAGE if base in draft.config.images else Kind.BASE
        identity = unit_id(kind, base, platform)
        problem = _base_problem(draft, identity)
        if problem is None:
            if reasons:
                draft.notes.append(f"{name}@{platform} uses base {base}: {'; '.join(reasons)}")
            return identity
        reasons.append(f"{base}: {problem}")
    draft.blocked[unit_id(Kind.IMAGE, name, platform)] = f"no base ({'; '.join(reasons)})"
    return None


def _base_problem(draft: Draft, identity: str) -> str | None:
    unit = draft.units.get(identity)
    if unit is None:
        return "it does not exist for this platform"
    action = unit.action
    if not isinstance(action, AssembleBase):
        return None
    is_cached = identity in draft.facts.cached_bases
    match action.base.kind:
        case "debian" if {pin.name for pin in action.packages} != set(action.base.packages):
            return "its packages are not locked, run `invoke lock`"
        case "debian" if not action.archive and not is_cached:
            return "no Debian archive is known here, name one with --debian-archive"
        case "registry" if not action.digest and not is_cached:
            return "its digest is not locked, run `invoke lock`"
        case _:
            return None
