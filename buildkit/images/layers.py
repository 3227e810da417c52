"""Layers by what is in them: digests that are remembered, bytes that are made when read."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from msgspec import Struct, field

from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.images.sheet import Placed, Remote, SheetLayer
from buildkit.oci.layer import GZIP_LEVEL, Entry, arrange, layer_blocks
from buildkit.oci.listing import list_tar
from buildkit.oci.model import OCI_LAYER, OCI_LAYER_GZIP, Descriptor, Layer
from buildkit.oci.tarstream import BLOCK, Block, BlockReader, Content, Made, Slice
from buildkit.reference import Locate, Reference, itself
from buildkit.store import Store, atomic_path, note_use, read_sealed, write_sealed

LAYER_FORMAT = 1
"""Part of every layer's key: raise it when the same entries give other bytes."""

FetchBlob = Callable[[Reference, Descriptor], Iterator[bytes]]
"""Reads a blob of a repository, verified."""


class _Known(Struct, frozen=True):
    digest: str
    size: int


class PackedLayer(Struct, frozen=True, kw_only=True):
    """A compressed layer that lies somewhere; the same content need not be compressed anew."""

    path: Path
    descriptor: Descriptor


class Layers(Struct, frozen=True, kw_only=True):
    """The layers of one user; safe for several threads.

    Attributes:
        store: remembers digests, and keeps compressed and fetched bytes.
        digest: the ``sha256:...`` of a file, remembered by its stat.
        fetch: reads layers of bases from their registry.
        locate: where the layers of an image are, which is a mirror for some.
        packed: compressed layers by DiffID, which are taken as they are.
    """

    store: Store
    digest: Callable[[Path], str | None]
    fetch: FetchBlob
    locate: Locate = itself
    packed: Mapping[Digest, PackedLayer] = field(default_factory=dict)
    _listed: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    _sound: dict[Digest, Path] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def describe(self, entries: Iterable[Entry]) -> SheetLayer:
        """Return the layer of some entries; they are read only where no such layer is known.

        Raises:
            BuildError: two entries name one path, or a file changes while it is read.
            OSError: a file cannot be read.
        """
        ordered = arrange(entries)
        key = Digest.of_json([LAYER_FORMAT, [self._key(entry) for entry in ordered]])
        known = self._recall("layers", key)
        if known is None:
            state, size = hashlib.sha256(), 0
            for block in layer_blocks(ordered):
                state.update(block)
                size += len(block)
            known = _Known(digest=str(Digest(state.hexdigest())), size=size)
            self._remember("layers", key, known)
        placed = tuple(Placed.of(entry) for entry in ordered)
        return SheetLayer(diff_id=known.digest, size=known.size, entries=placed)

    def entries(self, layer: SheetLayer) -> tuple[Entry, ...]:
        """Return what a layer holds.

        Raises:
            BuildError: its tar is damaged or gone.
            RegistryError: its registry does not give it.
        """
        if layer.entries:
            return tuple(item.entry for item in layer.entries)
        with self._lock:
            if layer.diff_id not in self._listed:
                found = list_tar(self._plain_file(layer), name=f"layer {layer.digest.short}")
                self._listed[layer.diff_id] = found
            return self._listed[layer.diff_id]

    def plain(self, layer: SheetLayer) -> tuple[Callable[[], BufferedIOBase], int]:
        """Return a layer's plain tar as what opens it, and its size in bytes."""
        if layer.entries:
            ordered = tuple(item.entry for item in layer.entries)
            return (lambda: BlockReader(layer_blocks(ordered))), layer.size
        path = self._plain_file(layer)
        return (lambda: path.open("rb")), path.stat().st_size

    def moved(self, layer: SheetLayer, *, compress: bool) -> Layer:
        """Return a layer as it goes to a registry or an archive.

        One that came from a registry stays as it was there, so that its blob can
        be mounted. Compressed bytes are kept, and made once.
        """
        if layer.remote is not None:
            remote = layer.remote
            return Layer(
                descriptor=remote.descriptor,
                diff_id=layer.digest,
                open=lambda: self._fetched(remote).open("rb"),
                origin=str(self._origin(remote)),
            )
        if compress and (packed := self.packed.get(layer.digest)):
            return Layer(
                descriptor=packed.descriptor,
                diff_id=layer.digest,
                open=lambda: packed.path.open("rb"),
            )
        if compress:
            known = self._gzipped(layer)
            digest = Digest.parse(known.digest)
            described = Descriptor(media_type=OCI_LAYER_GZIP, digest=digest, size=known.size)
            return Layer(
                descriptor=described,
                diff_id=layer.digest,
                open=lambda: self._packed(layer, digest).open("rb"),
            )
        opened, size = self.plain(layer)
        described = Descriptor(media_type=OCI_LAYER, digest=layer.digest, size=size)
        return Layer(descriptor=described, diff_id=layer.digest, open=opened)

    def damaged(self, descriptor: Descriptor, details: str) -> BuildError:
        """Return the error for a layer that turned out to be something else.

        Bytes that were kept are forgotten, so that the next run makes them anew.
        """
        self.store.get(descriptor.digest)
        return BuildError(
            f"the layer {descriptor.digest.short} is not what it was",
            details=details,
            resolution="Run it again: what changed or is damaged is made anew.",
        )

    def _key(self, entry: Entry) -> tuple[str, str, int, int, int, str, str]:
        content = self._content_key(entry.content)
        return (
            *(entry.path, entry.type.name, entry.mode, entry.uid, entry.gid, entry.link),
            content,
        )

    def _content_key(self, content: Content) -> str:
        match content:
            case bytes():
                return str(Digest.of_bytes(content))
            case Slice():
                # Of a blob, whose name is its digest.
                return f"{content.path.name}+{content.offset}+{content.size}"
            case Made():
                raise BuildError("a layer cannot hold what is made while it is read")
        found = self.digest(content)
        if found is None:
            raise BuildError(f"{content} is no longer there", resolution="Run the build again.")
        return found

    def _plain_file(self, layer: SheetLayer) -> Path:
        found = self._kept(layer.digest)
        if found is not None:
            return found
        if layer.remote is None:
            raise BuildError(
                f"the layer {layer.digest.short} is no longer in the cache",
                resolution="Run the build again: it is made anew.",
            )
        path = self.store.blob(layer.digest)
        with (
            self.store.lock(f"blob-{layer.digest.short}"),
            self._fetched(layer.remote).open("rb") as packed,
            atomic_path(path) as target,
        ):
            _unpack(packed, target, layer)
        return path

    def _fetched(self, remote: Remote) -> Path:
        descriptor = remote.descriptor
        path = self.store.blob(descriptor.digest)
        with self.store.lock(f"blob-{descriptor.digest.short}-moved"):
            if self._kept(descriptor.digest) is None:
                with atomic_path(path) as target, target.open("wb") as stream:
                    for block in self.fetch(self._origin(remote), descriptor):
                        stream.write(block)
        return path

    def _origin(self, remote: Remote) -> Reference:
        # Kept by its own name: mirrors may be others when the layer is needed.
        return self.locate(Reference.parse(remote.origin))

    def _kept(self, digest: Digest) -> Path | None:
        """Return a blob of the store that is what its name says; hashed once in a run."""
        if digest not in self._sound:
            path = self.store.get(digest)
            if path is None:
                return None
            self._sound[digest] = path
        return self._sound[digest]

    def _packed(self, layer: SheetLayer, digest: Digest) -> Path:
        """Return the compressed bytes of a layer, made again where they are damaged."""
        path = self._kept(digest)
        if path is None and self._gzipped(layer).digest == str(digest):
            path = self._kept(digest)
        if path is None:
            raise BuildError(
                f"the layer {layer.digest.short} is no longer in the cache as it was",
                resolution="Run the build again: it is made anew.",
            )
        return path

    def _gzipped(self, layer: SheetLayer) -> _Known:
        with self.store.lock(f"gzip-{layer.digest.short}"):
            known = self._recall("gzip", layer.digest)
            if known is not None and self.store.blob(Digest.parse(known.digest)).exists():
                return known
            with self.store.workspace() as folder:
                known = _compress(self.plain(layer)[0](), folder / "layer.tar.gz")
                digest = Digest.parse(known.digest)
                if self.store.get(digest) is None:
                    target = self.store.blob(digest)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    (folder / "layer.tar.gz").replace(target)
            self._remember("gzip", layer.digest, known)
            return known

    def _recall(self, kind: str, key: Digest) -> _Known | None:
        place = self.store.root / kind / f"{key.hex}.json"
        try:
            known = decode_json(read_sealed(place) or b"", _Known)
        except msgspec.MsgspecError:
            return None
        note_use(place)
        return known

    def _remember(self, kind: str, key: Digest, known: _Known) -> None:
        write_sealed(self.store.root / kind / f"{key.hex}.json", msgspec.json.encode(known))


def _compress(stream: BufferedIOBase, target: Path) -> _Known:
    state, size = hashlib.sha256(), 0

    class Out:
        def write(self, data: Block) -> int:
            nonlocal size
            state.update(data)
            size += len(data)
            return raw.write(data)

        def flush(self) -> None:
            raw.flush()

    with target.open("wb") as raw, stream:
        out = cast("BinaryIO", Out())
        # An empty name and a zero time leave the optional header fields out.
        with gzip.GzipFile("", "wb", GZIP_LEVEL, out, mtime=0) as packed:
            while block := stream.read(BLOCK):
                packed.write(block)
    return _Known(digest=f"sha256:{state.hexdigest()}", size=size)


def _unpack(packed: BinaryIO, target: Path, layer: SheetLayer) -> None:
    magic = packed.read(2)
    packed.seek(0)
    source = gzip.GzipFile(fileobj=packed) if magic == b"\x1f\x8b" else packed
    state = hashlib.sha256()
    try:
        with target.open("wb") as stream:
            while block := source.read(BLOCK):
                state.update(block)
                stream.write(block)
    except (EOFError, gzip.BadGzipFile) as error:
        raise BuildError(
            f"the layer {layer.digest.short} is damaged", details=str(error)
        ) from error
    if Digest(state.hexdigest()) != layer.digest:
        raise BuildError(
            f"the layer {layer.digest.short} is not what the image's config says",
            details="It may be compressed with zstd, which this engine does not read."
            if magic == b"\x28\xb5"
            else f"Its plain tar is {Digest(state.hexdigest())}.",
            resolution="Use --engine docker for this image, or another base.",
        )
