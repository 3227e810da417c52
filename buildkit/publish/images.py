"""Registries as a destination: content first, tags last, version tags never moved."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from buildkit.attest.keeping import KeptProofs
from buildkit.publish.cargo import Progress
from buildkit.publish.destination import Item, State
from buildkit.registry.promotion import (
    Change,
    Promoted,
    Promotion,
    copy_content,
    move_tags,
    preview,
)
from buildkit.registry.sending import Sender

_STATES = {Change.NEW: State.NEW, Change.SAME: State.SAME, Change.MOVED: State.DIFFERENT}


class Images(Struct, frozen=True, kw_only=True):
    """A :class:`~buildkit.publish.destination.Destination` of images.

    Attributes:
        name: in ``[publish]``.
        versions: images and the tags that name this version for ever.
        channels: images and tags such as ``latest``, which move from release to release.
        sender: writes to the registries.
        proofs: attaches signatures and what else the release says about its images.
    """

    name: str
    versions: tuple[Promotion, ...]
    channels: tuple[Promotion, ...]
    sender: Sender
    proofs: KeptProofs

    def survey(self) -> tuple[Item, ...]:
        """Tell what each tag names."""
        versions = preview(self.versions, self.sender, no_clobber=False)
        channels = preview(self.channels, self.sender, no_clobber=False)
        return (
            *(_item(found, _STATES[found.change]) for found in versions),
            *(_item(found, _channel_state(found)) for found in channels),
        )

    def stage(self, progress: Progress) -> None:
        """Bring blobs and manifests, and attach what is said about them; no tag is written."""
        promotions = (*self.versions, *self.channels)
        copy_content(promotions, self.sender, progress)
        wanted = {
            (replace(item.tag, tag=""), document.descriptor.digest): document.descriptor
            for item in promotions
            for document in item.original.documents
        }
        for (repository, _), subject in wanted.items():
            if count := self.proofs.attach(repository, subject):
                progress(f"{count} attestations of {subject.digest.short}")

    def reveal(self, progress: Progress) -> tuple[Item, ...]:
        """Have the tags name them."""
        progress(f"{len(self.versions) + len(self.channels)} tags")
        moved = (
            *move_tags(self.versions, self.sender, no_clobber=True),
            *move_tags(self.channels, self.sender, no_clobber=False),
        )
        return tuple(_item(found, State.SAME) for found in moved)


def _channel_state(found: Promoted) -> State:
    return State.SAME if found.change is Change.SAME else State.NEW


def _item(found: Promoted, state: State) -> Item:
    there = found.after or found.before
    return Item(
        name=found.promotion.original.name,
        place=str(found.promotion.tag),
        state=state,
        digest=found.promotion.digest,
        found=str(there) if there else "",
    )
