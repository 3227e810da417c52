"""Writing images into an OCI image layout, each under its full names.

Blobs first, the index last: a reader finds the old images or the new ones. A blob
that is there is hashed, and written again only if it is damaged. What no entry of
the index reaches is removed after each write.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct, field

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.images.indexing import index_images, index_of
from buildkit.images.layers import Layers
from buildkit.images.meter import Meter
from buildkit.oci.layout import (
    BLOBS,
    INDEX_FILE,
    MARKER,
    MARKER_FILE,
    TITLE,
    Blob,
    Layout,
    blob_name,
    image_name,
    layout_blobs,
    layout_index,
    named,
)
from buildkit.oci.model import Descriptor
from buildkit.oci.verified import verified_blocks
from buildkit.plan.units import Artifact, Progress, Step, WriteLayout
from buildkit.store import atomic_path, atomic_write

_BLOB = re.compile(r"([0-9a-f]{64})|\.([0-9a-f]{64})\..*\.tmp")
"""A blob's file name, or that of what is to become one."""


class Claims:
    """Blobs that the threads of a run count on before an index names them.

    ``lock`` is held while the index is written and what it does not reach is
    removed. Other runs are kept away by the lock on ``out/``.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: Counter[Digest] = Counter()
        self._turns: dict[Digest, threading.Lock] = {}

    @contextmanager
    def hold(self, digests: Iterable[Digest]) -> Iterator[None]:
        """Keep blobs from being removed."""
        mine = Counter(set(digests))
        with self.lock:
            self.held += mine
        try:
            yield
        finally:
            with self.lock:
                self.held -= mine

    @contextmanager
    def turn(self, digest: Digest) -> Iterator[None]:
        """Let one thread at a time write a blob."""
        with self.lock:
            turn = self._turns.setdefault(digest, threading.Lock())
        with turn:
            yield


class LayoutWriter(Struct, frozen=True, kw_only=True):
    """Builder of WriteLayout units; an artifact's digest is the image's index's.

    Attributes:
        layers: gives the bytes of layers.
        digest: the ``sha256:...`` of a file, remembered by its stat; None where
            there is none.
        claims: shared by all threads that write one layout.
    """

    layers: Layers
    digest: Callable[[Path], str | None]
    claims: Claims = field(default_factory=Claims)

    def build(
        self,
        steps: tuple[Step, ...],
        given: Mapping[str, Artifact],
        progress: Progress,
    ) -> tuple[Artifact, ...]:
        """Write each image.

        Raises:
            BuildError: a layer is not what it was when the image was made.
            VerificationError: a container of the image could not start.
            OSError: the layout cannot be written; its index is as it was.
        """
        return tuple(self._image(step, given, progress) for step in steps)

    def _image(self, step: Step, given: Mapping[str, Artifact], progress: Progress) -> Artifact:
        action = step.unit.action
        if not isinstance(action, WriteLayout):
            raise BuildError(f"{step.unit.id} writes no layout")
        images = index_images(action.images, given, self.layers, compress=action.compress)
        index = index_of(images)
        blobs = layout_blobs(index, images.values())
        size = sum(blob.descriptor.size for blob in blobs.values())
        meter = Meter(size, progress)
        with self.claims.hold(blobs):
            for blob in blobs.values():
                with self.claims.turn(blob.descriptor.digest):
                    self._write_blob(action.folder, blob, meter)
            with self.claims.lock:
                root, title = index.descriptor, action.name
                entries = tuple(named(root, name, title=title) for name in action.references)
                _replace(action.folder, action.name, entries, self.claims.held)
        return Artifact(
            unit=step.unit.id,
            digest=str(index.descriptor.digest),
            size=size,
            path=action.folder,
            reference=action.references,
        )

    def _write_blob(self, folder: Path, blob: Blob, meter: Meter) -> None:
        digest = blob.descriptor.digest
        path = folder / blob_name(digest)
        for stale in path.parent.glob(f".{digest.hex}.*.tmp"):
            stale.unlink()
        if self.digest(path) == str(digest):
            meter.passed(blob.descriptor.size)
            return
        fail = partial(self.layers.damaged, blob.descriptor)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            for block in meter.count(verified_blocks(blob.open(), blob.descriptor, fail)):
                stream.write(block)


def layout_problem(
    action: WriteLayout, artifact: Artifact, digest: Callable[[Path], str | None]
) -> str | None:
    """Say why a layout does not hold an image as it was written; None where it does."""
    try:
        layout = Layout.open(action.folder)
        for name in action.references:
            entry = layout.find(name)
            if entry is None:
                return f"{name} is not in the layout"
            if str(entry.digest) != artifact.digest:
                return f"{name} is something else in the layout"
            for blob in layout.reachable(entry):
                if digest(layout.blob(blob)) != str(blob):
                    return f"{blob_name(blob)} is missing or damaged"
    except BuildError as error:
        return error.brief
    return None


def drop_image(folder: Path, name: str) -> None:
    """Take an image out of a layout, if it is there.

    Raises:
        OSError: the layout cannot be written.
    """
    if any(_is_of(entry, name) for entry in _entries(folder)):
        _replace(folder, name, (), {})


def _replace(
    folder: Path, name: str, entries: tuple[Descriptor, ...], held: Mapping[Digest, int]
) -> None:
    """Let an image's entries be these, and remove what nothing reaches any more."""
    names = {image_name(entry) for entry in entries}
    others = (
        entry
        for entry in _entries(folder)
        if not (_is_of(entry, name) or image_name(entry) in names)
    )
    layout = Layout(folder=folder, entries=(*others, *entries))
    atomic_write(folder / MARKER_FILE, MARKER)
    atomic_write(folder / INDEX_FILE, layout_index(layout.entries))
    _sweep(layout, held)


def _entries(folder: Path) -> tuple[Descriptor, ...]:
    """Return what a layout names, nothing where there is none or it cannot be read."""
    try:
        return Layout.open(folder).entries
    except BuildError:
        return ()


def _is_of(entry: Descriptor, name: str) -> bool:
    """Tell whether this tool wrote an entry for an image, at whatever hub and tag."""
    return (TITLE, name) in entry.annotations


def _sweep(layout: Layout, held: Mapping[Digest, int]) -> None:
    """Remove the blobs that no entry reaches; none, where an entry cannot be followed."""
    try:
        used = frozenset[Digest]().union(*map(layout.reachable, layout.entries))
    except BuildError:
        return
    for path in (layout.folder / BLOBS).iterdir():
        match = _BLOB.fullmatch(path.name)
        if match is None:
            continue
        digest = Digest(match[1] or match[2])
        if digest not in held and not (match[1] and digest in used):
            path.unlink()
