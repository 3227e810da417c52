"""What an image holds, found out from its layers: programs, and packages of a distribution.

Every layer is read once from front to back; nothing of it is kept but its programs'
digests and build information, and the databases of package managers. That is small and
depends on the layer alone, so it can be remembered under its DiffID.
"""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import msgspec
from msgspec import Struct

from buildkit.attest.buildinfo import BuildInfo, find_build_info, read_build_info
from buildkit.attest.component import Component
from buildkit.attest.distribution import (
    Distribution,
    apk_components,
    dpkg_components,
    owned_paths,
)
from buildkit.attest.programs import unknown_program
from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.oci.model import Layer

_MAGICS = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")
_STATUS, _STATUS_FOLDER = "var/lib/dpkg/status", "var/lib/dpkg/status.d/"
_LISTS = "var/lib/dpkg/info/"
_APK = "lib/apk/db/installed"
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_RPM = ("var/lib/rpm/", "usr/lib/sysimage/rpm/")
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_TEXT_LIMIT = 64 << 20
_BLOCK = 1 << 20
CONTENTS_VERSION = 1
"""Raise it when the same layer gives other contents."""
_SMALL = 4 << 20
"""Bytes of a program that is looked at in memory; a base has hundreds of small libraries."""


class Program(Struct, frozen=True, kw_only=True):
    """An executable file, and its build information where Go linked it."""

    digest: Digest
    info: BuildInfo | None


class LayerContents(Struct, frozen=True, kw_only=True):
    """What of a layer an SBOM needs.

    ``hidden`` are the paths of lower layers that it removes or replaces, ``emptied``
    directories of which nothing of a lower layer is left.
    """

    programs: Mapping[str, Program]
    texts: Mapping[str, str]
    hidden: frozenset[str]
    emptied: frozenset[str] = frozenset()


class ImageContents(Struct, frozen=True, kw_only=True):
    """What of an image an SBOM needs: paths are relative to its root."""

    programs: Mapping[str, Program]
    texts: Mapping[str, str]

    @property
    def distribution(self) -> Distribution:
        """Which distribution its base is."""
        found = (self.texts[path] for path in _OS_RELEASE if path in self.texts)
        return Distribution.read(next(found, ""))

    @property
    def gap(self) -> str:
        """What is in it that cannot be read here, as a sentence; empty where there is nothing."""
        is_rpm = any(path.startswith(_RPM) for path in self.texts)
        return "Its RPM packages are not listed: their database is not read." if is_rpm else ""

    def packages(self) -> Iterator[Component]:
        """Yield the packages of its distribution."""
        for path, text in sorted(self.texts.items()):
            is_control = path.startswith(_STATUS_FOLDER) and not path.endswith(".md5sums")
            if path == _STATUS or is_control:
                yield from dpkg_components(text, self.distribution)
            elif path == _APK:
                yield from apk_components(text, self.distribution)

    def components(
        self, describe: Callable[[str, Program], Component | None]
    ) -> tuple[Component, ...]:
        """Return the packages and those programs that no package brought.

        Args:
            describe: takes a path and what lies there; where it knows nothing of it, the
                program is described as unknown.
        """
        owned = owned_paths(
            text for path, text in self.texts.items() if path.endswith((".md5sums", ".list"))
        )
        found = list(self.packages())
        for path, program in sorted(self.programs.items()):
            known = describe(path, program)
            if known is not None:
                found.append(known)
            elif path not in owned:
                name = posixpath.basename(path)
                found.append(unknown_program(name=name, digest=program.digest, file=path))
        return tuple(found)


def image_contents(layers: Iterable[LayerContents]) -> ImageContents:
    """Lay the layers of an image over each other, the lowest first."""
    programs: dict[str, Program] = {}
    texts: dict[str, str] = {}
    for layer in layers:
        programs = {k: v for k, v in programs.items() if not _is_hidden(k, layer)}
        texts = {k: v for k, v in texts.items() if not _is_hidden(k, layer)}
        programs.update(layer.programs)
        texts.update(layer.texts)
    return ImageContents(programs=programs, texts=texts)


def encode_contents(contents: LayerContents) -> bytes:
    """Return what was found in a layer as bytes, for :func:`decode_contents`."""
    return msgspec.json.encode(contents)


def decode_contents(data: bytes) -> LayerContents | None:
    """Return what was found in a layer; None where the bytes are of another version, or none."""
    try:
        return decode_json(data, LayerContents)
    except msgspec.MsgspecError:
        return None


def layer_contents(layer: Layer) -> LayerContents:
    """Look through a layer.

    Raises:
        VerificationError: it is damaged, or compressed in a way that Python cannot read.
    """
    programs: dict[str, Program] = {}
    texts: dict[str, str] = {}
    hidden: set[str] = set()
    emptied: set[str] = set()
    try:
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                path = posixpath.normpath("/" + member.name).lstrip("/")
                folder, name = posixpath.split(path)
                if name == _OPAQUE:
                    emptied.add(folder)
                elif name.startswith(_WHITEOUT):
                    hidden.add(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
                elif not member.isdir():
                    hidden.add(path)
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is not None:
                        _look(path, member.size, content, programs, texts)
    except (tarfile.TarError, EOFError) as error:
        raise VerificationError(
            f"the layer {layer.descriptor.digest} cannot be read",
            details=str(error),
            resolution="Layers are read that are plain, or compressed with gzip, bzip2 or xz.",
        ) from error
    return LayerContents(
        programs=programs, texts=texts, hidden=frozenset(hidden), emptied=frozenset(emptied)
    )


def _look(
    path: str,
    size: int,
    content: IO[bytes],
    programs: dict[str, Program],
    texts: dict[str, str],
) -> None:
    if path.startswith(_RPM):
        texts[path] = ""
    elif _is_text(path) and size <= _TEXT_LIMIT:
        texts[path] = content.read().decode("utf-8", "replace")
    else:
        head = content.read(4)
        if head.startswith(_MAGICS):
            programs[path] = _program(content, head, size)


def _program(content: IO[bytes], head: bytes, size: int) -> Program:
    if size <= _SMALL:
        data = head + content.read()
        return Program(digest=Digest.of_bytes(data), info=find_build_info(data))
    hashed = hashlib.sha256()
    with NamedTemporaryFile(prefix="meshwright-program-") as file:
        block = head
        while block:
            hashed.update(block)
            file.write(block)
            block = content.read(_BLOCK)
        file.flush()
        return Program(digest=Digest(hashed.hexdigest()), info=read_build_info(Path(file.name)))


def _is_text(path: str) -> bool:
    is_list = path.startswith(_LISTS) and path.endswith((".list", ".md5sums"))
    return path in {_STATUS, _APK, *_OS_RELEASE} or path.startswith(_STATUS_FOLDER) or is_list


def _is_hidden(path: str, layer: LayerContents) -> bool:
    parents = [path]
    while path:
        path = posixpath.dirname(path)
        parents.append(path)
    return not layer.hidden.isdisjoint(parents) or not layer.emptied.isdisjoint(parents[1:])
