"""How compiling a matrix compares with what is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.bench.results import IMPORT, OURS, Comparison, Results

BY_HAND, LEAST, GORELEASER = "go build by hand", "the one go build", "goreleaser"


class Scenario(StrEnum):
    """What is done."""

    NOTHING = "nothing changed"
    COMMIT = "a commit without Go files"
    LEAF = "one leaf edited, one platform"
    LIST = "invoke --list"
    COLD = "cold matrix"


_WANTED = {
    (Scenario.NOTHING, BY_HAND): 1 / 8,
    (Scenario.NOTHING, GORELEASER): 1 / 50,
    (Scenario.COLD, BY_HAND): 1.02,
    (Scenario.COLD, GORELEASER): 0.8,
}
"""The largest part of a tool's time that ours may take."""


@dataclass(slots=True, kw_only=True)
class BuildResults(Results):
    """The costs of compiling a matrix."""

    def comparisons(self) -> Iterator[Comparison]:
        """Yield our numbers beside the others'."""
        yield self._beyond(Scenario.NOTHING, IMPORT, 0.15)
        listing = self.seconds(Scenario.LIST, OURS)
        yield Comparison(
            scenario=Scenario.LIST, name="in all", value=listing, unit=" s", limit=0.25
        )
        yield self._beyond(Scenario.LEAF, LEAST, 0.3)
        yield Comparison(
            scenario=Scenario.COMMIT, name="binaries linked again", value=self._linked(), limit=0
        )
        for scenario, tool in self.costs:
            if tool not in {OURS, IMPORT, LEAST}:
                yield self._ratio(scenario, tool, _WANTED.get((Scenario(scenario), tool)))
        yield from self._cores_ratios()

    def _linked(self) -> int:
        return max(len(done(cost.output)) for cost in self.costs[Scenario.COMMIT, OURS])


def done(output: str) -> frozenset[str]:
    """Return the ids of the units that our tool made, of what `--json` printed."""
    units = json.loads(output)["units"]
    return frozenset(item["id"] for item in units if item["status"] == "done")
