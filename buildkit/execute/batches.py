"""Group the running steps of a plan into batches and order them."""

from __future__ import annotations

import graphlib

from msgspec import Struct

from buildkit.plan.planner import Plan
from buildkit.plan.units import Compile, Kind, Step, Verdict


class Batch(Struct, frozen=True, kw_only=True):
    """Steps that one builder call makes together."""

    key: str
    kind: Kind
    steps: tuple[Step, ...]
    needs: frozenset[str] = frozenset()
    """Keys of the batches that it waits for."""
    is_alone: bool = False
    """It runs beside no other and in as little memory as it can, after it was killed once."""

    @property
    def is_restored(self) -> bool:
        """Whether its one step comes from the user's cache."""
        return self.steps[0].verdict is Verdict.RESTORED

    @property
    def place(self) -> Kind:
        """Of which kind it takes a place: what is restored waits for no compile."""
        return Kind.FETCH if self.is_restored else self.kind

    @property
    def lane(self) -> str:
        """Batches of one lane never run at once; empty for no lane.

        Two `go build` of one platform would compile their shared packages twice,
        since the build cache does not lock a package that is being compiled.
        """
        first = self.steps[0].unit
        compiles = isinstance(first.action, Compile) and not self.is_restored
        return f"go@{first.platform}" if compiles else ""


def make_batches(plan: Plan) -> tuple[dict[str, Batch], graphlib.TopologicalSorter[str]]:
    """Return the batches by key, and a prepared sorter that yields those that are ready."""
    keys: dict[str, str] = {}
    members: dict[str, list[Step]] = {}
    for step in plan.running:
        key = step.unit.id if step.verdict is Verdict.RESTORED else step.unit.batch
        keys[step.unit.id] = key
        members.setdefault(key, []).append(step)
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    batches = {}
    for key, steps in members.items():
        needs = _needs(steps, keys)
        batches[key] = Batch(key=key, kind=steps[0].unit.kind, steps=tuple(steps), needs=needs)
        sorter.add(key, *needs)
    sorter.prepare()
    return batches, sorter


def _needs(steps: list[Step], keys: dict[str, str]) -> frozenset[str]:
    return frozenset(keys[need] for step in steps for need in step.unit.needs if need in keys)
