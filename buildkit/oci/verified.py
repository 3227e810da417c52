"""Blobs that are hashed while they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from io import BufferedIOBase

from buildkit.digest import Digest
from buildkit.errors import BuildkitError
from buildkit.oci.model import Descriptor
from buildkit.oci.tarstream import BLOCK, Block

Fail = Callable[[str], BuildkitError]
"""Makes the error for a blob that is not what its descriptor says, from the details."""


def verified_blocks(stream: BufferedIOBase, descriptor: Descriptor, fail: Fail) -> Iterator[Block]:
    """Yield a blob and close its stream; at the end, fail if it is something else.

    Raises:
        BuildkitError: the blob is shorter, longer or other than its descriptor says.
        OSError: it cannot be read.
    """
    state, size = hashlib.sha256(), 0
    with stream:
        while size <= descriptor.size and (block := stream.read(BLOCK)):
            state.update(block)
            size += len(block)
            yield block
    found = Digest(state.hexdigest())
    if size > descriptor.size:
        raise fail(f"It has more than {descriptor.size} bytes.")
    if size < descriptor.size:
        raise fail(f"It has {size} bytes instead of {descriptor.size}.")
    if found != descriptor.digest:
        raise fail(f"Its digest is {found}.")
