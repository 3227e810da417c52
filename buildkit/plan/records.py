"""What earlier runs made and from what: one file below ``out/``, read once per run.

A record is written only after its unit succeeded. One that a crash left behind
does no harm: it holds the digest of what it vouches for.
"""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.digest import Digest, canonical_json
from buildkit.plan.hashing import FileState, Hasher
from buildkit.plan.units import Artifact, SourceDirectory
from buildkit.store import atomic_write

VERSION = 2


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One unit's last success."""

    inputs: dict[str, str]
    """Name and value of everything that the unit was made from, see plan.inputs."""
    sources: tuple[str, ...] = ()
    """Keys of the directories that its builder read."""
    digest: str
    size: int
    path: str = ""
    reference: tuple[str, ...] = ()
    problem: str = ""
    seconds: float = 0.0


class _Book(Struct, kw_only=True):
    version: int = VERSION
    units: dict[str, Record] = {}
    directories: dict[str, SourceDirectory] = {}
    files: dict[str, FileState] = {}


class RecordBook:
    """The records of one ``out/`` directory; safe for several threads."""

    def __init__(self, path: Path, book: _Book) -> None:
        self._path = path
        self._book = book
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> RecordBook:
        """Read a record file; one that is missing, damaged or of another version is empty."""
        try:
            data = path.read_bytes()
            digest, _, body = data.partition(b"\n")
            book = msgspec.json.decode(body, type=_Book)
            if book.version == VERSION and digest.decode() == str(Digest.of_bytes(body)):
                return cls(path, book)
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            pass
        return cls(path, _Book())

    @property
    def files(self) -> dict[str, FileState]:
        """The stat cache that earlier runs left."""
        return self._book.files

    def get(self, unit: str) -> Record | None:
        """Return a unit's last success."""
        return self._book.units.get(unit)

    def units(self) -> tuple[str, ...]:
        """Return the ids of all units with a record."""
        return tuple(self._book.units)

    def directories(self, record: Record) -> tuple[SourceDirectory, ...]:
        """Return the directories that a record's builder read."""
        return tuple(self._book.directories[key] for key in record.sources)

    def put(
        self, artifact: Artifact, inputs: dict[str, str], seconds: float, hasher: Hasher
    ) -> None:
        """Note a success and write the file."""
        sources = artifact.sources or ()
        keyed = {str(Digest.of_json(source)): source for source in sources}
        record = Record(
            inputs=inputs,
            sources=tuple(keyed),
            digest=artifact.digest,
            size=artifact.size,
            path=str(artifact.path or ""),
            reference=artifact.reference,
            problem=artifact.problem,
            seconds=round(seconds, 3),
        )
        with self._lock:
            self._book.units[artifact.unit] = record
            self._book.directories.update(keyed)
            self._save(hasher)

    def _save(self, hasher: Hasher) -> None:
        used = {key for record in self._book.units.values() for key in record.sources}
        self._book.directories = {
            key: value for key, value in self._book.directories.items() if key in used
        }
        self._book.files.update(hasher.fresh())
        body = canonical_json(self._book)
        atomic_write(self._path, str(Digest.of_bytes(body)).encode() + b"\n" + body)


def recorded_artifact(unit: str, record: Record) -> Artifact:
    """Return what a record says the unit made."""
    return Artifact(
        unit=unit,
        digest=record.digest,
        size=record.size,
        path=Path(record.path) if record.path else None,
        reference=record.reference,
        problem=record.problem,
    )
