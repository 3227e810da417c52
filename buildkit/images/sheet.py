"""What an image is made of, as one small file: its config, and where each layer's bytes are.

A layer is not kept as a tar: it is described, by files of ``out/`` or by parts of
blobs in the user's cache, and becomes a tar while something reads it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.oci.config import ImageConfig
from buildkit.oci.layer import Entry, EntryType
from buildkit.oci.model import Descriptor
from buildkit.oci.tarstream import Slice, content_size
from buildkit.plan.units import Artifact
from buildkit.store import Store, read_sealed, write_sealed

_WHOLE = -1
_BLOB = re.compile(r"/blobs/sha256/[0-9a-f]{2}/([0-9a-f]{64})$")
"""Where :meth:`Store.blob` puts things."""


class Placed(Struct, frozen=True, array_like=True):
    """One path of a layer; ``source`` is the file that holds it, ``offset`` -1 all of that file."""

    path: str
    type: str
    mode: int
    uid: int
    gid: int
    link: str
    source: str
    offset: int
    size: int

    @classmethod
    def of(cls, entry: Entry) -> Placed:
        """Describe an entry.

        Raises:
            BuildError: its content is neither a file, nor a part of one, nor empty.
        """
        source, offset = "", _WHOLE
        if isinstance(entry.content, Slice):
            source, offset = str(entry.content.path), entry.content.offset
        elif isinstance(entry.content, Path):
            source = str(entry.content)
        elif entry.content:
            raise BuildError(f"/{entry.path} is in no file, which a layer cannot be kept without")
        return cls(
            path=entry.path,
            type=entry.type.name,
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            link=entry.link,
            source=source,
            offset=offset,
            size=content_size(entry.content),
        )

    @property
    def entry(self) -> Entry:
        """The entry again."""
        content: bytes | Path | Slice = b""
        if self.source:
            path = Path(self.source)
            whole = self.offset == _WHOLE
            content = path if whole else Slice(path=path, offset=self.offset, size=self.size)
        return Entry(
            path=self.path,
            type=EntryType[self.type],
            mode=self.mode,
            uid=self.uid,
            gid=self.gid,
            link=self.link,
            content=content,
        )


class Remote(Struct, frozen=True, kw_only=True):
    """A layer as a registry keeps it; ``origin`` is a reference of its repository."""

    origin: str
    media_type: str
    digest: str
    size: int

    @property
    def descriptor(self) -> Descriptor:
        """What it is called there."""
        digest = Digest.parse(self.digest)
        return Descriptor(media_type=self.media_type, digest=digest, size=self.size)


class SheetLayer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A layer: its entries, or what a registry has, or else a plain tar in the store.

    ``size`` is the plain tar's in bytes, 0 where it is not known.
    """

    diff_id: str
    size: int = 0
    entries: tuple[Placed, ...] = ()
    remote: Remote | None = None

    @property
    def digest(self) -> Digest:
        """The DiffID."""
        return Digest.parse(self.diff_id)


class Sheet(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image of one platform.

    ``config`` is the config's JSON; ``problem`` says why a container of the image
    could not start, and is empty for most.
    """

    config: str
    layers: tuple[SheetLayer, ...] = ()
    problem: str = ""

    @property
    def image_config(self) -> ImageConfig:
        """The config, decoded."""
        return ImageConfig.decode(self.config.encode())

    @property
    def id(self) -> Digest:
        """The digest of the config, which is Docker's image id."""
        return Digest.of_bytes(self.config.encode())

    @property
    def size(self) -> int:
        """The bytes of its layers, as far as they are known."""
        return sum(
            layer.size or (layer.remote.size if layer.remote else 0) for layer in self.layers
        )


def write_sheet(path: Path, sheet: Sheet) -> None:
    """Write a sheet; what is not in the cache is named from where the sheet is."""
    folder = path.parent
    written = _with_sources(sheet, lambda source: _from_folder(source, folder))
    write_sealed(path, msgspec.json.encode(written))


def read_sheet(path: Path) -> Sheet:
    """Read a sheet, wherever it and what it names were moved together.

    Raises:
        BuildError: it is not there or damaged.
    """
    try:
        sheet = decode_json(read_sealed(path) or b"", Sheet)
        return _with_sources(sheet, lambda source: os.path.normpath(path.parent / source))
    except (OSError, msgspec.MsgspecError) as error:
        raise BuildError(
            f"{path.name} cannot be read",
            details=str(error),
            resolution="Run the build again: the image is made anew.",
        ) from error


def sheet_problem(
    image: Artifact, store: Store, digest: Callable[[Path], str | None]
) -> str | None:
    """Say why an image cannot be taken as its sheet describes it; None where it can.

    Args:
        image: an image or a base with a sheet.
        store: what it refers to.
        digest: the ``sha256:...`` of a file, None where there is none.
    """
    if image.path is None or not image.path.is_file():
        return "its description is missing"
    try:
        sheet = read_sheet(image.path)
    except BuildError:
        return "its description is damaged"
    if str(sheet.id) != image.digest:
        return "its description is of another image"
    sources = _sources(sheet)
    for path, blob in sorted(_blobs(sheet, sources, store).items()):
        if digest(path) != str(blob):
            return f"{blob.short} is no longer in the cache as it was"
    # What they hold is among the inputs, by where they are now.
    gone = sorted(name for name in sources if not os.path.lexists(name))
    return f"{Path(gone[0]).name} is no longer where it was" if gone else None


def _blobs(sheet: Sheet, sources: Iterable[str], store: Store) -> dict[Path, Digest]:
    """Return the blobs without which the image could not be read again, by where they lie."""
    plain = (layer.digest for layer in sheet.layers if not layer.entries and layer.remote is None)
    found = {store.blob(digest): digest for digest in plain}
    for name in sources:
        # Of this cache or of one that was elsewhere when the image was made.
        if match := _BLOB.search(name):
            found[Path(name)] = Digest(match[1])
    return found


def _sources(sheet: Sheet) -> set[str]:
    """Return the files that layers are made of."""
    return {item.source for layer in sheet.layers for item in layer.entries if item.source}


def _with_sources(sheet: Sheet, change: Callable[[str], str]) -> Sheet:
    """Return a sheet whose layers' files have other names."""
    names = {name: change(name) for name in _sources(sheet)}
    if all(name == other for name, other in names.items()):
        return sheet
    layers = (
        replace(
            layer,
            entries=tuple(
                replace(item, source=names[item.source]) if item.source else item
                for item in layer.entries
            ),
        )
        for layer in sheet.layers
    )
    return replace(sheet, layers=tuple(layers))


def _from_folder(source: str, folder: Path) -> str:
    # What has nothing above it in common with the sheet is not moved with it.
    alone = os.path.commonpath((source, folder)) == "/"
    return source if alone or _BLOB.search(source) else os.path.relpath(source, folder)
