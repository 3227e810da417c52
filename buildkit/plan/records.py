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
from buildkit.plan.units import Artifact, SourceDirectory, Unit
from buildkit.store import read_sealed, write_sealed

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
    reference: tuple[str, ...] = ()
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
            book = msgspec.json.decode(read_sealed(path) or b"", type=_Book)
        except msgspec.MsgspecError:
            return cls(path, _Book())
        return cls(path, book if book.version == VERSION else _Book())

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

    def directory(self, key: str) -> SourceDirectory | None:
        """Return a directory that some record's builder read."""
        return self._book.directories.get(key)

    def put(
        self, artifact: Artifact, inputs: dict[str, str], seconds: float, hasher: Hasher
    ) -> None:
        """Note a success and write the file."""
        keyed = {directory_key(source): source for source in artifact.sources or ()}
        record = Record(
            inputs=inputs,
            sources=tuple(keyed),
            digest=artifact.digest,
            size=artifact.size,
            path=str(artifact.path or ""),
            reference=artifact.reference,
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
        write_sealed(self._path, canonical_json(self._book))


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
    )
