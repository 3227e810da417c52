"""`invoke build` beside `go build` by hand and GoReleaser: same flags, same bytes, turns alternate.

All use one warm cache of Go's, except where it is to be cold: then each begins with an
empty one. What one tool compiled would be in it for the next one, so every edit is
another one. Links are in no cache; each tool finds its own outputs, and they are the
same bytes whoever made them, which is checked.

ko is not among them, see ``ABSENT``.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from buildkit.digest import Digest
from buildkit.errors import BuildError
from buildkit.platform import Platform
from tests.bench.build_peers import GORELEASER_MODULE, ByHand, GoReleaser, Ours, Place, unit
from tests.bench.build_results import BY_HAND, GORELEASER, LEAST, BuildResults, Scenario
from tests.bench.gomodule import BINARIES, EDITED, PLATFORMS, GoModule
from tests.bench.measure import Cost, Job, measure
from tests.bench.peers import install
from tests.bench.results import IMPORT, OURS
from tests.bench.turns import Turn, Turns, bare_import

EVERY = frozenset(unit(name, platform) for name in BINARIES for platform in PLATFORMS)

_COLD_ROUNDS = 1
"""A turn takes minutes, so that what disturbs it for a second does not count."""


@dataclass(slots=True, kw_only=True)
class Bench:
    """One run of all scenarios.

    Attributes:
        module: what is compiled.
        folder: has a directory per tool.
        gocache: the warm cache that all share.
        turns: notes what each turn costs.
        program: GoReleaser.
        cold: also measure with empty caches, once.
        edits: numbers, each of which is taken once.
    """

    module: GoModule
    folder: Path
    gocache: Path
    turns: Turns
    program: Path
    cold: bool
    edits: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self) -> None:
        """Measure everything.

        Raises:
            BuildError: a command failed, or did not do its work.
        """
        self.module.create()
        self._warm()
        self._nothing_changed()
        self.turns.alternate(
            Scenario.LIST,
            {IMPORT: bare_import(self.module.folder), OURS: self._job(self._ours.listing)},
        )
        self._commit()
        self._leaf()
        if self.cold:
            self._cold()

    def _warm(self) -> None:
        for tool in (self._by_hand, self._ours, self._goreleaser):
            tool.place.forget()
        for ready in (self._ours, self._goreleaser):
            ready.prepare()
        made = {}
        for name, turn in self._whole(EVERY).items():
            self.turns.tell(f"warming {name}")
            turn()
            made[name] = self._places[name].digests()
        check_same(made)

    def _nothing_changed(self) -> None:
        self.turns.tell("nothing changed: no other program is started")
        self._ours.check(measure(self._ours.guarded()).output, frozenset())
        bare = bare_import(self.module.folder)
        self.turns.alternate(Scenario.NOTHING, {IMPORT: bare, **self._whole(frozenset())})

    def _commit(self) -> None:
        """Ours keeps what it has; the others link every binary with the new revision."""

        def alone(turn: Turn) -> Turn:
            def taken() -> Cost:
                self.module.commit(next(self.edits))
                return turn()

            return taken

        # What ours makes is counted, not refused: it is one of the numbers that are wanted.
        whole = self._whole(frozenset()) | {OURS: self._job(self._ours.job)}
        turns = {name: alone(turn) for name, turn in whole.items()}
        before = self._by_hand.place.digests()
        self.turns.alternate(Scenario.COMMIT, turns)
        if set(before.values()) & set(self._by_hand.place.digests().values()):
            raise BuildError("a binary by hand does not have the new revision")

    def _leaf(self) -> None:
        host = f"linux/{Platform.host().arch}"
        made = frozenset({unit(EDITED, host)})

        def edited(turn: Turn) -> Turn:
            def taken() -> Cost:
                self.module.edit(next(self.edits))
                return turn()

            return taken

        turns = {
            LEAST: self._job(lambda: self._by_hand.least(host)),
            OURS: self._by_us(made, "--platform", host),
            BY_HAND: self._job(lambda: self._by_hand.job((host,))),
            GORELEASER: self._job(lambda: self._goreleaser.single(host)),
        }
        self.turns.alternate(Scenario.LEAF, {name: edited(turn) for name, turn in turns.items()})

    def _cold(self) -> None:
        """Compile from nothing, with nothing kept of earlier turns."""
        # We would say that the tree is another one than its commit, and so make other bytes.
        self.module.commit(next(self.edits))
        empty = self.folder / "empty"
        bench = replace(
            self,
            gocache=empty,
            turns=replace(self.turns, rounds=min(self.turns.rounds, _COLD_ROUNDS)),
        )

        def emptied(name: str, turn: Turn) -> Turn:
            def taken() -> Cost:
                shutil.rmtree(empty, ignore_errors=True)
                self._places[name].forget()
                bench._ours.prepare()  # noqa: SLF001 - the same class
                bench._goreleaser.prepare()  # noqa: SLF001
                return turn()

            return taken

        turns = bench._whole(EVERY)  # noqa: SLF001
        bench.turns.alternate(
            Scenario.COLD, {name: emptied(name, turn) for name, turn in turns.items()}
        )
        check_same({name: place.digests() for name, place in bench._places.items()})  # noqa: SLF001
        shutil.rmtree(empty)

    def _whole(self, made: frozenset[str]) -> dict[str, Turn]:
        """Return the turns that make the whole matrix, by hand first: it warms the cache."""
        return {
            BY_HAND: self._job(self._by_hand.job),
            OURS: self._by_us(made),
            GORELEASER: self._job(self._goreleaser.job),
        }

    def _job(self, job: Callable[[], Job]) -> Turn:
        # What a job stamps is looked up when its turn comes.
        return lambda: measure(job())

    def _by_us(self, made: frozenset[str], *flags: str) -> Turn:
        def taken() -> Cost:
            cost = measure(self._ours.job(*flags))
            self._ours.check(cost.output, made)
            return cost

        return taken

    @property
    def _ours(self) -> Ours:
        return Ours(place=self._place("ours"))

    @property
    def _by_hand(self) -> ByHand:
        return ByHand(place=self._place("by-hand"))

    @property
    def _goreleaser(self) -> GoReleaser:
        return GoReleaser(place=self._place("goreleaser"), program=self.program)

    @property
    def _places(self) -> dict[str, Place]:
        return {
            BY_HAND: self._by_hand.place,
            OURS: self._ours.place,
            GORELEASER: self._goreleaser.place,
        }

    def _place(self, name: str) -> Place:
        return Place(module=self.module, state=self.folder / name, gocache=self.gocache)


def check_same(made: Mapping[str, Mapping[str, Digest]]) -> None:
    """See that all tools made the same bytes.

    Args:
        made: per tool, the digest of each binary.

    Raises:
        BuildError: two differ.
    """
    (first, wanted), *others = made.items()
    for name, found in others:
        differing = [path for path in wanted if found.get(path) != wanted[path]]
        if differing:
            raise BuildError(f"{first} and {name} differ in {', '.join(sorted(differing))}")


def bench_build(
    folder: Path,
    module: GoModule,
    *,
    gocache: Path,
    rounds: int,
    cold: bool,
    tell: Callable[[str], None],
) -> BuildResults:
    """Run all scenarios below a directory, which keeps the tools for the next time.

    Args:
        folder: where everything lies but the module.
        module: what is compiled; written anew.
        gocache: a directory for Go's cache; what it holds makes warming quicker.
        rounds: how often each tool takes its turn.
        cold: also measure with empty caches, once.
        tell: takes what happens.
    """
    results = BuildResults()
    work = folder / "build"
    work.mkdir(parents=True, exist_ok=True)
    try:
        Bench(
            module=module,
            folder=work,
            gocache=gocache,
            turns=Turns(rounds=rounds, tell=tell, results=results),
            program=install(GORELEASER_MODULE, folder / "tools"),
            cold=cold,
        ).run()
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(module.folder, ignore_errors=True)
    return results
