"""What earlier runs made and from what: one file below ``out/``, read once per run.

A record is written only after its unit succeeded. One that a crash left behind
does no harm: it holds the digest of what it vouches for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from buildkit.decoding import decode_json
from buildkit.digest import Digest, canonical_json
from buildkit.plan.hashing import FileState, Hasher
from buildkit.plan.units import Artifact, SourceDirectory, Unit
from buildkit.store import read_sealed, write_sealed
from buildkit.vcs import Commit

VERSION = 3


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One unit's last success."""

    inputs: dict[str, str]
    """Name and value of everything that the unit was made from, see plan.inputs."""
    sources: tuple[str, ...] = ()
    """Keys of the directories that its builder read."""
    digest: str
    size: int
    path: str = ""
    """Absolute; the file names what is below ``out/`` relative to that, which may be moved."""
    reference: tuple[str, ...] = ()
    problem: str = ""
    seconds: float = 0.0
    made: int = 0
    """When, in seconds since 1970."""
    peak_memory: int = 0
    """The bytes that its batch took at most, or more than there was where that was too little;
    0 for unknown."""
    owner: str = ""
    """The targets file that the unit is of: several may share an ``out/``."""


class _Book(Struct, kw_only=True):
    version: int = VERSION
    units: dict[str, Record] = {}
    directories: dict[str, SourceDirectory] = {}
    files: dict[str, FileState] = {}
    commit_stamp: str = ""
    commit: Commit | None = None


class RecordBook:
    """The records of one ``out/`` directory; safe for several threads."""

    def __init__(self, path: Path, book: _Book, owner: str) -> None:
        self._path = path
        self._out = path.absolute().parent.parent
        self._owner = owner
        self._book = book
        self._lock = threading.Lock()
        self._is_saved = True

    @classmethod
    def open(cls, path: Path, owner: str = "") -> RecordBook:
        """Read a record file; one that is missing, damaged or of another version is empty.

        Args:
            path: the file.
            owner: the name of the targets file that this run is about.
        """
        try:
            book = decode_json(read_sealed(path) or b"", _Book)
        except msgspec.MsgspecError:
            return cls(path, _Book(), owner)
        return cls(path, book if book.version == VERSION else _Book(), owner)

    @property
    def files(self) -> dict[str, FileState]:
        """The stat cache that earlier runs left."""
        return self._book.files

    def commit(self, stamp: str) -> Commit | None:
        """Return what was checked out when the source tree had this stamp, if it is known."""
        return self._book.commit if stamp == self._book.commit_stamp else None

    def note_commit(self, stamp: str, commit: Commit) -> None:
        """Remember what is checked out under a stamp, see :func:`buildkit.vcs.commit_stamp`."""
        with self._lock:
            self._book.commit_stamp = stamp
            self._book.commit = Commit(
                revision=commit.revision, describe=commit.describe, commit_time=commit.commit_time
            )
            self._is_saved = False

    def get(self, unit: str) -> Record | None:
        """Return a unit's last success."""
        record = self._book.units.get(unit)
        if record is None or not record.path or record.path.startswith("/"):
            return record
        return replace(record, path=f"{self._out}/{record.path}")

    def units(self) -> tuple[str, ...]:
        """Return the ids of all units with a record."""
        return tuple(self._book.units)

    def own_units(self) -> tuple[str, ...]:
        """Return the ids of those that were last made for this run's targets file."""
        return tuple(k for k, item in self._book.units.items() if item.owner == self._owner)

    def directory(self, key: str) -> SourceDirectory | None:
        """Return a directory that some record's builder read."""
        return self._book.directories.get(key)

    def put(
        self, artifact: Artifact, inputs: dict[str, str], seconds: float, hasher: Hasher
    ) -> None:
        """Note a success and write the file."""
        self.note(artifact, inputs, seconds)
        self.save(hasher)

    def note(self, artifact: Artifact, inputs: dict[str, str], seconds: float) -> None:
        """Remember a success; the next :meth:`save` writes it down."""
        keyed = {directory_key(source): source for source in artifact.sources or ()}
        record = Record(
            inputs=inputs,
            sources=tuple(keyed),
            digest=artifact.digest,
            size=artifact.size,
            path=self._stored(artifact.path),
            reference=artifact.reference,
            problem=artifact.problem,
            seconds=round(seconds, 3),
            made=int(time.time()),
            peak_memory=artifact.peak_memory,
            owner=self._owner,
        )
        with self._lock:
            self._book.units[artifact.unit] = record
            self._book.directories.update(keyed)
            self._is_saved = False

    def forget(self, units: Iterable[str]) -> None:
        """Drop records; the next :meth:`save` writes that down."""
        with self._lock:
            for unit in units:
                del self._book.units[unit]
                self._is_saved = False

    def save(self, hasher: Hasher) -> None:
        """Write the file if anything is known that is not in it, digests of files included."""
        with self._lock:
            if not self._is_saved or hasher.hashed:
                self._save(hasher)

    def _stored(self, path: Path | None) -> str:
        if path is not None and path.is_relative_to(self._out):
            path = path.relative_to(self._out)
        return str(path or "")

    def _save(self, hasher: Hasher) -> None:
        used = {key for record in self._book.units.values() for key in record.sources}
        self._book.directories = {
            key: value for key, value in self._book.directories.items() if key in used
        }
        hasher.hashed = False
        self._book.files.update(hasher.fresh())
        write_sealed(self._path, canonical_json(self._book))
        self._is_saved = True


def directory_key(source: SourceDirectory) -> str:
    """Return what records call a described directory: equal ones are kept once."""
    return str(Digest.of_json(source))


def recorded_artifact(unit: Unit, record: Record) -> Artifact:
    """Return what a record says the unit made; an output is where the unit has it now."""
    recorded = Path(record.path) if record.path else None
    return Artifact(
        unit=unit.id,
        digest=record.digest,
        size=record.size,
        path=unit.output or recorded,
        reference=record.reference,
        problem=record.problem,
    )
