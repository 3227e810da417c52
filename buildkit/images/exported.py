"""An image out of the daemon's store, as ``docker save`` gives it; layers go to our store.

The format is Docker's image specification v1.2: ``manifest.json`` names the config
and the layers. Older daemons write a layer that occurs twice as a link; newer ones
name layers by digest.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.images.daemon import daemon_errors
from buildkit.images.sheet import Sheet, SheetLayer
from buildkit.oci.config import ImageConfig
from buildkit.oci.tarstream import BlockReader
from buildkit.store import Store

if TYPE_CHECKING:
    from docker import DockerClient

_SMALL = 4 << 20
"""What a config or manifest can have at most, in bytes; a layer of that size is no harm."""


class _Saved(Struct, frozen=True, rename="pascal"):
    config: str
    layers: tuple[str, ...]


def export_image(client: DockerClient, store: Store, image: str) -> Sheet:
    """Copy an image's layers into the store and return what it is made of.

    Raises:
        BuildError: the daemon fails, or gives something else.
    """
    brief = f"{image} cannot be taken from the daemon"
    with daemon_errors(brief):
        blocks = cast("Iterator[bytes]", client.api.get_image(image))
        stream = cast("BinaryIO", BlockReader(iter(blocks)))
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                texts, files = _read(archive, store)
        except tarfile.TarError as error:
            raise BuildError(brief, details=str(error)) from error
    try:
        saved = decode_json(texts["manifest.json"], tuple[_Saved, ...])[0]
        config = texts[saved.config]
        layers = tuple(
            SheetLayer(diff_id=str(digest), size=size)
            for digest, size in (files[name] for name in saved.layers)
        )
    except (KeyError, IndexError, msgspec.MsgspecError) as error:
        raise BuildError(brief, details=f"The archive lacks {error}.") from error
    if ImageConfig.decode(config).diff_ids != tuple(layer.digest for layer in layers):
        raise BuildError(brief, details="Its layers are not those that its config names.")
    return Sheet(config=config.decode(), layers=layers)


def _read(
    archive: tarfile.TarFile, store: Store
) -> tuple[dict[str, bytes], dict[str, tuple[Digest, int]]]:
    texts: dict[str, bytes] = {}
    files: dict[str, tuple[Digest, int]] = {}
    links: dict[str, str] = {}
    for member in archive:
        source = archive.extractfile(member) if member.isreg() else None
        if member.issym() or member.islnk():
            folder = posixpath.dirname(member.name) if member.issym() else ""
            links[member.name] = posixpath.normpath(posixpath.join(folder, member.linkname))
        elif source is not None and member.name.endswith(".json"):
            texts[member.name] = source.read(_SMALL)
        elif source is not None and member.name.rpartition("/")[2] not in {"VERSION", "json"}:
            files[member.name] = _keep(source, store), member.size
            if member.size <= _SMALL:
                texts[member.name] = store.blob(files[member.name][0]).read_bytes()
    files |= {name: files[target] for name, target in links.items() if target in files}
    return texts, files


def _keep(source: object, store: Store) -> Digest:
    with store.workspace() as folder:
        temporary = folder / "layer.tar"
        with temporary.open("wb") as target:
            for block in iter(lambda: cast("BinaryIO", source).read(1 << 20), b""):
                target.write(block)
        digest, _ = store.put_file(temporary)
    return digest
