"""What was measured, and how it compares with what is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Any

from tests.bench.measure import Cost

MEGA = 1e6
COST_COLUMNS = ("scenario", "tool", "median", "range", "cores", "peak", "read")
COMPARISON_COLUMNS = ("comparison", "measured", "wanted", "")


class Scenario(StrEnum):
    """What is done."""

    NOTHING = "nothing changed"
    CHANGED = "one of 100 MB changed"
    FIRST = "first push"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A measured number beside the largest that is wanted, None where none is."""

    name: str
    value: float
    unit: str = ""
    limit: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        return None if self.limit is None else self.value <= self.limit

    @property
    def row(self) -> tuple[str, ...]:
        """The comparison as a table's row."""
        wanted = "" if self.limit is None else f"<= {self.limit:g}{self.unit}"
        verdict = {None: "", True: "met", False: "missed"}[self.met]
        return (self.name, f"{self.value:.2f}{self.unit}", wanted, verdict)


@dataclass(slots=True)
class Results:
    """The costs of every turn, by scenario and tool.

    ``smallest`` is the size of the smallest program in bytes: a command that read less
    has read no layer.
    """

    smallest: int
    costs: dict[tuple[Scenario, str], list[Cost]] = field(default_factory=dict)

    def add(self, scenario: Scenario, tool: str, cost: Cost) -> None:
        """Note a turn."""
        self.costs.setdefault((scenario, tool), []).append(cost)

    def seconds(self, scenario: Scenario, tool: str) -> float:
        """Return the median time of a tool."""
        return median(cost.seconds for cost in self.costs[scenario, tool])

    def cores(self, scenario: Scenario, tool: str) -> float:
        """Return the median of what a tool had of the cores, in seconds."""
        return median(cost.cpu for cost in self.costs[scenario, tool])

    def comparisons(self) -> Iterator[Comparison]:
        """Yield our numbers beside the others'."""
        yield Comparison(
            name="nothing changed, beyond a bare import of invoke",
            value=self.seconds(Scenario.NOTHING, "ours")
            - self.seconds(Scenario.NOTHING, "import invoke"),
            unit=" s",
            limit=0.25,
        )
        yield Comparison(
            name="nothing changed, read of any file; less than the smallest program",
            value=max(cost.read for cost in self.costs[Scenario.NOTHING, "ours"]) / MEGA,
            unit=" MB",
            limit=self.smallest / MEGA,
        )
        best = min(
            self.seconds(Scenario.FIRST, tool)
            for scenario, tool in self.costs
            if scenario is Scenario.FIRST and tool.startswith("crane")
        )
        yield Comparison(
            name="one changed : crane, all six appended and pushed",
            value=self.seconds(Scenario.CHANGED, "ours") / best,
            limit=0.3,
        )
        yield Comparison(
            name="first push : the faster crane",
            value=self.seconds(Scenario.FIRST, "ours") / best,
            limit=1.0,
        )
        yield from self._ratios()
        ours = [
            cost.peak for (_, tool), costs in self.costs.items() for cost in costs if tool == "ours"
        ]
        yield Comparison(name="largest resident set", value=max(ours) / MEGA, unit=" MB", limit=200)

    def rows(self) -> list[tuple[str, ...]]:
        """Return what each tool took, as a table's rows."""
        return [
            (
                str(scenario),
                tool,
                f"{median(times := [cost.seconds for cost in costs]):.2f} s",
                f"{min(times):.2f} to {max(times):.2f}",
                f"{median(cost.cpu for cost in costs):.2f} s",
                f"{max(cost.peak for cost in costs) / MEGA:.0f} MB",
                f"{max(cost.read for cost in costs) / MEGA:.0f} MB",
            )
            for (scenario, tool), costs in self.costs.items()
        ]

    def document(self) -> dict[str, Any]:
        """Return everything for a JSON document; times in seconds, sizes in bytes."""
        return {
            "measured": [
                {
                    "scenario": str(scenario),
                    "tool": tool,
                    "seconds": [round(cost.seconds, 3) for cost in costs],
                    "cores": [round(cost.cpu, 3) for cost in costs],
                    "peak": max(cost.peak for cost in costs),
                    "read": max(cost.read for cost in costs),
                }
                for (scenario, tool), costs in self.costs.items()
            ],
            "comparisons": [
                {
                    "name": item.name,
                    "value": round(item.value, 3),
                    "limit": item.limit,
                    "met": item.met,
                }
                for item in self.comparisons()
            ],
        }

    def _ratios(self) -> Iterator[Comparison]:
        for scenario, tool in self.costs:
            if tool in {"ours", "import invoke"}:
                continue
            ratio = self.seconds(scenario, "ours") / self.seconds(scenario, tool)
            yield Comparison(name=f"{scenario} : {tool}", value=ratio)
            # What a busy machine does not distort; a daemon's own part is not in it.
            if tool != "docker":
                ratio = self.cores(scenario, "ours") / self.cores(scenario, tool)
                yield Comparison(name=f"{scenario} : {tool}, cores' time", value=ratio)
