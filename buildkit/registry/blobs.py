"""Moving blobs: verified downloads that resume, uploads that start anew when they break."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from enum import StrEnum
from http import HTTPStatus
from io import BufferedIOBase
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import RegistryError
from buildkit.http import Answer, BrokenTransferError, Response
from buildkit.oci.model import Descriptor
from buildkit.reference import Reference
from buildkit.registry.auth import Access
from buildkit.registry.errors import as_registry_errors, is_transient, refusal
from buildkit.registry.wire import Wire, resolve

ATTEMPTS = 4
BLOCK_SIZE = 1 << 18
_ERROR_LIMIT = 1 << 20
_CREATED = 201
_OPENED = 202
_NOT_FOUND = 404
_LOST_SESSION = frozenset({404, 416})

OpenBlob = Callable[[], BufferedIOBase]
"""Opens a blob's bytes from their start; called once per attempt."""

Sent = Callable[[int], None]
"""Takes the number of bytes just sent; an attempt that starts anew counts again."""


class Pushed(StrEnum):
    """What it took for a registry to have a blob."""

    PRESENT = "present"
    MOUNTED = "mounted"
    UPLOADED = "uploaded"


class Blobs:
    """The blobs of any number of repositories; a reference's tag or digest is ignored."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def size(self, repository: Reference, digest: Digest) -> int | None:
        """Return a blob's size in bytes if the repository has it, else None.

        Raises:
            RegistryError: the registry fails or refuses.
        """
        action = f"look up {digest} in {repository.name}"
        url = self._url(repository, f"blobs/{digest}")
        access = Access(repository=repository.repository)
        with (
            as_registry_errors(action),
            self._wire.open("HEAD", url, repository.registry, access) as response,
        ):
            if response.status == _NOT_FOUND:
                return None
            if response.status != HTTPStatus.OK:
                raise refusal(action, repository.registry, response.status, b"")
            return int(response.headers.get("Content-Length") or 0)

    def stream(self, repository: Reference, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob in blocks; a broken transfer goes on where it broke.

        The bytes are the blob only if the iterator ends without an error, so
        write them to a temporary file.

        Raises:
            RegistryError: it is not there, cannot be read, or is not what the
                descriptor says.
        """
        action = f"read {descriptor.digest} of {repository.name}"
        hashed, size = hashlib.sha256(), 0
        with as_registry_errors(action):
            for attempt in range(ATTEMPTS):
                try:
                    for block in self._from(action, repository, descriptor, size):
                        hashed.update(block)
                        size += len(block)
                        if size > descriptor.size:
                            raise _altered(action, descriptor.size, f"more than {size - 1}")
                        yield block
                    break
                except BrokenTransferError:
                    if attempt == ATTEMPTS - 1:
                        raise
                    self._wire.pool.wait(attempt)
        if size != descriptor.size:
            raise _altered(action, descriptor.size, size)
        if hashed.hexdigest() != descriptor.digest.hex:
            raise _altered(action, descriptor.digest, f"sha256:{hashed.hexdigest()}")

    def read(self, repository: Reference, descriptor: Descriptor, *, limit: int) -> bytes:
        """Return a small blob, such as an image's config, whole and verified.

        Raises:
            RegistryError: as :meth:`stream`, or it is larger than ``limit`` bytes.
        """
        if descriptor.size > limit:
            raise RegistryError(
                f"{descriptor.digest} of {repository.name} is too large to be what it should be",
                details=f"It has {descriptor.size} bytes, at most {limit} are expected.",
            )
        return b"".join(self.stream(repository, descriptor))

    def push(
        self,
        repository: Reference,
        descriptor: Descriptor,
        open_blob: OpenBlob,
        *,
        mount_from: str = "",
        sent: Sent | None = None,
    ) -> Pushed:
        """Make sure that a repository has a blob, with as little traffic as possible.

        Args:
            repository: where it must be.
            descriptor: what it is.
            open_blob: its bytes.
            mount_from: another repository of the same registry that has it.
            sent: progress.

        Raises:
            AuthError: not allowed.
            RegistryError: refused, or broken in every attempt.
        """
        action = f"push {descriptor.digest} to {repository.name}"
        upload = _Upload(
            wire=self._wire,
            repository=repository,
            descriptor=descriptor,
            open_blob=open_blob,
            mount_from=mount_from,
            sent=sent or (lambda _: None),
        )
        with as_registry_errors(action):
            for attempt in range(ATTEMPTS):
                # After a lost answer the blob may be there.
                if self.size(repository, descriptor.digest) is not None:
                    return Pushed.UPLOADED if attempt else Pushed.PRESENT
                try:
                    pushed, answer = upload.attempt()
                except BrokenTransferError:
                    if attempt == ATTEMPTS - 1:
                        raise
                    self._wire.pool.wait(attempt)
                    continue
                if answer.status == _CREATED:
                    return pushed
                again = pushed is Pushed.UPLOADED and _may_start_anew(answer.status)
                if not again or attempt == ATTEMPTS - 1:
                    raise refusal(action, repository.registry, answer.status, answer.body)
                self._wire.pool.wait(attempt, answer.headers)
        raise AssertionError

    def _from(
        self, action: str, repository: Reference, descriptor: Descriptor, start: int
    ) -> Iterator[bytes]:
        url = self._url(repository, f"blobs/{descriptor.digest}")
        access = Access(repository=repository.repository)
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._wire.open("GET", url, repository.registry, access, headers=headers) as response:
            if response.status not in {200, 206}:
                body = response.read(_ERROR_LIMIT)
                raise refusal(action, repository.registry, response.status, body)
            # Whoever knows no ranges sends all of it.
            yield from _after(response, start if response.status == HTTPStatus.OK else 0)

    def _url(self, repository: Reference, path: str) -> str:
        return self._wire.url(repository.registry, f"/v2/{repository.repository}/{path}")


class _Upload(Struct, frozen=True, kw_only=True):
    wire: Wire
    repository: Reference
    descriptor: Descriptor
    open_blob: OpenBlob
    mount_from: str
    sent: Sent

    def attempt(self) -> tuple[Pushed, Answer]:
        """Open a session and send everything; what was tried last, and its answer."""
        answer = self._open_session()
        if answer.status != _OPENED:
            return Pushed.MOUNTED, answer
        location = answer.headers.get("Location", "")
        if not location:
            raise RegistryError(
                f"{self.repository.registry} opened an upload without saying where",
                details="Its answer has no Location header.",
            )
        return Pushed.UPLOADED, self._send(
            upload_url(self._uploads, location, self.descriptor.digest)
        )

    def _open_session(self) -> Answer:
        if self.mount_from:
            mount = {"mount": str(self.descriptor.digest), "from": self.mount_from}
            answer = self._post(f"{self._uploads}?{urlencode(mount)}")
            # The specification wants 202 where it cannot mount; not all follow.
            if answer.status in {_CREATED, _OPENED}:
                return answer
        return self._post(self._uploads)

    def _post(self, url: str) -> Answer:
        headers = {"Content-Length": "0"}
        return self.wire.read("POST", url, self.repository.registry, self._access, headers=headers)

    def _send(self, url: str) -> Answer:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(self.descriptor.size),
        }
        with (
            ExitStack() as opened,
            self.wire.open(
                "PUT",
                url,
                self.repository.registry,
                self._access,
                headers=headers,
                # What an upload that breaks has not read to its end is closed all the same.
                body=lambda: opened.enter_context(closing(self._blocks())),
                retries=0,
            ) as response,
        ):
            return Answer(response.status, response.headers, response.read(_ERROR_LIMIT))

    def _blocks(self) -> Generator[bytes]:
        total = 0
        with closing(self._read()) as blocks:
            for block in blocks:
                yield block
                total += len(block)
                self.sent(len(block))
        if total != self.descriptor.size:
            raise RegistryError(
                f"{self.descriptor.digest} changed while it was pushed",
                details=f"{total} bytes were read, it should have {self.descriptor.size}.",
            )

    def _read(self) -> Generator[bytes]:
        try:
            with self.open_blob() as stream:
                while block := stream.read(BLOCK_SIZE):
                    yield block
        except OSError as error:
            # Else it would pass for a broken connection.
            raise RegistryError(
                f"{self.descriptor.digest} cannot be read to push it", details=str(error)
            ) from error

    @property
    def _uploads(self) -> str:
        path = f"/v2/{self.repository.repository}/blobs/uploads/"
        return self.wire.url(self.repository.registry, path)

    @property
    def _access(self) -> Access:
        return Access(
            repository=self.repository.repository,
            actions=("pull", "push"),
            source=self.mount_from,
        )


def upload_url(opened: str, location: str, digest: Digest) -> str:
    """Return where to send a blob to.

    Args:
        opened: the URL that opened the session.
        location: what its answer said; may be relative, may have a query.
        digest: the blob's.

    Raises:
        RegistryError: it is no address, or one without encryption on another host.
    """
    base, parts = urlsplit(opened), urlsplit(resolve(opened, location))
    if parts.netloc == base.netloc:
        # A registry behind a proxy that ends TLS may believe that it speaks http.
        parts = parts._replace(scheme=base.scheme)
    if parts.scheme != "https" and base.scheme == "https":
        raise RegistryError(
            f"{base.netloc} wants an upload without encryption",
            details=f"Its address would be at {parts.scheme}://{parts.netloc.rpartition('@')[2]}.",
        )
    query = urlencode({"digest": str(digest)})
    return parts._replace(query=f"{parts.query}&{query}" if parts.query else query).geturl()


def _after(response: Response, skip: int) -> Iterator[bytes]:
    """Yield a body without its first bytes."""
    for block in response.stream():
        if skip < len(block):
            yield block[skip:]
        skip = max(skip - len(block), 0)


def _may_start_anew(status: int) -> bool:
    return is_transient(status) or status in _LOST_SESSION


def _altered(action: str, expected: object, got: object) -> RegistryError:
    return RegistryError(
        f"cannot {action}: the content is not what its descriptor says",
        details=f"Expected {expected}, got {got}.",
        resolution="Something between here and the registry alters content; push it again "
        "or use another registry.",
    )
