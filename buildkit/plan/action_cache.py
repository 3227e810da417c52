"""What the same inputs gave before, in this directory or another: outputs to restore.

As in ccache's direct mode, the declared inputs of a unit name a short list of
earlier results, and each result names the source directories it was made from,
by the digest of their description. Both are relative to the source tree, so a
clone, a worktree or an unpacked archive finds what another one built. Nothing
here is believed: descriptions and outputs are verified by digest when read.

Compiled binaries only: what is fetched is in the store under its pin, and its
builder makes more than the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, field

from buildkit.decoding import decode_json
from buildkit.digest import Digest, canonical_json
from buildkit.plan.records import directory_key
from buildkit.plan.units import Artifact, Compile, SourceDirectory, Unit
from buildkit.store import (
    Store,
    atomic_copy,
    atomic_write,
    discard,
    note_use,
    read_sealed,
    write_sealed,
)

KEPT = 8
"""Results per set of declared inputs; the oldest go first."""

VERSION = 1
"""Part of every key: raise it when the same inputs would give other bytes than before."""

_EXECUTABLE = 0o755

Check = Callable[[str, Callable[[str], SourceDirectory | None]], bool]
"""Tells whether the directory of a key, loaded where it must be, is now as it was then."""


class _Result(Struct, frozen=True, kw_only=True, omit_defaults=True):
    digest: str
    size: int
    problem: str = ""
    sources: tuple[str, ...] = ()


class _Results(Struct, frozen=True, kw_only=True):
    results: tuple[_Result, ...] = ()


class ActionCache(Struct, frozen=True, kw_only=True):
    """The results of one user.

    Attributes:
        open_store: gives the user's cache when something is looked for.
    """

    open_store: Callable[[], Store]
    _unread: set[str] = field(default_factory=set)
    """The descriptions that were looked for and are missing or damaged."""

    @property
    def store(self) -> Store:
        """The user's cache."""
        return self.open_store()

    def find(self, unit: Unit, inputs: Mapping[str, str], check: Check) -> Artifact | None:
        """Return what a unit would make, if its inputs and sources gave it before.

        The artifact holds the directories it was made from; the output itself is
        only looked for by :meth:`restore`.
        """
        if not isinstance(unit.action, Compile):
            return None
        for result in self._read(unit, inputs).results:
            if all(check(key, self._directory) for key in result.sources):
                sources = tuple(filter(None, map(self._directory, result.sources)))
                if len(sources) == len(result.sources):
                    return Artifact(
                        unit=unit.id,
                        digest=result.digest,
                        size=result.size,
                        path=unit.output,
                        problem=result.problem,
                        sources=sources,
                    )
        return None

    def holds(self, artifact: Artifact) -> bool:
        """Tell whether an artifact's bytes are here, undamaged; nothing is changed."""
        try:
            return self.store.peek(Digest.parse(artifact.digest)) is not None
        except ValueError:
            return False

    def restore(self, unit: Unit, inputs: Mapping[str, str], artifact: Artifact) -> bool:
        """Put what :meth:`find` returned in its place; tell whether it was there, undamaged."""
        kept = self.store.get(Digest.parse(artifact.digest))
        if kept is None or artifact.path is None:
            return False
        atomic_copy(kept, artifact.path, mode=_EXECUTABLE)
        note_use(self._place(unit, inputs))
        for source in artifact.sources or ():
            note_use(self.store.blob(Digest.parse(directory_key(source))))
        return True

    def keep(self, unit: Unit, inputs: Mapping[str, str], artifact: Artifact) -> None:
        """Remember what a unit made from its inputs and sources, which did not move meanwhile."""
        if (
            not isinstance(unit.action, Compile)
            or artifact.path is None
            or artifact.sources is None
        ):
            return
        keys = tuple(self._keep_directory(source) for source in artifact.sources)
        self.store.keep(artifact.path, Digest.parse(artifact.digest))
        result = _Result(
            digest=artifact.digest, size=artifact.size, problem=artifact.problem, sources=keys
        )
        place = self._place(unit, inputs)
        with self.store.lock(f"action-{place.stem[:12]}"):
            others = (item for item in self._read(unit, inputs).results if item != result)
            results = (result, *others)[:KEPT]
            write_sealed(place, canonical_json(_Results(results=results)), sync=False)

    def _read(self, unit: Unit, inputs: Mapping[str, str]) -> _Results:
        try:
            return decode_json(read_sealed(self._place(unit, inputs)) or b"", _Results)
        except msgspec.MsgspecError:
            return _Results()

    def _place(self, unit: Unit, inputs: Mapping[str, str]) -> Path:
        key = Digest.of_json([VERSION, unit.kind, str(unit.platform), inputs])
        return self.store.root / "actions" / f"{key.hex}.json"

    def _directory(self, key: str) -> SourceDirectory | None:
        try:
            if path := self.store.peek(Digest.parse(key)):
                return decode_json(path.read_bytes(), SourceDirectory)
        except (ValueError, msgspec.MsgspecError):
            pass
        self._unread.add(key)
        return None

    def _keep_directory(self, source: SourceDirectory) -> str:
        data = canonical_json(source)
        digest = Digest.of_bytes(data)
        path, key = self.store.blob(digest), str(digest)
        # There are hundreds of them, which were read a moment ago if they matter.
        if key in self._unread or not _has_size(path, len(data)):
            discard(path)
            atomic_write(path, data, sync=False)
        note_use(path)
        return key


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except (FileNotFoundError, NotADirectoryError):
        return False
