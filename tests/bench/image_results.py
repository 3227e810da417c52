"""How image builds compare with what is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.bench.results import IMPORT, MEGA, OURS, Comparison, Results


class Scenario(StrEnum):
    """What is done."""

    NOTHING = "nothing changed"
    CHANGED = "one of 100 MB changed"
    FIRST = "first push"


@dataclass(slots=True, kw_only=True)
class ImageResults(Results):
    """The costs of image builds.

    ``smallest`` is the size of the smallest program in bytes: a command that read less
    has read no layer.
    """

    smallest: int

    def comparisons(self) -> Iterator[Comparison]:
        """Yield our numbers beside the others'."""
        yield self._beyond(Scenario.NOTHING, IMPORT, 0.25)
        yield Comparison(
            scenario=Scenario.NOTHING,
            name="read of any file; less than the smallest program",
            value=max(cost.read for cost in self.costs[Scenario.NOTHING, OURS]) / MEGA,
            unit=" MB",
            limit=self.smallest / MEGA,
        )
        best = min(
            self.seconds(Scenario.FIRST, tool)
            for scenario, tool in self.costs
            if scenario is Scenario.FIRST and tool.startswith("crane")
        )
        yield Comparison(
            scenario=Scenario.CHANGED,
            name="of crane, all six appended and pushed",
            value=self.seconds(Scenario.CHANGED, OURS) / best,
            limit=0.3,
        )
        yield Comparison(
            scenario=Scenario.FIRST,
            name="of the faster crane",
            value=self.seconds(Scenario.FIRST, OURS) / best,
            limit=1.0,
        )
        for scenario, tool in self.costs:
            if tool not in {OURS, IMPORT}:
                yield self._ratio(scenario, tool)
        yield from self._cores_ratios()
        ours = [
            cost.peak for (_, tool), costs in self.costs.items() for cost in costs if tool == OURS
        ]
        yield Comparison(name="largest resident set", value=max(ours) / MEGA, unit=" MB", limit=200)
