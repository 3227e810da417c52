"""The engine beside crane, ko and the daemon: same files, loopback registry, alternating turns.

Four questions, with the answers that are wanted:

- nothing changed, the whole command: at most 0.25 s more than ``import invoke``;
- one program of 100 MB changed: at most 0.3 of what crane needs to append and push
  all six, and nothing else is pushed;
- the first push: at most what crane needs;
- the largest resident set: below 200 MB.

What a registry or a daemon does for a tool is in its time and not in its cores' time.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from buildkit.platform import Platform
from buildkit.store import Store
from tests.bench.image_results import ImageResults, Scenario
from tests.bench.measure import Cost, measure
from tests.bench.peers import CRANE, KO, Crane, Docker, Ko, Ours, install
from tests.bench.results import IMPORT, OURS
from tests.bench.turns import Turn, Turns, bare_import
from tests.bench.workload import CHANGED, Workload
from tests.integration.registry_servers import built_program, serve

CRANE_GZIP, CRANE_STORED, DOCKER, KO_BUILD = "crane", "crane, stored", "docker", "ko"


@dataclass(slots=True, kw_only=True)
class Bench:
    """One run of all scenarios.

    Attributes:
        workload: the files.
        rounds: how often each turn is taken.
        tell: takes what happens.
        results: grows.
    """

    workload: Workload
    rounds: int
    tell: Callable[[str], None]
    results: ImageResults

    def run(self) -> ImageResults:
        """Measure everything.

        Raises:
            BuildError: a command failed, or did not do its work.
        """
        self.tell(f"writing {sum(map(self.workload.size, self.workload.names)) / 1e6:.0f} MB")
        self.workload.create()
        with self._registry() as hub:
            try:
                self._nothing_changed(hub)
                self._one_changed(hub)
            finally:
                self._docker.forget(hub)
        self._first_push()
        return self.results

    def _nothing_changed(self, hub: str) -> None:
        ko = Ko(workload=self.workload, program=self._tool(KO), folder=self._place / "ko")
        ko.prepare()
        ours = self._ours(load=self._has_docker)
        ours.forget()
        ours.check(measure(ours.job(hub)).output, frozenset(self.workload.names))

        def turn() -> Cost:
            cost = measure(ours.job(hub))
            ours.check(cost.output, frozenset())
            return cost

        turns: dict[str, Turn] = {IMPORT: bare_import(self.workload.folder), OURS: turn}
        turns[KO_BUILD] = lambda: measure(ko.job(hub))
        if self._has_docker:
            turns[DOCKER] = lambda: measure(self._docker.job(hub, cached=True))
        for name in turns.keys() - {IMPORT, OURS}:
            self.tell(f"warming {name}")
            turns[name]()
        self._turns.alternate(Scenario.NOTHING, turns)

    def _one_changed(self, hub: str) -> None:
        ours = self._ours(load=False)
        measure(ours.job(hub))

        def turn() -> Cost:
            cost = measure(ours.job(hub))
            ours.check(cost.output, frozenset({CHANGED}))
            return cost

        turns: dict[str, Turn] = {OURS: turn}
        for name, crane in self._cranes().items():
            measure(crane.job(hub, ()))
            turns[name] = partial(self._by_crane, crane, (CHANGED,), hub)
        self._turns.alternate(Scenario.CHANGED, turns, before=self.workload.change)

    def _first_push(self) -> None:
        """Push to an empty registry; nothing is remembered of earlier turns."""

        def turn() -> Cost:
            ours = self._ours(load=False)
            ours.forget()
            with self._registry() as hub:
                cost = measure(ours.job(hub))
            ours.check(cost.output, frozenset(self.workload.names))
            return cost

        turns: dict[str, Turn] = {OURS: turn}
        for name, crane in self._cranes().items():
            turns[name] = self._alone(partial(self._by_crane, crane, self.workload.names))
        if self._has_docker:
            turns[DOCKER] = self._alone(self._by_docker)
        self._turns.alternate(Scenario.FIRST, turns)

    def _by_crane(self, crane: Crane, changed: tuple[str, ...], hub: str) -> Cost:
        cost = measure(crane.job(hub, changed))
        crane.check(hub)
        return cost

    def _by_docker(self, hub: str) -> Cost:
        try:
            return measure(self._docker.job(hub, cached=False))
        finally:
            self._docker.forget(hub)

    def _alone(self, work: Callable[[str], Cost]) -> Turn:
        def turn() -> Cost:
            with self._registry() as hub:
                return work(hub)

        return turn

    def _cranes(self) -> dict[str, Crane]:
        program = self._tool(CRANE)
        return {
            name: Crane(workload=self.workload, program=program, stored=stored)
            for name, stored in ((CRANE_GZIP, False), (CRANE_STORED, True))
        }

    def _ours(self, *, load: bool) -> Ours:
        return Ours(workload=self.workload, state=self._place / "state", load=load)

    def _tool(self, module: str) -> Path:
        return install(module, self._place / "tools")

    @contextmanager
    def _registry(self) -> Iterator[str]:
        folder = self._place / "registry"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        found = shutil.which("docker-registry") or shutil.which("registry")
        program = Path(found) if found else built_program(Store.open(self._place / "tools"))
        with serve(program, folder) as port:
            yield f"localhost:{port}"

    @property
    def _turns(self) -> Turns:
        return Turns(rounds=self.rounds, tell=self.tell, results=self.results)

    @property
    def _place(self) -> Path:
        return self.workload.folder.parent

    @property
    def _docker(self) -> Docker:
        return Docker(workload=self.workload)

    @property
    def _has_docker(self) -> bool:
        return shutil.which("docker") is not None


def bench_images(
    folder: Path, *, rounds: int, tell: Callable[[str], None], scale: int = 1
) -> ImageResults:
    """Run all scenarios below a directory, which keeps the tools for the next time."""
    # Ruff is a development dependency, and the largest executable that all of them bring.
    workload = Workload(
        folder=folder / "work",
        code=Path(sys.executable).with_name("ruff"),
        platform=f"linux/{Platform.host().arch}",
        scale=scale,
    )
    try:
        results = ImageResults(smallest=min(map(workload.size, workload.names)))
        return Bench(workload=workload, rounds=rounds, tell=tell, results=results).run()
    finally:
        for part in ("work", "registry", "state", "ko"):
            shutil.rmtree(folder / part, ignore_errors=True)
