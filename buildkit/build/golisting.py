"""What ``go list -deps`` told, kept until it would tell something else.

Go goes by the names of files, by what is above the first declaration of a Go file, and by the
files that say which modules there are. An edit below that leaves what it told as it was, so Go
is not asked again: beside a compile that would cost what the compile waits for, a core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.build.gosources import GoSources, Package, read_listing
from buildkit.decoding import decode_json
from buildkit.plan.records import directory_key
from buildkit.plan.sources import SourceTree
from buildkit.store import read_sealed, write_sealed


class _Kept(Struct, frozen=True, kw_only=True):
    question: str = ""
    packages: tuple[Package, ...] = ()
    outlines: tuple[tuple[str, str], ...] = ()
    """Of each directory: the digest of its description, and its outline."""


Description = tuple[GoSources, Callable[[], None]]
"""What programs are made from, and what is to be called once that is known to be right."""


class GoListing(Struct, frozen=True, kw_only=True):
    """What Go tells of the packages of one batch.

    Attributes:
        place: the file that it is kept in.
        question: digest of all that the answer depends on beside the source and the names of
            the main packages: the command, its environment, where it runs.
        tree: the source.
        workspace: the go.work in force, relative to it; empty for none.
    """

    place: Path
    question: str
    tree: SourceTree
    workspace: str

    def describe(self, mains: Iterable[str], ask: Callable[[], bytes]) -> Description:
        """Describe the sources.

        Args:
            mains: the :func:`buildkit.build.gosources.source_key` of each main package.
            ask: runs `go list`; what it prints is empty where it failed.
        """
        kept = self._read()
        # Most directories are what they were, and their files need not be read.
        known = dict(kept.outlines)
        if kept.question == self.question:
            sources = GoSources.of(kept.packages, self.tree, self.workspace)
            before = [outline for _, outline in kept.outlines]
            now = [outline for _, outline in self._outlines(sources, known)]
            if now == before and sources.linked().keys() >= set(mains):
                return sources, lambda: None
        sources = GoSources.of(read_listing(ask()), self.tree, self.workspace)
        outlines = tuple(self._outlines(sources, known))
        fresh = _Kept(question=self.question, packages=sources.packages, outlines=outlines)
        return sources, lambda: self._write(fresh)

    def _outlines(self, sources: GoSources, known: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        for source in sources.directories:
            key = directory_key(source)
            yield key, known.get(key) or self.tree.outline(source)

    def _read(self) -> _Kept:
        try:
            return decode_json(read_sealed(self.place) or b"", _Kept)
        except msgspec.MsgspecError:
            return _Kept()

    def _write(self, kept: _Kept) -> None:
        write_sealed(self.place, msgspec.json.encode(kept), sync=False)
