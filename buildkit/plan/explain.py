"""The whole reason of a verdict: every input, what changed of it, and what was made before."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from buildkit.config.problems import near_miss
from buildkit.digest import Digest
from buildkit.errors import UsageError
from buildkit.plan.changes import Change, input_changes, source_changes, source_files
from buildkit.plan.graph import Graph, matches
from buildkit.plan.inputs import inputs
from buildkit.plan.planner import Plan, Planner
from buildkit.plan.records import Record, directory_key, recorded_artifact
from buildkit.plan.sources import SourceTree
from buildkit.plan.units import Artifact, Compile, SourceDirectory, Step, Unit

UNMADE = "not known before it is made"
"""Stands for the digest of a need that this run would make."""


class Explanation(Struct, frozen=True, kw_only=True):
    """Why a unit has its verdict.

    Attributes:
        step: the unit, its verdict and the short reason.
        inputs: every declared input by name.
        sources: every source file that counts, relative to the source tree, with its digest now.
        digest: of all inputs; empty where some are not known before the unit or a need of it runs.
        changes: what differs from the inputs of the last success.
        needs: the steps of the units that it needs.
        record: the last success, if there was one.
        made: what is there, or will be restored, or was made last.
        problem: why that is not as it was recorded; empty where it is.
        is_kept: whether the user's cache holds it, undamaged.
    """

    step: Step
    inputs: Mapping[str, str]
    sources: tuple[tuple[str, str], ...]
    digest: str
    changes: tuple[Change, ...]
    needs: tuple[Step, ...]
    record: Record | None
    made: Artifact | None
    problem: str
    is_kept: bool


class Explainer(Struct, frozen=True, kw_only=True):
    """Explains the steps of one plan; looks at each source directory once.

    Attributes:
        plan: what was decided.
        planner: by which records and digests.
    """

    plan: Plan
    planner: Planner
    _now: dict[tuple[str, str], SourceDirectory] = field(default_factory=dict)

    def explain(self, step: Step) -> Explanation:
        """Find the whole reason of a step; nothing is changed or started."""
        unit, record = step.unit, self.planner.book.get(step.unit.id)
        declared = self._inputs(unit)
        pairs = self._sources(unit, record)
        made = self._made(unit, record)
        return Explanation(
            step=step,
            inputs=declared,
            sources=tuple(sorted({file for _, now in pairs for file in source_files(now)})),
            digest=self._digest(unit, declared, pairs),
            changes=self._changes(unit, record, declared, pairs) if record else (),
            needs=tuple(s for s in self.plan.steps if s.unit.id in unit.needs),
            record=record,
            made=made,
            problem=self._problem(unit, record),
            is_kept=made is not None and self.planner.cache.holds(made),
        )

    def digest(self, step: Step) -> str:
        """Return the digest of a unit's inputs; empty where some are not known yet."""
        record = self.planner.book.get(step.unit.id)
        return self._digest(step.unit, self._inputs(step.unit), self._sources(step.unit, record))

    def _made(self, unit: Unit, record: Record | None) -> Artifact | None:
        planned = self.plan.artifacts.get(unit.id)
        return recorded_artifact(unit, record) if record and planned is None else planned

    def _inputs(self, unit: Unit) -> dict[str, str]:
        made = self.plan.artifacts
        waiting = {need: Artifact(unit=need, digest=UNMADE, size=0) for need in unit.needs}
        return inputs(unit, {**waiting, **made}, self.planner.hasher)

    def _sources(
        self, unit: Unit, record: Record | None
    ) -> list[tuple[SourceDirectory, SourceDirectory]]:
        """Return the directories that a builder read, as they were and as they are."""
        planned = self.plan.artifacts.get(unit.id)
        found = (planned.sources if planned else None) or ()
        if record is not None:
            book = self.planner.book
            found = tuple(filter(None, map(book.directory, record.sources))) or found
        return [(before, self._again(unit, before)) for before in found]

    def _again(self, unit: Unit, before: SourceDirectory) -> SourceDirectory:
        tree = self._tree(unit)
        key = (tree.root, directory_key(before))
        if key not in self._now:
            self._now[key] = tree.again(before)
        return self._now[key]

    def _tree(self, unit: Unit) -> SourceTree:
        root = str(unit.action.source) if isinstance(unit.action, Compile) else ""
        return SourceTree(root=root, hasher=self.planner.hasher)

    def _digest(
        self,
        unit: Unit,
        declared: Mapping[str, str],
        pairs: list[tuple[SourceDirectory, SourceDirectory]],
    ) -> str:
        unknown = isinstance(unit.action, Compile) and not pairs
        if unknown or not self.plan.artifacts.keys() >= set(unit.needs):
            return ""
        return str(Digest.of_json([declared, sorted(directory_key(now) for _, now in pairs)]))

    def _changes(
        self,
        unit: Unit,
        record: Record,
        declared: Mapping[str, str],
        pairs: list[tuple[SourceDirectory, SourceDirectory]],
    ) -> tuple[Change, ...]:
        tree = self._tree(unit)
        files: dict[str, Change] = {}
        for before, now in pairs:
            for change in source_changes(before, now, tree.digest):
                # An embedded file is known by name to its pattern and by content to its package.
                if change.before or change.name not in files:
                    files[change.name] = change
        return (*input_changes(record.inputs, declared), *(files[name] for name in sorted(files)))

    def _problem(self, unit: Unit, record: Record | None) -> str:
        if record is None:
            return ""
        return self.planner.presence[unit.kind](unit, recorded_artifact(unit, record)) or ""


def choose_units(graph: Graph, pattern: str) -> tuple[str, ...]:
    """Return the ids that a pattern names: units, and what is missing or blocked.

    Raises:
        UsageError: there is none; the message says which one may be meant.
    """
    identities = [unit.id for unit in graph.units]
    identities += [identity for identity, _ in (*graph.missing, *graph.blocked)]
    found = tuple(identity for identity in identities if matches(identity, pattern))
    if not found:
        known = {_shaped(identity, pattern) for identity in identities}
        raise UsageError(f"there is no unit '{pattern}'", details=near_miss(pattern, known))
    return found


def narrow(graph: Graph, identities: tuple[str, ...]) -> tuple[Unit, ...]:
    """Return the named units of a graph with all that they need, in its order."""
    wanted = set(identities)
    for unit in reversed(graph.units):
        if unit.id in wanted:
            wanted.update(unit.needs)
    return tuple(unit for unit in graph.units if unit.id in wanted)


def _shaped(identity: str, pattern: str) -> str:
    """Write a unit's id as a pattern was written: with or without its kind and platform."""
    kind_name, _, platform = identity.partition("@")
    name = kind_name if "/" in pattern.partition("@")[0] else kind_name.partition("/")[2]
    return f"{name}@{platform}" if platform and "@" in pattern else name
