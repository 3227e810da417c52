"""What one destination got of one release, a line per event, kept over crashes.

The truth is at the destination, which each run asks again. The journal says what only
the past can: that a damaged file there is this tool's own unfinished work, so it may be
replaced, and that a file was read back already, so it need not be read once more. A lost
journal costs reading; it never makes anything unsafe.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec

from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.store import atomic_write


class Stage(StrEnum):
    """How far a file is."""

    PLANNED = "planned"
    """It may lie there half-written from now on."""
    UPLOADED = "uploaded"
    VERIFIED = "verified"
    """Read back, or vouched for by the server's own digest."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line; the last one of a name counts."""

    name: str
    stage: Stage
    digest: str
    mark: str = ""
    """What the destination said of the file when it was verified, such as its ETag."""


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    destination: str
    release: str


class Journal:
    """The events of one destination; each is on the disk before its method returns.

    Args:
        path: the file; it is begun anew where it is of another release or place.
        destination: where the files go.
        release: the digest of the release.
    """

    def __init__(self, path: Path, *, destination: str, release: Digest) -> None:
        self.path = path
        self._head = _Head(destination=destination, release=str(release))
        self._events = {event.name: event for event in _read(path, self._head)}
        self._is_begun = False

    def last(self, name: str, digest: Digest) -> Event | None:
        """Return the last event of a file with this content."""
        event = self._events.get(name)
        return event if event and event.digest == str(digest) else None

    def note(self, name: str, digest: Digest, stage: Stage, mark: str = "") -> None:
        """Add an event."""
        event = Event(name=name, digest=str(digest), stage=stage, mark=mark)
        if self._events.get(name) == event:
            return
        if not self._is_begun:
            # Also drops a last line that was cut, which nothing could be added to.
            kept = map(_line, self._events.values())
            atomic_write(self.path, b"".join((_line(self._head), *kept)))
            self._is_begun = True
        with self.path.open("ab") as stream:
            stream.write(_line(event))
            stream.flush()
            os.fsync(stream.fileno())
        self._events[name] = event


def _line(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _read(path: Path, head: _Head) -> Iterator[Event]:
    try:
        first, *lines = path.read_bytes().splitlines(keepends=True)
    except (FileNotFoundError, ValueError):
        return
    with suppress(msgspec.MsgspecError):
        # A run that was killed leaves a last line that is cut.
        if decode_json(first, _Head) == head:
            for line in lines:
                if line.endswith(b"\n"):
                    yield decode_json(line, Event)
