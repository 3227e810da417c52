"""A client of the OCI Distribution specification 1.1: manifests, indexes, tags, catalog.

Manifests are kept as the bytes that were hashed. What is read is verified; what
is written is compared with the digest that the registry reports. Blobs are moved
by :mod:`buildkit.registry.blobs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import FetchError, RegistryError
from buildkit.http import Answer, BrokenTransferError, HttpPool
from buildkit.oci.model import INDEXES, MANIFESTS, Descriptor, Index
from buildkit.reference import Reference
from buildkit.registry.auth import Access, Authenticator
from buildkit.registry.blobs import Blobs
from buildkit.registry.credentials import CredentialSource
from buildkit.registry.errors import as_registry_errors, refusal
from buildkit.registry.referrers import Referrers
from buildkit.registry.wire import Wire

MANIFEST_LIMIT = 8 << 20
"""Bytes; the specification asks registries to accept at least 4 MiB."""

_PATIENCE_SECONDS = 10.0
_PAGE_LIMIT = 32 << 20
_PAGE_SIZE = 1000
_ACCEPT = ", ".join(sorted(INDEXES | MANIFESTS))


class Manifest(Struct, frozen=True, kw_only=True):
    """A manifest or index as the registry keeps it."""

    descriptor: Descriptor
    data: bytes


class _MediaType(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str = ""


class RegistryClient:
    """Speaks to any number of registries; safe for several threads.

    Args:
        pool: moves the bytes; one without mirrors, since references are
            rewritten before they come here.
        credentials: asked only when a registry wants to know who is there.
        insecure: registries (``host`` or ``host:port``) beyond loopback that
            speak plain http.
    """

    def __init__(
        self,
        *,
        pool: HttpPool,
        credentials: CredentialSource,
        insecure: frozenset[str] = frozenset(),
    ) -> None:
        auth = Authenticator(pool=pool, credentials=credentials, insecure=insecure)
        self._wire = Wire(pool=pool, auth=auth, insecure=insecure)
        self.blobs = Blobs(self._wire)
        self.referrers = Referrers(client=self, wire=self._wire)

    def answers(self, registry: str) -> bool:
        """Tell whether anything answers at a registry's address; asked once, without patience."""
        url = self._wire.url(registry, "/v2/")
        try:
            self._wire.pool.read(
                "GET", url, retries=0, seconds=_PATIENCE_SECONDS, limit=MANIFEST_LIMIT
            )
        except BrokenTransferError:
            return False
        except FetchError:
            return True
        return True

    def head_manifest(self, reference: Reference) -> Descriptor | None:
        """Describe what a reference names, or return None where there is nothing.

        Raises:
            RegistryError: the registry fails or refuses.
        """
        action = f"look up {reference}"
        answer = self._manifest(action, "HEAD", reference, Access(repository=reference.repository))
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        _expect(action, reference.registry, answer, 200)
        reported = answer.headers.get("Docker-Content-Digest") or str(reference.digest or "")
        length = answer.headers.get("Content-Length", "")
        if not reported or not length.isdecimal():
            # Both are optional in the specification.
            return self.get_manifest(reference).descriptor
        return Descriptor(
            media_type=_content_type(answer),
            digest=_digest(action, reported),
            size=int(length),
        )

    def get_manifest(self, reference: Reference) -> Manifest:
        """Read a manifest or index and verify it.

        Raises:
            RegistryError: it is not there, or not what its digest says.
        """
        action = f"read {reference}"
        answer = self._manifest(action, "GET", reference, Access(repository=reference.repository))
        _expect(action, reference.registry, answer, 200)
        media_type = _content_type(answer)
        if media_type not in INDEXES | MANIFESTS:
            media_type = _own_media_type(answer.body) or media_type
        descriptor = Descriptor.of(media_type, answer.body)
        reported = answer.headers.get("Docker-Content-Digest")
        expected = reference.digest or (_digest(action, reported) if reported else None)
        if expected not in {None, descriptor.digest}:
            raise RegistryError(
                f"cannot {action}: the content is not what its digest says",
                details=f"Expected {expected}, got {descriptor.digest}.",
                resolution="Something between here and the registry alters content; push again "
                "or use another registry.",
            )
        return Manifest(descriptor=descriptor, data=answer.body)

    def put_manifest(self, reference: Reference, data: bytes, media_type: str) -> Descriptor:
        """Write a manifest or index under a tag or its digest; all it names must be there.

        One with a ``subject`` goes through :meth:`Referrers.attach` instead.

        Raises:
            RegistryError: the registry refuses, or says it keeps something else.
        """
        return self.send_manifest(reference, data, media_type)[0]

    def send_manifest(
        self, reference: Reference, data: bytes, media_type: str
    ) -> tuple[Descriptor, Digest | None]:
        """Write as :meth:`put_manifest`; return the subject too that the registry took note of.

        Raises:
            RegistryError: as there.
        """
        action = f"push {reference}"
        descriptor = Descriptor.of(media_type, data)
        target = reference if reference.tag else reference.with_digest(descriptor.digest)
        access = Access(repository=reference.repository, actions=("pull", "push"))
        answer = self._manifest(action, "PUT", target, access, (data, media_type))
        _expect(action, reference.registry, answer, 201)
        reported = answer.headers.get("Docker-Content-Digest")
        if reported and _digest(action, reported) != descriptor.digest:
            raise RegistryError(
                f"{reference.registry} keeps something else than was pushed as {reference}",
                details=f"Sent {descriptor.digest}, it reports {reported}.",
            )
        subject = answer.headers.get("OCI-Subject")
        return descriptor, _digest(action, subject) if subject else None

    def put_index(self, reference: Reference, index: Index) -> Descriptor:
        """Write an index; see :meth:`put_manifest`."""
        return self.put_manifest(reference, index.data, index.media_type)

    def tags(self, repository: Reference) -> tuple[str, ...]:
        """List a repository's tags, sorted; one that does not exist has none.

        Raises:
            RegistryError: the registry fails or refuses.
        """
        path = f"/v2/{repository.repository}/tags/list?n={_PAGE_SIZE}"
        access = Access(repository=repository.repository)
        pages = self._pages(f"list tags of {repository.name}", repository.registry, path, access)
        return tuple(sorted({tag for page in pages for tag in page.get("tags") or ()}))

    def catalog(self, registry: str) -> tuple[str, ...]:
        """List a registry's repositories, sorted; few public registries allow it.

        Raises:
            RegistryError: the registry fails or refuses.
        """
        path = f"/v2/_catalog?n={_PAGE_SIZE}"
        pages = self._pages(f"list repositories of {registry}", registry, path, Access())
        return tuple(sorted({name for page in pages for name in page.get("repositories") or ()}))

    def _manifest(
        self,
        action: str,
        method: str,
        reference: Reference,
        access: Access,
        content: tuple[bytes, str] | None = None,
    ) -> Answer:
        name = reference.digest or reference.tag or "latest"
        url = self._wire.url(reference.registry, f"/v2/{reference.repository}/manifests/{name}")
        body, media_type = content or (None, "")
        headers = {"Content-Type": media_type} if content else {"Accept": _ACCEPT}
        with as_registry_errors(action):
            return self._wire.read(
                method,
                url,
                reference.registry,
                access,
                headers=headers,
                body=body,
                limit=MANIFEST_LIMIT,
            )

    def _pages(
        self, action: str, registry: str, path: str, access: Access
    ) -> Iterator[dict[str, Any]]:
        url = self._wire.url(registry, path)
        with as_registry_errors(action):
            for answer in self._wire.pages(url, registry, access, limit=_PAGE_LIMIT):
                if answer.status == HTTPStatus.NOT_FOUND and access.repository:
                    return
                _expect(action, registry, answer, 200)
                yield _page(action, registry, answer.body)


def _expect(action: str, registry: str, answer: Answer, *statuses: int) -> None:
    if answer.status not in statuses:
        raise refusal(action, registry, answer.status, answer.body)


def _content_type(answer: Answer) -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _own_media_type(data: bytes) -> str:
    try:
        return decode_json(data, _MediaType).media_type
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return ""


def _digest(action: str, text: str) -> Digest:
    try:
        return Digest.parse(text)
    except ValueError as error:
        raise RegistryError(
            f"cannot {action}: the registry reports no usable digest", details=str(error)
        ) from error


def _page(action: str, registry: str, body: bytes) -> dict[str, Any]:
    try:
        return decode_json(body, dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise RegistryError(f"cannot {action}: {registry} sent no valid JSON") from error
