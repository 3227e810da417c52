"""A crew around one builder that does what a test asks, and the book it writes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from buildkit.errors import BuildError, BuildkitError
from buildkit.execute.outcomes import Outcome, Status
from buildkit.execute.scheduler import Crew, execute
from buildkit.log import Silent
from buildkit.plan.action_cache import ActionCache
from buildkit.plan.hashing import Hasher
from buildkit.plan.planner import Plan, Planner
from buildkit.plan.records import RecordBook
from buildkit.plan.units import Artifact, Kind, Progress, Step, Unit
from buildkit.platform import Platform
from buildkit.store import Store
from tests.fakes.units import artifact, binary, compile_action, image, running

Act = Callable[[Progress], None]
ARM = Platform("linux", "arm64")


class Journal(Silent):
    """Remembers what was reported."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, unit: str) -> None:
        self.lines.append(f"start {unit}")

    def progress(self, unit: str, text: str) -> None:
        self.lines.append(f"{unit}: {text}")

    def warn(self, text: str) -> None:
        self.lines.append(f"warning {text}")

    def finished(self, unit: str, status: str, seconds: float, reason: str) -> None:
        del seconds
        self.lines.append(f"{status} {unit} ({reason})")


@dataclass
class Smith:
    """A builder that does what a test asks of a unit, and counts what runs at once."""

    acts: dict[str, Act] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    untrusted: set[str] = field(default_factory=set)
    batches: list[tuple[str, ...]] = field(default_factory=list)
    given: dict[str, list[str]] = field(default_factory=dict)
    most: int = 0
    busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def build(
        self, steps: tuple[Step, ...], given: Mapping[str, Artifact], progress: Progress
    ) -> tuple[Artifact, ...]:
        ids = tuple(step.unit.id for step in steps)
        with self._lock:
            self.batches.append(ids)
            self.given |= {identity: sorted(given) for identity in ids}
            self.busy += 1
            self.most = max(self.most, self.busy)
        try:
            for identity in ids:
                self.acts.get(identity, _work_a_little)(progress)
        finally:
            with self._lock:
                self.busy -= 1
        made = (
            replace(
                artifact(i, self.digests.get(i, f"sha256:{i}")), peak_memory=self.peaks.get(i, 0)
            )
            for i in ids
        )
        return tuple(replace(m, sources=None) if m.unit in self.untrusted else m for m in made)

    @property
    def order(self) -> list[str]:
        return [identity for batch in self.batches for identity in batch]


def _work_a_little(_progress: Progress) -> None:
    time.sleep(0.005)


class Site:
    """A crew around one smith, and the book it writes."""

    def __init__(self, root: Path) -> None:
        self.smith, self.journal, self.cancelled = Smith(), Journal(), threading.Event()
        self.template = root / "Dockerfile.j2"
        self.template.write_text("FROM base")
        self.hasher = Hasher({})
        self.store = Store.open(root / "cache")
        self.path = root / "records.json"
        self.book = RecordBook.open(self.path)
        self.limits = dict.fromkeys(Kind, 4)
        self.frugal: dict[Kind, Smith] = {}
        self.available = sys.maxsize
        self.fail_fast = False
        self.absent: BuildkitError | None = None

    def presence(self, _unit: Unit, _artifact: Artifact) -> str | None:
        if self.absent is not None:
            raise self.absent
        return None

    def run(self, *steps: Step, made: Mapping[str, Artifact] | None = None) -> list[Outcome]:
        planner = Planner(
            book=self.book,
            hasher=self.hasher,
            presence=dict.fromkeys(Kind, self.presence),
            cache=ActionCache(open_store=lambda: self.store),
        )
        crew = Crew(
            builders=dict.fromkeys(Kind, self.smith),
            planner=planner,
            book=self.book,
            hasher=self.hasher,
            reporter=self.journal,
            limits=self.limits,
            cancel=self.cancelled.set,
            frugal=self.frugal,
            available=self.available,
            fail_fast=self.fail_fast,
        )
        return list(execute(Plan(steps=steps, artifacts=dict(made or {})), crew))

    def image(self, name: str, base: str, *needs: str) -> Step:
        return running(image(name, base, needs=needs, template=self.template))

    def fail(self, identity: str, error: Exception | None = None) -> None:
        def act(_progress: Progress) -> None:
            raise error or BuildError("it did not compile")

        self.smith.acts[identity] = act

    def recorded(self) -> list[str]:
        return sorted(RecordBook.open(self.path).units())


def compiled(name: str, group: str = "", platform: Platform | None = None) -> Step:
    action = replace(compile_action(Path("/src"), Path(f"/out/{name}")), group=group)
    return running(binary(name, action, platform or Platform("linux", "amd64")))


def statuses(outcomes: list[Outcome]) -> dict[str, tuple[Status, str]]:
    return {outcome.unit.id: (outcome.status, outcome.reason) for outcome in outcomes}


A, B = "binary/a@linux/amd64", "binary/b@linux/amd64"
ONE, TWO = "image/one@linux/amd64", "image/two@linux/amd64"
