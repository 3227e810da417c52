"""A tar as a stream that is made while it is read: nothing is written, no file is held in memory.

The bytes are those of the standard library's ``tarfile`` for the same headers
(USTAR, PAX where a value does not fit, the end padded to a record), so a layer
that is streamed to a registry has the digest of the one that is written to disk.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator
from io import BufferedIOBase
from pathlib import Path

from msgspec import Struct

from buildkit.errors import BuildError

BLOCK = 1 << 20

Block = bytes | memoryview


class Slice(Struct, frozen=True, kw_only=True):
    """Some bytes of a file, such as a member of a tar."""

    path: Path
    offset: int
    size: int


class Made(Struct, frozen=True, kw_only=True):
    """Bytes that are made while they are read, such as a tar in a tar."""

    open: Callable[[], BufferedIOBase]
    size: int


Content = bytes | Path | Slice | Made
"""What a file of a layer holds: bytes, a whole file, a part of one, or what makes them."""


def content_size(content: Content) -> int:
    """Return how many bytes a content has.

    Raises:
        OSError: its file is not there.
    """
    match content:
        case bytes():
            return len(content)
        case Slice() | Made():
            return content.size
    return content.stat().st_size


def content_head(content: Content, size: int) -> bytes:
    """Return up to ``size`` bytes from the start of a content, and read no more than those.

    Raises:
        OSError: its file cannot be read.
    """
    match content:
        case bytes():
            return content[:size]
        case Made():
            with content.open() as made:
                return made.read(size)
        case Slice():
            path, offset, size = content.path, content.offset, min(size, content.size)
        case Path():
            path, offset = content, 0
    with path.open("rb", buffering=0) as stream:
        stream.seek(offset)
        return stream.read(size) or b""


def content_blocks(content: Content, size: int) -> Iterator[Block]:
    """Yield a content in blocks; a block is overwritten when the next one is asked for.

    Raises:
        BuildError: it does not have ``size`` bytes, which its header has announced.
        OSError: its file cannot be read.
    """
    if isinstance(content, bytes):
        yield content
        return
    if isinstance(content, Made):
        yield from _made_blocks(content)
        return
    path, offset = (content.path, content.offset) if isinstance(content, Slice) else (content, 0)
    with path.open("rb", buffering=0) as stream:
        stream.seek(offset)
        buffer = memoryview(bytearray(min(BLOCK, max(size, 1))))
        left = size
        while left and (count := stream.readinto(buffer[: min(left, len(buffer))])):
            left -= count
            yield buffer[:count]
        if left or (isinstance(content, Path) and stream.read(1)):
            raise BuildError(
                f"{path} changed while it was read",
                details=f"It had {size} bytes before.",
                resolution="Run the build again.",
            )


def _made_blocks(content: Made) -> Iterator[Block]:
    count = 0
    with content.open() as made:
        while block := made.read(BLOCK):
            count += len(block)
            yield block
    if count != content.size:
        raise BuildError(
            f"{count} bytes came where {content.size} were announced",
            resolution="Run the build again.",
        )


def tar_blocks(members: Iterable[tuple[tarfile.TarInfo, Content]]) -> Iterator[Block]:
    """Yield the bytes of a tar; only a regular file's content counts.

    Raises:
        BuildError, OSError: see :func:`content_blocks`.
    """
    total = 0
    for header, content in members:
        packed = header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        total += len(packed)
        yield packed
        if header.isreg():
            yield from content_blocks(content, header.size)
            padding = -header.size % tarfile.BLOCKSIZE
            total += header.size + padding
            if padding:
                yield bytes(padding)
    end = 2 * tarfile.BLOCKSIZE
    yield bytes(end + -(total + end) % tarfile.RECORDSIZE)


class BlockReader(io.BufferedIOBase):
    """Blocks as a file that is read once from front to back."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def close(self) -> None:
        """Close what the blocks come from too, where it can be."""
        super().close()
        if isinstance(self._blocks, Generator):
            self._blocks.close()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` bytes, fewer only where a block ends; all of them for -1."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        while not self._rest and size:
            block = next(self._blocks, None)
            if block is None:
                return b""
            self._rest = memoryview(block)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)
