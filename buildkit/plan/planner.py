"""Decide for every unit whether it runs, and why; nothing is changed or started."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Mapping
from itertools import filterfalse
from pathlib import Path

from msgspec import Struct, field

from buildkit.plan.action_cache import ActionCache
from buildkit.plan.command_files import outputs_digest
from buildkit.plan.graph import Graph
from buildkit.plan.hashing import Hasher
from buildkit.plan.inputs import inputs
from buildkit.plan.records import Record, RecordBook, recorded_artifact
from buildkit.plan.sources import SourceTree
from buildkit.plan.units import (
    Artifact,
    Compile,
    Kind,
    RunCommand,
    SourceDirectory,
    Step,
    Unit,
    Verdict,
)
from buildkit.plan.unlocked import unlocked

Presence = Callable[[Unit, Artifact], str | None]
"""Says why a recorded artifact is no longer there as recorded; None where it is."""


class Plan(Struct, frozen=True, kw_only=True):
    """Every unit's verdict, each after those that it needs.

    ``artifacts`` are what cached units made and what restored ones will be.
    """

    steps: tuple[Step, ...]
    artifacts: dict[str, Artifact]
    notes: tuple[str, ...] = ()

    @property
    def unlocked(self) -> dict[str, tuple[str, ...]]:
        """The units that no lock vouches for; a release must have none."""
        return unlocked(step.unit for step in self.steps)

    @property
    def running(self) -> tuple[Step, ...]:
        """The steps that have work to do."""
        return tuple(s for s in self.steps if s.verdict in {Verdict.RUN, Verdict.RESTORED})


class _Looked(Struct):
    """What was found of the directories of one source, by their keys."""

    same: set[str] = field(default_factory=set)
    changed: dict[str, str] = field(default_factory=dict)


class Planner(Struct, kw_only=True):
    """Plans graphs against the records of earlier runs.

    Attributes:
        book: those records.
        hasher: tells digests of files.
        presence: per kind, whether what was made is still there.
        blocked: per kind, why it cannot be made on this machine now.
        skipped: per kind, why it is left out here, which is no failure.
        cache: what the same inputs gave before, here or elsewhere.
        force: run everything.
    """

    book: RecordBook
    hasher: Hasher
    presence: Mapping[Kind, Presence]
    cache: ActionCache
    blocked: Mapping[Kind, str] = field(default_factory=dict)
    skipped: Mapping[Kind, str] = field(default_factory=dict)
    force: bool = False
    _changes: dict[str, _Looked] = field(default_factory=dict)

    def plan(self, graph: Graph) -> Plan:
        """Decide every unit of a graph."""
        steps: dict[str, Step] = {}
        artifacts: dict[str, Artifact] = {}
        for unit in graph.units:
            verdict, reason = self._verdict(unit, steps, artifacts)
            # A need that runs may change what is looked at now.
            waits = any(steps[need].verdict is Verdict.RUN for need in unit.needs)
            known = None if waits else self._known(unit, verdict)
            if known is not None:
                artifacts[unit.id] = known
                if verdict is Verdict.RUN:
                    verdict = Verdict.RESTORED
                    reason = f"{reason}; made before from the same inputs"
            steps[unit.id] = Step(unit=unit, verdict=verdict, reason=reason)
        return Plan(steps=tuple(steps.values()), artifacts=artifacts, notes=graph.notes)

    def reusable(self, unit: Unit, given: Mapping[str, Artifact]) -> Artifact | None:
        """Return what an earlier run made, if it was from these very artifacts and is there.

        Asked when a unit's turn comes: a need that ran may have given the same bytes.
        """
        record = self.book.get(unit.id)
        if isinstance(unit.action, Compile):
            # A command may have written into the source since the plan was made.
            self._changes.clear()
        if record is None or self.force or self._reason(unit, record, given):
            return None
        return recorded_artifact(unit, record)

    def _known(self, unit: Unit, verdict: Verdict) -> Artifact | None:
        """Return what a unit has made, or would make, without running it."""
        if verdict is Verdict.CACHED:
            record = self.book.get(unit.id)
            return recorded_artifact(unit, record) if record else None
        if verdict is not Verdict.RUN or self.force or unit.output is None:
            return None
        return self.cache.find(
            unit,
            inputs(unit, {}, self.hasher),
            lambda key, load: self._change(unit, (key,), load) is None,
        )

    def _verdict(
        self, unit: Unit, steps: Mapping[str, Step], artifacts: Mapping[str, Artifact]
    ) -> tuple[Verdict, str]:
        for need in unit.needs:
            if steps[need].verdict in {Verdict.BLOCKED, Verdict.SKIP}:
                return steps[need].verdict, f"waits for {need}: {steps[need].reason}"
        for verdict, kinds in ((Verdict.SKIP, self.skipped), (Verdict.BLOCKED, self.blocked)):
            if unit.kind in kinds:
                return verdict, kinds[unit.kind]
        if self.force:
            return Verdict.RUN, "--force"
        running = [need for need in unit.needs if steps[need].verdict is Verdict.RUN]
        if running:
            return Verdict.RUN, f"needs {_some(running)}"
        record = self.book.get(unit.id)
        if record is None:
            return Verdict.RUN, "never made here"
        reason = self._reason(unit, record, artifacts)
        return (Verdict.RUN, reason) if reason else (Verdict.CACHED, "up to date")

    def _reason(self, unit: Unit, record: Record, given: Mapping[str, Artifact]) -> str | None:
        changed = changed_input(record.inputs, inputs(unit, given, self.hasher))
        if changed:
            return changed
        source = self._change(unit, record.sources, self.book.directory)
        return source or self.presence[unit.kind](unit, recorded_artifact(unit, record))

    def _change(
        self, unit: Unit, keys: Iterable[str], load: Callable[[str], SourceDirectory | None]
    ) -> str | None:
        """Say what differs in the first directory that changed."""
        root = str(unit.action.source if isinstance(unit.action, Compile) else Path())
        tree = SourceTree(root=root, hasher=self.hasher)
        # Binaries share most directories, on all platforms: each is looked at once per run.
        found = self._changes.setdefault(root, _Looked())
        for key in filterfalse(found.same.__contains__, keys):
            if key not in found.changed:
                before = load(key)
                change = tree.change(before) if before else "its record is damaged"
                if change is None:
                    found.same.add(key)
                    continue
                found.changed[key] = change
            return found.changed[key]
        return None


def file_present(hasher: Hasher) -> Presence:
    """Return the presence check of units whose artifact is a file."""

    def check(unit: Unit, artifact: Artifact) -> str | None:
        path = artifact.path or Path()
        digest = hasher.digest(path)
        if digest is None:
            return f"{path.name} is missing"
        if digest != artifact.digest:
            return f"{path.name} was altered"
        lost = unit.output is not None and not path.stat().st_mode & stat.S_IXUSR
        return f"{path.name} is no longer executable" if lost else None

    return check


def outputs_present(hasher: Hasher) -> Presence:
    """Return the presence check of commands."""

    def check(unit: Unit, artifact: Artifact) -> str | None:
        action = unit.action
        if not isinstance(action, RunCommand):
            raise TypeError(unit.id)
        for name in action.outputs:
            if not (action.folder / name).exists():
                return f"{name} is missing"
        found = outputs_digest(action.folder, action.outputs, hasher)
        return None if found == artifact.digest else f"an output of {action.name} was altered"

    return check


def changed_input(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """Say which input differs, with its values where they are short."""
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if old is None or new is None:
            return f"{name} {'is new' if old is None else 'is gone'}"
        if len(old) + len(new) > _SHORT or old.startswith("sha256:"):
            return f"{name} changed"
        return f"{name} changed from '{old}' to '{new}'"
    return None


_SHORT = 60
_NAMED = 2


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
