"""What is attached to an image: the referrers API, or the tag that stands in for it.

OCI distribution specification 1.1, "Listing Referrers" and "Referrers Tag Schema":
a registry without the API gets an index under the tag ``sha256-<hex>`` of the
subject, which each client reads, extends and writes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from buildkit.decoding import decode_json
from buildkit.digest import Digest, canonical_json
from buildkit.errors import RegistryError
from buildkit.oci.attachment import Attachment
from buildkit.oci.model import OCI_INDEX, Descriptor
from buildkit.reference import Reference
from buildkit.registry.auth import Access
from buildkit.registry.errors import as_registry_errors, refusal
from buildkit.registry.wire import Wire

if TYPE_CHECKING:
    from buildkit.registry.client import RegistryClient

ATTEMPTS = 4
"""How often an entry is written again that another client's writing has removed."""

_LIMIT = 32 << 20
_OK = 200
# 404 is the specification's; registries that do not know the path answer the others.
_NO_API = frozenset({400, 404, 405, 406})


class Referrers:
    """The attachments of any number of repositories; safe for several threads."""

    def __init__(self, *, client: RegistryClient, wire: Wire) -> None:
        self._client = client
        self._wire = wire

    def find(
        self, repository: Reference, subject: Digest, *, artifact_type: str = ""
    ) -> tuple[Descriptor, ...]:
        """Return what is attached to a manifest, sorted by digest; nothing is no error.

        Args:
            repository: where it is; tag and digest are ignored.
            subject: the manifest or index.
            artifact_type: only those of this type.

        Raises:
            RegistryError: the registry fails, refuses, or lists what makes no sense.
        """
        action = f"list what is attached to {repository.with_digest(subject)}"
        entries = self._asked(action, repository, subject, artifact_type)
        if entries is None:
            entries = _entries(action, self._kept(action, _stand_in(repository, subject)))
        # A registry may leave the filter to the client.
        found = {
            item.digest: item
            for item in _described(action, entries)
            if artifact_type in {"", item.artifact_type}
        }
        return tuple(found[digest] for digest in sorted(found))

    def attach(self, repository: Reference, attachment: Attachment) -> Descriptor:
        """Push an attachment: blobs, manifest, and the stand-in tag where one is needed.

        Attaching the same content again changes nothing.

        Raises:
            RegistryError: the registry fails or refuses, or other clients keep
                on overwriting the tag.
        """
        for content in attachment.contents:
            self._client.blobs.push(repository, content.descriptor, content.open)
        self.enter(
            repository, attachment.subject.digest, attachment.descriptor, attachment.manifest
        )
        return attachment.descriptor

    def enter(
        self, repository: Reference, subject: Digest, entry: Descriptor, manifest: bytes
    ) -> None:
        """Push a manifest with a subject, whose blobs are there, and see that it is listed.

        Args:
            repository: where it goes; tag and digest are ignored.
            subject: what it is about.
            entry: how the list names it.
            manifest: its bytes.

        Raises:
            RegistryError: see :meth:`attach`.
        """
        target = repository.with_digest(entry.digest)
        _, noted = self._client.send_manifest(target, manifest, entry.media_type)
        if noted is None:
            self._list(repository, subject, entry.to_json())

    def _asked(
        self, action: str, repository: Reference, subject: Digest, artifact_type: str
    ) -> list[dict[str, Any]] | None:
        """Ask the API; None where there is none."""
        query = f"?{urlencode({'artifactType': artifact_type})}" if artifact_type else ""
        path = f"/v2/{repository.repository}/referrers/{subject}{query}"
        url = self._wire.url(repository.registry, path)
        access = Access(repository=repository.repository)
        entries: list[dict[str, Any]] = []
        with as_registry_errors(action):
            for answer in self._wire.pages(url, repository.registry, access, limit=_LIMIT):
                if answer.status in _NO_API:
                    return None
                if answer.status != _OK:
                    raise refusal(action, repository.registry, answer.status, answer.body)
                if not answer.headers.get("Content-Type", "").startswith(OCI_INDEX):
                    # A web page that answers every path.
                    return None
                entries += _entries(action, _decode(action, answer.body))
        return entries

    def _list(self, repository: Reference, subject: Digest, entry: dict[str, Any]) -> None:
        tag = _stand_in(repository, subject)
        action = f"attach to {repository.with_digest(subject)}"
        for attempt in range(ATTEMPTS):
            index = self._kept(action, tag)
            entries = _entries(action, index)
            if any(item.get("digest") == entry["digest"] for item in entries):
                return
            if attempt:
                self._wire.pool.wait(attempt - 1)
            index = {**index, "manifests": [*entries, entry]}
            self._client.put_manifest(tag, canonical_json(index), OCI_INDEX)
        if all(item != entry for item in _entries(action, self._kept(action, tag))):
            raise RegistryError(
                f"cannot {action}: {tag} is overwritten by others again and again",
                details="This registry has no referrers API, so clients share that tag.",
                resolution="Let one job at a time attach to an image, and run it again.",
            )

    def _kept(self, action: str, tag: Reference) -> dict[str, Any]:
        """Read the stand-in tag's index; an empty one where there is none."""
        if self._client.head_manifest(tag) is None:
            return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        manifest = self._client.get_manifest(tag)
        if manifest.descriptor.media_type != OCI_INDEX:
            raise RegistryError(
                f"cannot {action}: {tag} is no list of referrers",
                details=f"It is {manifest.descriptor.media_type or 'of no known type'}.",
                resolution="Remove that tag, or give it another name.",
            )
        return _decode(action, manifest.data)


def _stand_in(repository: Reference, subject: Digest) -> Reference:
    return repository.with_tag(f"sha256-{subject.hex}")


def _decode(action: str, data: bytes) -> dict[str, Any]:
    try:
        return decode_json(data, dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RegistryError(f"cannot {action}: the list is no valid JSON") from error


def _entries(action: str, index: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = index.get("manifests") or []
    if not isinstance(entries, list) or not all(isinstance(item, dict) for item in entries):
        raise RegistryError(f"cannot {action}: the list is no index")
    return entries


def _described(action: str, entries: Iterable[dict[str, Any]]) -> list[Descriptor]:
    try:
        return [Descriptor.from_json(item) for item in entries]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RegistryError(
            f"cannot {action}: an entry is no descriptor", details=str(error)
        ) from error
