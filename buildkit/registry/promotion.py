"""Images copied by digest from where they are to registries: no daemon, nothing built anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import RegistryError, UsageError, VerificationError
from buildkit.plan.units import Progress
from buildkit.reference import Reference, is_loopback
from buildkit.registry.attached import Attached, enter, is_there
from buildkit.registry.originals import Document, Original
from buildkit.registry.sending import Parcel, Sender, refuse_moves

_Documents = Mapping[tuple[Reference, Digest], tuple[Document, Original]]
"""Where each goes, and the image that it is of."""


class Change(StrEnum):
    """What becomes of a tag."""

    NEW = "new"
    MOVED = "moved"
    SAME = "same"


class Promotion(Struct, frozen=True, kw_only=True):
    """One image and a tag that is to name it; ``attached`` is copied with it."""

    original: Original
    tag: Reference
    attached: tuple[Attached, ...] = ()

    @property
    def digest(self) -> Digest:
        """The image's, which the tag is to have."""
        return self.original.root.descriptor.digest


class Promoted(Struct, frozen=True, kw_only=True):
    """A promotion and what it meant: ``before`` is what the tag named until then."""

    promotion: Promotion
    change: Change
    before: Digest | None
    after: Digest | None
    """What the registry says that the tag names now; None where nothing was written."""


def check_promotions(promotions: Iterable[Promotion], *, as_is: bool) -> None:
    """Refuse what cannot be meant, before anything is asked of a destination.

    Raises:
        UsageError: one tag would name two images, or layers that nobody
            compressed would leave this machine.
    """
    meant: dict[Reference, Promotion] = {}
    for promotion in promotions:
        other = meant.setdefault(promotion.tag, promotion)
        if other.digest != promotion.digest:
            raise UsageError(
                f"{promotion.tag} would name two images",
                details=f"They are {other.original.name} and {promotion.original.name}.",
                resolution="Name one source tag, or one image.",
            )
    plain = [
        str(item.tag)
        for item in meant.values()
        if item.original.has_plain_layers and not is_loopback(item.tag.registry)
    ]
    if plain and not as_is:
        raise UsageError(
            "there are layers that are not compressed",
            details="Builds for a loopback hub leave that out; pulls of them are slow elsewhere:\n"
            + "\n".join(plain),
            resolution="Build once more with --stamp, which compresses, or say --as-is.",
        )


def preview(
    promotions: Iterable[Promotion], sender: Sender, *, no_clobber: bool
) -> tuple[Promoted, ...]:
    """Tell what each promotion would change; nothing is written.

    Raises:
        RegistryError: a destination cannot be asked, or a tag may not be moved.
    """
    found = []
    for promotion in promotions:
        with sender.answering([promotion.tag.registry]):
            before = sender.named(promotion.tag)
        change = Change.MOVED if before else Change.NEW
        if before == promotion.digest:
            change = Change.SAME
        found.append(Promoted(promotion=promotion, change=change, before=before, after=None))
    if no_clobber:
        refuse_moves((item.promotion.tag, item.promotion.digest, item.before) for item in found)
    return tuple(found)


def promote(
    promotions: tuple[Promotion, ...], sender: Sender, progress: Progress, *, no_clobber: bool
) -> tuple[Promoted, ...]:
    """Copy images and what is attached; no tag moves before all of all of them is there.

    What a destination has already is not sent again, so a run after one that
    broke goes on.

    Raises:
        RegistryError: a registry failed or refused, or a tag may not be moved.
        VerificationError: a tag is not what was copied.
    """
    preview(promotions, sender, no_clobber=no_clobber)
    copy_content(promotions, sender, progress)
    copy_attached(promotions, sender, progress)
    return move_tags(promotions, sender, no_clobber=no_clobber)


def move_tags(
    promotions: tuple[Promotion, ...], sender: Sender, *, no_clobber: bool
) -> tuple[Promoted, ...]:
    """Have tags name what :func:`copy_content` has brought, and read each back.

    Raises:
        RegistryError: a registry failed or refused, or a tag may not be moved.
        VerificationError: a tag is not what was copied.
    """
    with sender.answering(_registries(promotions)):
        # Somebody else may have pushed meanwhile; registries have no compare-and-set.
        planned = preview(promotions, sender, no_clobber=no_clobber)
        for item in planned:
            if item.change is not Change.SAME:
                _write(sender, item.promotion.tag, item.promotion.original.root)
        return tuple(_verified(item, sender) for item in planned)


def copy_content(promotions: Iterable[Promotion], sender: Sender, progress: Progress) -> None:
    """Bring every blob and manifest to where its tag will be; no tag is written.

    Raises:
        RegistryError: a registry failed or refused.
    """
    promotions = tuple(promotions)
    with sender.answering(_registries(promotions)):
        _copy(((_repository(item), item.original) for item in promotions), sender, progress)


def copy_attached(promotions: Iterable[Promotion], sender: Sender, progress: Progress) -> None:
    """Attach to images at their destination what is attached to them where they were.

    What others attached there stays.

    Raises:
        RegistryError: a registry failed or refused.
    """
    promotions = tuple(promotions)
    wanted = {
        (_repository(item), attached.root.descriptor.digest, attached.tag): attached
        for item in promotions
        for attached in item.attached
    }
    client = sender.registry
    with sender.answering(_registries(promotions)):
        new = [
            (target, attached)
            for (target, _, _), attached in wanted.items()
            if not is_there(client, target, attached)
        ]
        missing = _missing(((target, item.original) for target, item in new), sender)
        _send(missing, sender, progress)
        # The attachment itself is entered below, so that a registry without the API lists it.
        _write_missing({k: v for k, v in missing.items() if v[0] is not v[1].root}, sender)
        for number, (target, attached) in enumerate(new, start=1):
            progress(f"{number} of {len(new)} attachments")
            enter(client, target, attached)


def _repository(promotion: Promotion) -> Reference:
    return replace(promotion.tag, tag="")


def _registries(promotions: Iterable[Promotion]) -> Iterator[str]:
    for item in promotions:
        yield item.tag.registry
        if item.original.origin:
            yield Reference.parse(item.original.origin).registry


def _copy(images: Iterable[tuple[Reference, Original]], sender: Sender, progress: Progress) -> None:
    missing = _missing(images, sender)
    _send(missing, sender, progress)
    _write_missing(missing, sender)


def _missing(images: Iterable[tuple[Reference, Original]], sender: Sender) -> _Documents:
    wanted = {
        (target, document.descriptor.digest): (document, original)
        for target, original in images
        for document in original.documents
    }
    return {key: value for key, value in wanted.items() if sender.lacks(*key)}


def _send(missing: _Documents, sender: Sender, progress: Progress) -> None:
    parcels = {
        (target, blob.digest): Parcel(
            target=target,
            descriptor=blob,
            open=partial(original.open, blob),
            origin=original.origin,
        )
        for (target, _), (document, original) in missing.items()
        for blob in document.blobs
    }
    sender.send(parcels.values(), progress)


def _write_missing(missing: _Documents, sender: Sender) -> None:
    for (target, _), (document, _) in missing.items():
        _write(sender, target, document)


def _write(sender: Sender, target: Reference, document: Document) -> None:
    sender.registry.put_manifest(target, document.data, document.descriptor.media_type)


def _verified(item: Promoted, sender: Sender) -> Promoted:
    promotion = item.promotion
    found = sender.registry.get_manifest(promotion.tag)
    if found.data != promotion.original.root.data:
        raise VerificationError(
            f"{promotion.tag} is not what was copied",
            details=f"It is {found.descriptor.digest}, {promotion.original.name} is "
            f"{promotion.digest}.",
            resolution="Somebody else may push the same tag; run it again.",
        )
    return replace(item, after=found.descriptor.digest)


def missing_originals(names: Iterable[str]) -> RegistryError:
    """Return one error for all images that are not where they should be."""
    found = tuple(names)
    several = f"{len(found)} images are" if len(found) > 1 else "the image is"
    return RegistryError(
        f"{several} not there to be promoted",
        details="\n".join(found),
        resolution="Build and push first, or name others with --only or another --tag.",
    )
