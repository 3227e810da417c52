"""The parts of a release joined: the same bytes as from one machine, or a refusal."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import msgspec

from buildkit.digest import Digest
from buildkit.errors import UsageError
from buildkit.oci.layout import (
    INDEX_FILE,
    MARKER,
    MARKER_FILE,
    Layout,
    blob_name,
    layout_index,
    named,
)
from buildkit.oci.model import Descriptor, Index
from buildkit.release.archive import Entry, write_archive
from buildkit.release.assemble import Piece, describe
from buildkit.release.documents import (
    LAYOUT_FOLDER,
    REPEATED,
    FileEntry,
    ImageEntry,
    ReleaseDocument,
    ToolEntry,
    inputs_digest,
)
from buildkit.release.layout import platform_manifests

LICENSES = "-licenses.tar.gz"
_SAME = (
    "schema_version",
    "project",
    "version",
    "snapshot",
    "previous_tag",
    "source",
    "epoch",
    "configuration",
    "decided",
)

Part = tuple[Path, ReleaseDocument]


def order_parts(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts of one release in their order.

    Raises:
        UsageError: one is no part, they are of different releases, or some are missing.
    """
    found: dict[str, Part] = {}
    for folder, document in parts:
        if not document.shard:
            raise UsageError(
                f"{folder} is a whole release", resolution="Name what `release --shard` wrote."
            )
        if document.shard in found:
            other = found[document.shard][0]
            raise UsageError(f"{other} and {folder} are both part {document.shard}")
        found[document.shard] = (folder, document)
    counts = {shard.partition("/")[2] for shard in found}
    wanted = [f"{number}/{count}" for count in counts for number in range(1, int(count) + 1)]
    if len(counts) != 1 or found.keys() != set(wanted):
        missing = sorted(set(wanted) - found.keys())
        raise UsageError(
            "these are not all parts of one release",
            details=f"There are {', '.join(sorted(found))}; missing: {', '.join(missing)}.",
            resolution="Name the directory of every part.",
        )
    ordered = tuple(found[shard] for shard in wanted)
    _check_same(ordered)
    return ordered


def merge_outline(parts: Sequence[Part], signer: str) -> ReleaseDocument:
    """Return the document of the whole, before its files are written.

    Args:
        parts: in their order.
        signer: who signs the whole; empty where nobody does.
    """
    documents = [document for _, document in parts]
    columns = zip_longest(*(document.platforms for document in documents))
    platforms = tuple(name for row in columns for name in row if name is not None)
    pins = {name: value for document in documents for name, value in document.pins.items()}
    units = {unit.id: unit for document in documents for unit in document.units}
    tools = _tools(documents)
    whole = msgspec.structs.replace(
        documents[0],
        shard="",
        signer=signer,
        platforms=platforms,
        pins=dict(sorted(pins.items())),
        tools=tools,
        units=tuple(units[name] for name in sorted(units)),
        images=(),
        files=(),
    )
    digests = {unit.id: unit.digest for unit in whole.units}
    return msgspec.structs.replace(whole, inputs=inputs_digest(whole, digests, tools))


def merge_files(
    folder: Path, parts: Sequence[Part], *, epoch: int, without: frozenset[str]
) -> tuple[FileEntry, ...]:
    """Copy the files of all parts; what each part has of all platforms is joined.

    Args:
        folder: where to.
        parts: in their order.
        epoch: the time of what is made anew.
        without: paths that are about the whole, and made anew by others.

    Raises:
        UsageError: parts have different files of one name.
        OSError: a file cannot be copied.
    """
    found: dict[str, list[tuple[Path, FileEntry]]] = {}
    for place, document in parts:
        for file in document.files:
            if file.path not in REPEATED | without:
                found.setdefault(file.path, []).append((place, file))
    return tuple(_merged(folder, found[path], epoch) for path in sorted(found))


def merge_images(folder: Path, parts: Sequence[Part]) -> tuple[ImageEntry, ...]:
    """Join the layouts of all parts; each image gets an index of all its platforms.

    Raises:
        BuildError: something of a layout is missing or damaged.
        OSError: it cannot be written.
    """
    entries: dict[str, list[tuple[Layout, ImageEntry]]] = {}
    for place, document in parts:
        layout = Layout.open(place / LAYOUT_FOLDER) if document.images else None
        for image in document.images:
            if layout is not None:
                entries.setdefault(image.reference, []).append((layout, image))
    if not entries:
        return ()
    target, described, index = folder / LAYOUT_FOLDER, [], []
    for reference in sorted(entries):
        descriptor, image = _merged_image(target, reference, entries[reference])
        index.append(descriptor)
        described.append(image)
    (target / INDEX_FILE).write_bytes(layout_index(tuple(index)))
    (target / MARKER_FILE).write_bytes(MARKER)
    return tuple(described)


def _check_same(parts: Sequence[Part]) -> None:
    first = parts[0][1]
    for folder, document in parts[1:]:
        for key in _SAME:
            if getattr(document, key) != getattr(first, key):
                raise UsageError(
                    f"{parts[0][0]} and {folder} are parts of different releases",
                    details=f"{key}: {getattr(first, key)} and {getattr(document, key)}",
                    resolution="Build all parts from one commit, with one configuration.",
                )


def _tools(documents: Sequence[ReleaseDocument]) -> tuple[ToolEntry, ...]:
    found: dict[str, ToolEntry] = {}
    for document in documents:
        for tool in document.tools:
            other = found.setdefault(tool.name, tool)
            if other.version != tool.version:
                raise UsageError(
                    f"the parts were made by {tool.name} {other.version} and {tool.version}",
                    details="They would not be what one machine makes.",
                    resolution="Use the same on all machines.",
                )
    return tuple(found.values())


def _merged(folder: Path, copies: list[tuple[Path, FileEntry]], epoch: int) -> FileEntry:
    place, file = copies[0]
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if all(other.sha256 == file.sha256 for _, other in copies):
        shutil.copyfile(place / file.path, target)
        return file
    if not file.path.endswith(LICENSES):
        raise UsageError(
            f"the parts have different files {file.path}",
            resolution="Build all parts from one commit, with one configuration.",
        )
    _join_archives([where / file.path for where, _ in copies], target, epoch)
    return describe(folder, Piece(path=file.path, type=file.type, write=lambda _: None))


def _join_archives(archives: Iterable[Path], target: Path, epoch: int) -> None:
    with tempfile.TemporaryDirectory(prefix=".join-", dir=target.parent) as scratch:
        entries: dict[str, Entry] = {}
        for path in archives:
            with tarfile.open(path) as archive:
                archive.extractall(scratch, filter="data")
                for info in archive.getmembers():
                    entries[info.name] = Entry(name=info.name, path=Path(scratch) / info.name)
        write_archive(target, entries.values(), epoch=epoch)


def _merged_image(
    target: Path, reference: str, found: list[tuple[Layout, ImageEntry]]
) -> tuple[Descriptor, ImageEntry]:
    manifests: list[Descriptor] = []
    for layout, image in found:
        entry = layout.find(image.reference)
        for manifest in platform_manifests(layout, entry) if entry else ():
            manifests.append(manifest)
            _copy_blobs(layout, layout.reachable(manifest), target)
    index = Index.of(tuple(manifests))
    (target / blob_name(index.descriptor.digest)).write_bytes(index.data)
    platforms: Mapping[str, str] = {
        str(item.platform): str(item.digest) for item in index.manifests
    }
    entry = named(index.descriptor, reference, title=found[0][1].unit)
    image = msgspec.structs.replace(
        found[0][1], digest=str(index.descriptor.digest), platforms=dict(platforms)
    )
    return entry, image


def _copy_blobs(layout: Layout, digests: Iterable[Digest], target: Path) -> None:
    for digest in digests:
        place = target / blob_name(digest)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(layout.blob(digest), place)
