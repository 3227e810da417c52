"""What is attached to images, to be copied with them: signatures, SBOMs, provenance.

Attachments are found where the image is, by the list of referrers or its stand-in tag, and
by cosign's own tags; what is attached to an attachment comes along.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import RegistryError
from buildkit.oci.model import Descriptor
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.originals import Document, Original, in_registry
from buildkit.registry.signature_tags import (
    ATTESTATION,
    SBOM,
    SIGNATURE,
    kept_layers,
    signature_tag,
    write_layers,
)


class Attached(Struct, frozen=True, kw_only=True):
    """Something that is said about a manifest.

    Attributes:
        original: the attachment itself.
        subject: what it is about.
        entry: how the list of referrers names it; None where a tag holds it.
        tag: cosign's, where that holds it.
    """

    original: Original
    subject: Digest
    entry: Descriptor | None = None
    tag: str = ""

    @property
    def root(self) -> Document:
        """The attachment's manifest."""
        return self.original.root


def find_attached(client: RegistryClient, original: Original) -> tuple[Attached, ...]:
    """Return what is attached to an image, to its platforms, and to all of that.

    Each comes after what it is about. A layout has none.

    Raises:
        RegistryError: the registry fails or refuses, or lists what is not there.
    """
    if not original.origin:
        return ()
    place = Reference.parse(original.origin)
    listed = tuple(_listed(client, place, original))
    digests = [document.descriptor.digest for document in original.documents]
    digests += [item.root.descriptor.digest for item in listed]
    return (*listed, *_tagged(client, place, digests))


def is_there(client: RegistryClient, repository: Reference, item: Attached) -> bool:
    """Tell whether a repository has an attachment, and lists it.

    Raises:
        RegistryError: the registry fails or refuses.
    """
    if item.entry is None:
        wanted = _layers(item.root)
        kept = kept_layers(client, repository.with_tag(item.tag))
        return bool(kept) and all(layer in kept for layer in wanted)
    found = client.referrers.find(repository, item.subject)
    return any(entry.digest == item.entry.digest for entry in found)


def enter(client: RegistryClient, repository: Reference, item: Attached) -> None:
    """List an attachment at a repository that has its blobs; what others attached stays.

    Raises:
        RegistryError: the registry fails or refuses.
    """
    if item.entry is not None:
        client.referrers.enter(repository, item.subject, item.entry, item.root.data)
        return
    tag = repository.with_tag(item.tag)
    kept = kept_layers(client, tag)
    if kept:
        write_layers(client, tag, [*kept, *(x for x in _layers(item.root) if x not in kept)])
    else:
        client.put_manifest(tag, item.root.data, item.root.descriptor.media_type)


def _listed(client: RegistryClient, place: Reference, original: Original) -> Iterator[Attached]:
    pending = deque(document.descriptor.digest for document in original.documents)
    known = set(pending)
    while pending:
        subject = pending.popleft()
        for entry in client.referrers.find(place, subject):
            if entry.digest not in known:
                known.add(entry.digest)
                pending.append(entry.digest)
                found = in_registry(client, place.with_digest(entry.digest))
                yield Attached(original=found, subject=subject, entry=entry)


def _tagged(client: RegistryClient, place: Reference, digests: list[Digest]) -> Iterator[Attached]:
    there = set(client.tags(place))
    for digest in digests:
        for kind in (SIGNATURE, ATTESTATION, SBOM):
            tag = signature_tag(digest, kind)
            if tag in there:
                found = in_registry(client, place.with_tag(tag))
                yield Attached(original=found, subject=digest, tag=tag)


def _layers(document: Document) -> list[dict[str, object]]:
    try:
        return msgspec.convert(
            msgspec.json.decode(document.data)["layers"], list[dict[str, object]]
        )
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise RegistryError(
            f"{document.descriptor.digest} is no list of signatures", details=str(error)
        ) from error
