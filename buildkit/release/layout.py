"""The images of a release: an image layout with them alone, and nothing else in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.oci.layout import (
    INDEX_FILE,
    MARKER,
    MARKER_FILE,
    Layout,
    blob_name,
    image_name,
    layout_index,
    named,
)
from buildkit.oci.model import INDEXES, MANIFESTS, Descriptor
from buildkit.release.documents import ImageEntry


def copy_images(source: Layout, names: Mapping[str, str], target: Path) -> tuple[ImageEntry, ...]:
    """Copy images by their names into a layout of their own, and describe them.

    Args:
        source: has them, and maybe others.
        names: what they are called there, and the name of the units that made them.
        target: the new layout.

    Raises:
        BuildError: one is not there, or damaged.
        OSError: they cannot be written.
    """
    entries = []
    for name in names:
        entry = source.find(name)
        if entry is None:
            raise BuildError(
                f"{source.folder} has no image {name}",
                resolution="Run it again; with --force, should that not help.",
            )
        entries.append(named(entry, name, title=names[name]))
    for digest in sorted({digest for entry in entries for digest in source.reachable(entry)}):
        place = target / blob_name(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.blob(digest), place)
    (target / INDEX_FILE).write_bytes(layout_index(tuple(entries)))
    (target / MARKER_FILE).write_bytes(MARKER)
    return tuple(
        _described(source, entry, names[image_name(entry)])
        for entry in sorted(entries, key=image_name)
    )


def layout_differences(
    folder: Path, images: Iterable[ImageEntry], digest: Callable[[Path], str]
) -> tuple[str, ...]:
    """Tell how a layout is not what a release says of it, one line for each file.

    Args:
        folder: the layout.
        images: those of the release.
        digest: gives a file's ``sha256:...``, empty where it is missing.
    """
    name = folder.name
    found = []
    if digest(folder / MARKER_FILE) != str(Digest.of_bytes(MARKER)):
        found.append(f"{name}/{MARKER_FILE} was changed, or is missing")
    try:
        layout = Layout.open(folder)
    except BuildError as error:
        return (*found, f"{name}/{INDEX_FILE}: {error.brief}")
    try:
        reachable = {digest for entry in layout.entries for digest in layout.reachable(entry)}
    except BuildError as error:
        return (*found, f"{name}/{INDEX_FILE}, or what it names: {error.brief}")
    titles = {(image.reference, image.digest): image.unit for image in images}
    present = {(image_name(entry), str(entry.digest)): entry for entry in layout.entries}
    found += [f"{name} has {ref} as {what}" for ref, what in sorted(present.keys() - titles)]
    found += [f"{name} lacks {ref}, {what}" for ref, what in sorted(titles.keys() - present)]
    entries = (named(entry, key[0], title=titles.get(key, "")) for key, entry in present.items())
    is_plain = all(entry.media_type in INDEXES | MANIFESTS for entry in layout.entries)
    if not is_plain or (folder / INDEX_FILE).read_bytes() != layout_index(tuple(entries)):
        found.append(f"{name}/{INDEX_FILE} was changed")
    places = {blob_name(item): item for item in reachable}
    for place, item in sorted(places.items()):
        if digest(folder / place) != str(item):
            found.append(f"{name}/{place} was changed, or is missing")
    known = {*places, INDEX_FILE, MARKER_FILE}
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return (*found, *(f"{name}/{file} is no part of it" for file in sorted({*files} - known)))


def _described(layout: Layout, entry: Descriptor, unit: str) -> ImageEntry:
    reference = image_name(entry)
    return ImageEntry(
        name=reference.rpartition("/")[2].rpartition(":")[0],
        unit=unit,
        reference=reference,
        digest=str(entry.digest),
        platforms={
            str(item.platform): str(item.digest) for item in platform_manifests(layout, entry)
        },
    )


def platform_manifests(layout: Layout, entry: Descriptor) -> tuple[Descriptor, ...]:
    """Return the manifest of each platform of an image.

    Raises:
        BuildError: something is missing or damaged.
    """
    if entry.media_type not in INDEXES:
        return (entry,)
    value = msgspec.json.decode(layout.read(entry))
    return tuple(
        found
        for item in value["manifests"]
        if (found := Descriptor.from_json(item)).platform is not None
    )


def layers_size(layout: Layout, manifest: Descriptor) -> int:
    """Return the bytes of a platform's layers as they are pulled."""
    value = msgspec.json.decode(layout.read(manifest))
    return sum(int(layer["size"]) for layer in value["layers"])
