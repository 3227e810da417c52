"""What was measured, and how it compares with what is wanted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tests.bench.measure import Cost

MEGA = 1e6
_SMALL = 0.1
COST_COLUMNS = ("scenario", "tool", "median", "range", "cores", "peak", "read")
COMPARISON_COLUMNS = ("scenario", "measured", "", "wanted", "verdict")
OURS, IMPORT = "ours", "import invoke"
"""This tool, and what of its start Python and Invoke take before it does anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A measured number beside the largest that is wanted, None where none is.

    ``name`` says what the number is, after it: ``0.02 of goreleaser's time``; ``scenario``
    is empty for a number of all of them.
    """

    name: str
    value: float
    scenario: str = ""
    unit: str = ""
    limit: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        return None if self.limit is None else self.value <= self.limit

    @property
    def shown(self) -> str:
        """The number and its unit."""
        digits = 3 if abs(self.value) < _SMALL else 2
        return f"{self.value:.{0 if self.value == int(self.value) else digits}f}{self.unit}"

    @property
    def wanted(self) -> str:
        """The limit and its unit; empty without one."""
        return "" if self.limit is None else f"{self.limit:g}{self.unit}"

    @property
    def row(self) -> tuple[str, ...]:
        """The comparison as a table's row."""
        wanted = f"<= {self.wanted}" if self.wanted else ""
        verdict = {None: "", True: "met", False: "missed"}[self.met]
        return (self.scenario, self.shown, self.name, wanted, verdict)


@dataclass(slots=True, kw_only=True)
class Results(ABC):
    """The costs of every turn, by scenario and tool."""

    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)

    def add(self, scenario: str, tool: str, cost: Cost) -> None:
        """Note a turn."""
        self.costs.setdefault((scenario, tool), []).append(cost)

    def seconds(self, scenario: str, tool: str) -> float:
        """Return the median time of a tool."""
        return median(cost.seconds for cost in self.costs[scenario, tool])

    def cores(self, scenario: str, tool: str) -> float:
        """Return the median of what a tool had of the cores, in seconds."""
        return median(cost.cpu for cost in self.costs[scenario, tool])

    @abstractmethod
    def comparisons(self) -> Iterator[Comparison]:
        """Yield our numbers beside the others'."""

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
                    "scenario": item.scenario,
                    "name": item.name,
                    "value": round(item.value, 4),
                    "unit": item.unit.strip(),
                    "limit": item.limit,
                    "met": item.met,
                }
                for item in self.comparisons()
            ],
        }

    def _ratio(self, scenario: str, tool: str, limit: float | None = None) -> Comparison:
        """Return our time as a part of another tool's."""
        value = self.seconds(scenario, OURS) / self.seconds(scenario, tool)
        name = f"of the time of {tool}"
        return Comparison(scenario=str(scenario), name=name, value=value, limit=limit)

    def _beyond(self, scenario: str, tool: str, limit: float) -> Comparison:
        """Return the seconds that we took more than another tool."""
        value = self.seconds(scenario, OURS) - self.seconds(scenario, tool)
        name = f"beyond {tool}"
        return Comparison(scenario=str(scenario), name=name, value=value, unit=" s", limit=limit)

    def _cores_ratios(self) -> Iterator[Comparison]:
        """Yield what a busy machine does not distort; a daemon's own part is not in it."""
        for scenario, tool in self.costs:
            if tool not in {OURS, IMPORT, "docker"} and (scenario, OURS) in self.costs:
                ratio = self.cores(scenario, OURS) / self.cores(scenario, tool)
                name = f"of the cores' time of {tool}"
                yield Comparison(scenario=str(scenario), name=name, value=ratio)
