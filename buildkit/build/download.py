"""One file from a URL: resumed where it was cut, verified before anyone sees it.

A partial file lies in the store under a name made of URL and pin. It is resumed by
Range under the guard of If-Range (RFC 9110, 13.1.5 and 14.2), so that a file which
changed on the server starts anew; what is complete is verified by sha256 or dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import FetchError
from buildkit.http import BrokenTransferError, HttpPool, Response, host_of, rewrite
from buildkit.plan.units import Progress
from buildkit.store import Store, discard, read_sealed, write_sealed

PIECES = 8
"""How many pieces a transfer that is cut again and again may take."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
SMALL = 1 << 16
"""Bytes; more than any file with a checksum has."""

_OK, _PARTIAL = 200, 206
_RANGE_NOT_SATISFIABLE = 416
_ABSENT = frozenset({404, 410})
_REFUSED = frozenset({401, 403})


class UnavailableError(FetchError):
    """A server has no such file, or does not give it to us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file to download.

    Attributes:
        url: https or file.
        pin: the sha256 it must have, in hex; empty takes what comes, to pin it.
        credentials: headers that its host alone gets.
    """

    url: str
    pin: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)


class Downloads(Struct, frozen=True, kw_only=True):
    """Fetches URLs into a store.

    Attributes:
        store: keeps partial files.
        pool: speaks HTTP; rewrites by the same mirrors.
        mirrors: URL prefix and replacement; one may lead to a file URL.
        sleep: waits between the pieces of a transfer that is cut again and again.
    """

    store: Store
    pool: HttpPool
    mirrors: Mapping[str, str]
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def open(self, wanted: Wanted, progress: Progress) -> Iterator[Path]:
        """Yield the path of a URL's whole content; a downloaded file is gone afterwards.

        ``progress`` is told how far the transfer is.

        Raises:
            UnavailableError: not found, or refused.
            FetchError: cut, or not what the lock pins.
        """
        url, pin = wanted.url, wanted.pin
        target = urlsplit(rewrite(url, self.mirrors))
        if target.scheme == "file":
            yield _local(Path(unquote(target.path)), pin)
            return
        key = Digest.of_bytes(f"{url}\n{pin}".encode()).hex
        with self.store.lock(f"download-{key[:32]}"):
            partial = self.store.root / "partial" / key
            partial.parent.mkdir(parents=True, exist_ok=True)
            self._complete(wanted, partial, progress)
            try:
                yield partial
            finally:
                _drop(partial)

    def first_word(self, wanted: Wanted) -> str:
        """Return the first word of a small text file, as of one that holds a checksum.

        Raises:
            UnavailableError: not found, or refused.
            FetchError: it is large, or cannot be read.
        """
        target = urlsplit(rewrite(wanted.url, self.mirrors))
        if target.scheme == "file":
            data = _local(Path(unquote(target.path)), "").read_bytes()[:SMALL]
        else:
            answer = self.pool.read("GET", wanted.url, credentials=wanted.credentials, limit=SMALL)
            if answer.status != _OK:
                raise _status(answer.status, wanted.url)
            data = answer.body
        return (data.decode("utf-8", "replace").split() or [""])[0]

    def _complete(self, wanted: Wanted, partial: Path, progress: Progress) -> None:
        pin = wanted.pin
        resumed = self._transfer(wanted, partial, progress)
        found = Digest.of_file(partial).hex
        if pin and found != pin and resumed:
            # The server may have changed the file without changing its validator.
            _drop(partial)
            self._transfer(wanted, partial, progress)
            found = Digest.of_file(partial).hex
        if pin and found != pin:
            _drop(partial)
            raise wrong_content(_name(wanted.url), pin, found)

    def _transfer(self, wanted: Wanted, partial: Path, progress: Progress) -> bool:
        """Bring the file to its end; tell whether it was put together from pieces."""
        resumed = partial.is_file() and _validator(partial) != ""
        state = ""
        for attempt in range(PIECES):
            state = self._piece(wanted, partial, progress)
            if not state:
                return resumed
            resumed = True
            self.sleep(min(FIRST_PAUSE_SECONDS * 2.0**attempt, LONGEST_PAUSE_SECONDS))
        url = wanted.url
        raise FetchError(
            f"the transfer of {_name(url)} from {host_of(url)} was cut {PIECES} times",
            details=state,
            resolution="Run it again: where the server allows it, it goes on where it ended.",
        )

    def _piece(self, wanted: Wanted, partial: Path, progress: Progress) -> str:
        """Fetch as much as comes; return nothing when that is all, else how far it got."""
        url = wanted.url
        size, validator = _size(partial), _validator(partial)
        headers = {"Range": f"bytes={size}-", "If-Range": validator} if size and validator else {}
        with self.pool.open(
            "GET", url, headers=headers, credentials=wanted.credentials
        ) as response:
            if response.status == _RANGE_NOT_SATISFIABLE and headers:
                _drop(partial)
                return "the server could not resume it"
            start = _start(response, size, url)
            if start == 0:
                _note_validator(partial, response.headers)
            total = start + _length(response)
            with partial.open("r+b" if start else "wb") as sink:
                sink.seek(start)
                try:
                    _write(response, sink, total, progress)
                except BrokenTransferError as error:
                    return f"{sink.tell()} of {total or 'unknown'} bytes arrived; {error.details}"
        return ""


def wrong_content(name: str, expected: str, found: str) -> FetchError:
    """Return the error for a file with another digest than its pin."""
    return FetchError(
        f"{name} is not what the lock pins",
        details=f"sha256 expected {expected}, got {found}",
        resolution="If targets.toml or the file was changed on purpose, run `invoke lock`; "
        "else do not use it before you know why.",
    )


def _local(path: Path, pin: str) -> Path:
    try:
        found = Digest.of_file(path).hex
    except OSError as error:
        raise FetchError(f"{path} cannot be read", details=error.strerror or str(error)) from error
    if pin and found != pin:
        raise wrong_content(path.name, pin, found)
    return path


def _start(response: Response, size: int, url: str) -> int:
    """Return at which byte the answer begins.

    Raises:
        FetchError: the status says that there is no content.
    """
    if response.status == _PARTIAL:
        begin = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if begin == str(size):
            return size
        raise FetchError(
            f"{host_of(url)} answered with another part of {_name(url)} than was asked for"
        )
    if response.status == _OK:
        return 0
    raise _status(response.status, url)


def _status(status: int, url: str) -> FetchError:
    where = f"{_name(url)} at {host_of(url)}"
    if status in _ABSENT:
        return UnavailableError(
            f"{where} does not exist (HTTP {status})",
            details="The version may not be published, or not for this platform.",
            resolution="Check version and url in targets.toml, or give a local file.",
        )
    if status in _REFUSED:
        return UnavailableError(
            f"{where} may not be read (HTTP {status})",
            details="Some stores answer like this for what does not exist.",
            resolution="Check version, url and headers in targets.toml, or name a mirror that "
            "you may read under [mirrors].",
        )
    return FetchError(f"{where}: HTTP {status}", resolution="Try again later.")


def _write(response: Response, sink: BinaryIO, total: int, progress: Progress) -> None:
    for block in response.stream():
        sink.write(block)
        progress(_amount(sink.tell(), total))
    sink.truncate()


def _amount(done: int, total: int) -> str:
    mega = 1_000_000
    return f"{done / mega:.1f} of {total / mega:.1f} MB" if total else f"{done / mega:.1f} MB"


def _length(response: Response) -> int:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else 0


def _name(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2]) or host_of(url)


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.is_file() else 0


def _tag_file(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.validator")


def _validator(partial: Path) -> str:
    return (read_sealed(_tag_file(partial)) or b"").decode("latin-1")


def _note_validator(partial: Path, headers: Mapping[str, str]) -> None:
    """Keep what guards a resume: a strong ETag, or the date where there is none."""
    # The old content goes first: a crash in between must not pair it with the new guard.
    _drop(partial)
    etag = headers.get("ETag", "")
    guard = headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
    if guard:
        write_sealed(_tag_file(partial), guard.encode("latin-1"))


def _drop(partial: Path) -> None:
    discard(partial)
    discard(_tag_file(partial))
