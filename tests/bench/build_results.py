"""How compiling a matrix compares with what is wanted."""

from __future__ import annotations

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
        yield Comparison(name=Scenario.LIST, value=listing, unit=" s", limit=0.25)
        yield self._beyond(Scenario.LEAF, LEAST, 0.3)
        for scenario, tool in self.costs:
            if tool not in {OURS, IMPORT, LEAST}:
                yield self._ratio(scenario, tool, _WANTED.get((Scenario(scenario), tool)))
        yield from self._cores_ratios()
