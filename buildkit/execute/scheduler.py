"""One ready set over all kinds of units; knows only the Builder protocol."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from msgspec import Struct, field
from msgspec.structs import replace

from buildkit.errors import (
    BuildkitError,
    CancelledError,
    EnvironmentMissingError,
)
from buildkit.execute.batches import Batch, make_batches
from buildkit.execute.expected import Memory, critical_paths
from buildkit.execute.outcomes import Outcome, Status
from buildkit.log import Reporter
from buildkit.plan.hashing import Hasher, Witness
from buildkit.plan.inputs import inputs
from buildkit.plan.planner import Plan, Planner
from buildkit.plan.records import RecordBook
from buildkit.plan.units import Artifact, Builder, Kind, Progress, Step, Unit, Verdict
from buildkit.proc import OutOfMemoryError

_POLL_SECONDS = 0.2

_SETTLED = {
    Verdict.CACHED: Status.CACHED,
    Verdict.SKIP: Status.SKIPPED,
    Verdict.BLOCKED: Status.BLOCKED,
}
"""What needs no work, and how it ended."""


class Crew(Struct, frozen=True, kw_only=True):
    """Who makes what, and within which limits.

    Attributes:
        builders: per kind.
        planner: asked again when a unit's turn comes.
        limits: how many batches of a kind may run at once.
        frugal: per kind, a builder that takes less memory and longer.
        available: the bytes of memory for all that run at once.
        fail_fast: after a failure, start nothing more and end what is running.
        cancel: ends what is running.
    """

    builders: Mapping[Kind, Builder]
    planner: Planner
    book: RecordBook
    hasher: Hasher
    reporter: Reporter
    limits: Mapping[Kind, int]
    cancel: Callable[[], None]
    frugal: Mapping[Kind, Builder] = field(default_factory=dict)
    available: int = sys.maxsize
    fail_fast: bool = False

    @property
    def memory(self) -> Memory:
        """What there is of memory, and what batches are expected to take."""
        return Memory(available=self.available, book=self.book)

    def builder(self, batch: Batch) -> Builder:
        """Return who makes a batch: in less memory, where there is too little."""
        usual = self.builders[batch.kind]
        return self.frugal.get(batch.kind, usual) if self.memory.is_short(batch) else usual


def execute(plan: Plan, crew: Crew) -> tuple[Outcome, ...]:
    """Carry out a plan and return one outcome per step, in the plan's order.

    A failed unit aborts those that need it; all others finish. With ``fail_fast``
    it aborts all others, those that are being made included.

    Raises:
        CancelledError: the user ended the run; children are gone.
    """
    run = _Run(plan, crew)
    try:
        run.all()
    except KeyboardInterrupt as interrupt:
        crew.cancel()
        raise CancelledError("stopped by the user", details="Nothing half-written remains.") from (
            interrupt
        )
    return tuple(run.outcomes[step.unit.id] for step in plan.steps)


class _Run:
    """The moving parts of one execution."""

    def __init__(self, plan: Plan, crew: Crew) -> None:
        self._crew = crew
        self._artifacts = dict(plan.artifacts)
        self._batches, self._sorter = make_batches(plan)
        self._paths = critical_paths(self._batches, crew.book)
        self._waiting: list[Batch] = []
        self._busy: Counter[str] = Counter()
        self._futures: dict[Future[list[Outcome]], Batch] = {}
        self._stopping = ""
        self._gate = _Gate()
        self.outcomes = {
            step.unit.id: _settled(step, plan.artifacts)
            for step in plan.steps
            if step.verdict in _SETTLED
        }

    def all(self) -> None:
        """Run every batch, each as soon as what it needs is there and a place is free."""
        workers = max(1, sum(self._crew.limits.values()))
        with ThreadPoolExecutor(max_workers=workers) as pool:
            try:
                while self._sorter.is_active():
                    self._waiting += [self._batches[key] for key in self._sorter.get_ready()]
                    self._waiting.sort(key=self._urgency)
                    self._start(pool)
                    done, _ = wait(
                        self._futures, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED
                    )
                    for future in done:
                        self._finish(future)
            except BaseException:
                self._gate.close()
                self._crew.cancel()
                self._gate.drain()
                raise

    def _urgency(self, batch: Batch) -> tuple[bool, float]:
        return (not batch.is_alone, -self._paths[batch.key])

    def _start(self, pool: ThreadPoolExecutor) -> None:
        for batch in tuple(self._waiting):
            refusal = self._refusal(batch)
            if refusal:
                self._waiting.remove(batch)
                self._note(batch, [_aborted(step, refusal) for step in batch.steps])
                self._sorter.done(batch.key)
            elif self._has_place(batch):
                self._waiting.remove(batch)
                self._busy.update((batch.place, batch.lane))
                self._futures[self._submit(pool, batch)] = batch

    def _submit(self, pool: ThreadPoolExecutor, batch: Batch) -> Future[list[Outcome]]:
        def progress(text: str) -> None:
            # What no child process does, a download or a daemon's stream, ends here.
            if self._gate.is_closed:
                raise CancelledError(f"{batch.key} was stopped")
            self._crew.reporter.progress(batch.key, text)

        def work() -> list[Outcome]:
            with self._gate:
                return _work(batch, self._crew, self._artifacts, progress)

        return pool.submit(work)

    def _refusal(self, batch: Batch) -> str:
        if self._stopping:
            return self._stopping
        for step in batch.steps:
            for need in step.unit.needs:
                if need not in self._artifacts:
                    failed = self.outcomes[need].status is Status.FAILED
                    return f"{need} {'failed' if failed else 'was not made'}"
        return ""

    def _has_place(self, batch: Batch) -> bool:
        if batch.lane and self._busy[batch.lane]:
            return False
        if any(other.is_alone for other in self._waiting if other is not batch):
            return False
        is_free = self._busy[batch.place] < self._crew.limits[batch.place]
        return is_free and self._crew.memory.has_room(batch, self._futures.values())

    def _finish(self, future: Future[list[Outcome]]) -> None:
        batch = self._futures.pop(future)
        self._busy.subtract((batch.place, batch.lane))
        outcomes = self._ended(future, batch)
        if not self._stopping and self._tries_again(batch, outcomes[0].error):
            return
        self._note(batch, outcomes)
        failed = [outcome for outcome in outcomes if outcome.status is Status.FAILED]
        self._sorter.done(batch.key)
        if failed and self._crew.fail_fast and not self._stopping:
            self._stopping = f"--fail-fast, after {failed[0].unit.id}"
            self._gate.close()
            self._crew.cancel()

    def _ended(self, future: Future[list[Outcome]], batch: Batch) -> list[Outcome]:
        """Return how a batch ended; what ``fail_fast`` cut off did not fail."""
        if isinstance(future.exception(), CancelledError):
            return [_aborted(step, self._stopping) for step in batch.steps]
        outcomes = future.result()
        if not self._stopping or not isinstance(outcomes[0].error, CancelledError):
            return outcomes
        end = {"status": Status.ABORTED, "reason": self._stopping, "error": None}
        return [replace(outcome, **end) for outcome in outcomes]

    def _tries_again(self, batch: Batch, error: BuildkitError | None) -> bool:
        """Put back, to run alone, what was killed for lack of memory; only once."""
        if batch.is_alone or not isinstance(error, OutOfMemoryError):
            return False
        numbers = self._crew.memory.numbers(batch)
        self._crew.reporter.warn(f"{error.brief}: {numbers}; it is made again, alone")
        self._waiting.append(replace(batch, is_alone=True))
        return True

    def _note(self, batch: Batch, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self.outcomes[outcome.unit.id] = outcome
            if outcome.artifact is not None:
                self._artifacts[outcome.unit.id] = outcome.artifact
        first, reason = outcomes[0], _reasons(outcomes)
        self._crew.reporter.finished(batch.key, first.status, first.seconds, reason)


class _Gate:
    """Counts the batches that are being made; closed, it lets no other one begin.

    The pool itself forgets a thread whose start was interrupted, and would not wait for it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self.is_closed = False

    def __enter__(self) -> None:
        with self._changed:
            if self.is_closed:
                raise CancelledError("the run is ending")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.is_closed = True

    def drain(self) -> None:
        """Wait for those inside."""
        with self._changed:
            self._changed.wait_for(lambda: not self._inside)


def _reasons(outcomes: list[Outcome]) -> str:
    """Return the reason that the units of a batch share, or one and how many others."""
    first, *others = dict.fromkeys(outcome.reason for outcome in outcomes)
    return f"{first}, and {len(others)} more reasons" if others else first


def _work(
    batch: Batch, crew: Crew, artifacts: Mapping[str, Artifact], progress: Progress
) -> list[Outcome]:
    """Make or reuse a batch; its units all end alike."""
    started = time.monotonic()
    given = {need: artifacts[need] for step in batch.steps for need in step.unit.needs}
    try:
        reused = [outcome for step in batch.steps if (outcome := _reuse(step, given, crew))]
        if len(reused) == len(batch.steps):
            return reused
        if batch.is_restored and (restored := _restore(batch.steps[0], artifacts, crew)):
            return [restored]
        crew.reporter.started(batch.key)
        return _make(batch, given, crew, progress)
    except OutOfMemoryError as error:
        return _failures(batch, crew.memory.explained(batch, error), started)
    except BuildkitError as error:
        return _failures(batch, error, started)
    except OSError as error:
        # A full disk can show in any builder, and in writing its record.
        found = EnvironmentMissingError.of_file(f"{batch.key} cannot be made here", error)
        return _failures(batch, found, started)


def _make(
    batch: Batch, given: Mapping[str, Artifact], crew: Crew, progress: Progress
) -> list[Outcome]:
    started = time.monotonic()
    witness = Witness(crew.hasher)
    before = [inputs(step.unit, given, witness) for step in batch.steps]
    artifacts = crew.builder(batch).build(batch.steps, given, progress)
    seconds = time.monotonic() - started
    outcomes = []
    for step, artifact, used in zip(batch.steps, artifacts, before, strict=True):
        if artifact.sources is not None and _has_stayed(step.unit, given, used, witness, crew):
            peak = crew.memory.learned(batch, artifact.peak_memory)
            crew.book.note(replace(artifact, peak_memory=peak), used, seconds)
            crew.planner.cache.keep(step.unit, used, artifact)
        outcomes.append(
            Outcome(
                unit=step.unit,
                status=Status.DONE,
                reason=step.reason,
                seconds=seconds,
                artifact=artifact,
            )
        )
    crew.book.save(crew.hasher)
    return outcomes


def _has_stayed(
    unit: Unit,
    given: Mapping[str, Artifact],
    used: Mapping[str, str],
    witness: Witness,
    crew: Crew,
) -> bool:
    """Tell whether a unit was made of the inputs that were looked at before.

    A file that was edited and changed back meanwhile has its old content, and a new time. A
    command may write its own inputs anew, as a formatter does.
    """
    is_unmoved = unit.kind is Kind.COMMAND or witness.is_unmoved
    return is_unmoved and inputs(unit, given, crew.hasher) == used


def _reuse(step: Step, given: Mapping[str, Artifact], crew: Crew) -> Outcome | None:
    if not step.unit.needs:
        return None
    artifact = crew.planner.reusable(step.unit, given)
    if artifact is None:
        return None
    reason = "what it needs came out the same"
    return Outcome(unit=step.unit, status=Status.CACHED, reason=reason, artifact=artifact)


def _restore(step: Step, artifacts: Mapping[str, Artifact], crew: Crew) -> Outcome | None:
    """Take a unit's output from the cache; None where it is damaged or gone by now."""
    started = time.monotonic()
    artifact = artifacts[step.unit.id]
    used = inputs(step.unit, {}, crew.hasher)
    if not crew.planner.cache.restore(step.unit, used, artifact):
        return None
    seconds = time.monotonic() - started
    crew.book.put(artifact, used, seconds, crew.hasher)
    return Outcome(
        unit=step.unit,
        status=Status.RESTORED,
        reason=step.reason,
        seconds=seconds,
        artifact=artifact,
    )


def _settled(step: Step, artifacts: Mapping[str, Artifact]) -> Outcome:
    artifact = artifacts.get(step.unit.id)
    status = _SETTLED[step.verdict]
    return Outcome(unit=step.unit, status=status, reason=step.reason, artifact=artifact)


def _failures(batch: Batch, error: BuildkitError, started: float) -> list[Outcome]:
    seconds = time.monotonic() - started
    return [
        Outcome(
            unit=step.unit,
            status=Status.FAILED,
            reason=error.brief,
            seconds=seconds,
            error=error,
        )
        for step in batch.steps
    ]


def _aborted(step: Step, reason: str) -> Outcome:
    return Outcome(unit=step.unit, status=Status.ABORTED, reason=reason)
