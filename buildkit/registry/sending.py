"""Bringing images to registries: each blob to each registry once, and no tag before its content.

The order over all registries, repositories and tags is blobs, then manifests by
digest, then tags: a reader of a tag finds all of it, and what breaks in the middle
has moved no tag. Nothing is written to a temporary tag.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager

from msgspec import Struct, field

from buildkit.digest import Digest
from buildkit.errors import AuthError, CancelledError, RegistryError
from buildkit.oci.model import Descriptor
from buildkit.plan.units import Progress
from buildkit.reference import Reference, is_loopback
from buildkit.registry.blobs import OpenBlob
from buildkit.registry.client import RegistryClient

UPLOADS = 4
"""Blobs of one image that move at once."""

_MEGA = 1e6


class Parcel(Struct, frozen=True, kw_only=True):
    """A blob on its way to a repository; ``origin`` names a repository that has it, if known."""

    target: Reference
    descriptor: Descriptor
    open: OpenBlob
    origin: str = ""


class BlobPlaces:
    """Which repository got a blob in this run; what two images share is sent once, then mounted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, Digest], threading.Lock] = {}
        self._places: dict[tuple[str, Digest], str] = {}

    @contextmanager
    def turn(self, target: Reference, digest: Digest) -> Iterator[str]:
        """Yield the repository of the target's registry that has a blob, or nothing.

        One thread at a time has the turn of a blob; where the block succeeds, the
        target has it too.
        """
        key = (target.registry, digest)
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            yield self._places.get(key, "")
            self._places[key] = target.repository


class Sender(Struct, frozen=True, kw_only=True):
    """Writes to registries; one for all images of a run.

    Attributes:
        registry: the client.
        places: where blobs are already.
    """

    registry: RegistryClient
    places: BlobPlaces = field(default_factory=BlobPlaces)
    _gone: set[str] = field(default_factory=set)

    def lacks(self, target: Reference, digest: Digest) -> bool:
        """Tell whether a repository lacks a manifest; one that is there has all it names."""
        return self.registry.head_manifest(target.with_digest(digest)) is None

    def named(self, tag: Reference) -> Digest | None:
        """Return what a tag names now, None where it does not exist."""
        found = self.registry.head_manifest(tag)
        return found.digest if found else None

    def send(self, parcels: Iterable[Parcel], progress: Progress) -> None:
        """Make sure that blobs are where they go, the largest first.

        Raises:
            RegistryError: one could not be sent; those under way are given up.
        """
        # The largest first, so that none of them begins when the others are done.
        ordered = sorted(parcels, key=lambda parcel: -parcel.descriptor.size)
        sent = _Sent(sum(parcel.descriptor.size for parcel in ordered), progress)
        with ThreadPoolExecutor(max_workers=UPLOADS) as pool:
            futures = [pool.submit(self._send, parcel, sent) for parcel in ordered]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:
                sent.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _send(self, parcel: Parcel, sent: _Sent) -> None:
        with self.places.turn(parcel.target, parcel.descriptor.digest) as source:
            self.registry.blobs.push(
                parcel.target,
                parcel.descriptor,
                parcel.open,
                mount_from=source or _mountable(parcel.origin, parcel.target),
                sent=sent,
            )

    def refuse_to_clobber(self, wanted: Iterable[tuple[Reference, Digest]]) -> None:
        """Check that no tag exists as something else than is about to be written.

        Raises:
            RegistryError: some do; all are named.
        """
        refuse_moves((tag, digest, self.named(tag)) for tag, digest in wanted)

    @contextmanager
    def answering(self, registries: Iterable[str]) -> Iterator[None]:
        """Give one error, the same for every image, where a registry ends in the middle.

        Raises:
            RegistryError: one does not answer; or what the block raised.
        """
        names = tuple(dict.fromkeys(registries))
        for name in self._gone.intersection(names):
            if not self.registry.answers(name):
                raise _gone(name)
            self._gone.discard(name)
        try:
            yield
        except AuthError:
            raise
        except RegistryError as error:
            for name in names:
                if not self.registry.answers(name):
                    self._gone.add(name)
                    raise _gone(name) from error
            raise


def refuse_moves(wanted: Iterable[tuple[Reference, Digest, Digest | None]]) -> None:
    """Check tags, each with what it is to name and what it names now.

    Raises:
        RegistryError: some name something else; all are listed.
    """
    taken = [
        f"{tag} is {before}, it would become {digest}."
        for tag, digest, before in wanted
        if before not in {None, digest}
    ]
    if taken:
        several = f"{len(taken)} tags exist" if len(taken) > 1 else "a tag exists"
        raise RegistryError(
            f"{several} as something else",
            details="\n".join(taken),
            resolution="Choose another tag, or leave --no-clobber out to move it.",
        )


def _gone(registry: str) -> RegistryError:
    start = f"`invoke registry.start --hub {registry}` starts one here. "
    return RegistryError(
        f"{registry} does not answer",
        details="It ended, or the network did. No tag names anything that is not wholly there.",
        resolution=f"{start * is_loopback(registry)}Run the same command again when it is back: "
        "what has arrived there is not sent again.",
    )


class _Sent:
    """Turns bytes that were sent into progress; called by several threads."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total / _MEGA
        self._progress = progress
        self._sent = 0
        self._shown = -1
        self._stopped = False
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Let every upload that is under way end at its next block."""
        self._stopped = True

    def __call__(self, count: int) -> None:
        if self._stopped:
            raise CancelledError("an upload was given up")
        with self._lock:
            self._sent += count
            mega = int(self._sent / _MEGA)
            if mega == self._shown:
                return
            self._shown = mega
        self._progress(f"{mega} of {self._total:.0f} MB")


def _mountable(origin: str, target: Reference) -> str:
    """Return the repository to mount a blob from, if it is another one of the same registry."""
    if not origin:
        return ""
    found = Reference.parse(origin)
    same = found.registry == target.registry and found.repository != target.repository
    return found.repository if same else ""
