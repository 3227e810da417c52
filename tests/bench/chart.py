"""Draws what was measured as an SVG: a panel per scenario, a bar per tool, the goals below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.results import OURS, Comparison, Results

_WIDTH, _MARGIN, _LABEL = 860, 28, 190
_LONGEST, _SHORTEST = 430, 2
_ROW, _LINE, _GAP = 24, 17, 22
_HEAD = 90
_LINE_LENGTH = 125
_TWICE = 2
_TENFOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The median time of one tool; lengths and places are in the units of the picture."""

    tool: str
    top: int
    length: float
    value: str
    times: str
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A line of text; ``met`` is the verdict of a goal."""

    text: str
    top: int
    met: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One scenario; each has its own scale, from zero to the slowest tool."""

    scenario: str
    top: int
    bars: tuple[Bar, ...]
    goals: tuple[Text, ...]

    @property
    def height(self) -> int:
        """How much room it takes, with the gap to the next one."""
        return _LINE + _ROW * len(self.bars) + _LINE * len(self.goals) + _GAP


def draw(results: Results, *, title: str, subtitle: str, footer: str) -> str:
    """Return the picture as SVG, legible on a light and on a dark page.

    Args:
        results: what was measured.
        title: what it is about.
        subtitle: how to read it.
        footer: what it was measured on; broken into lines.
    """
    import jinja2  # noqa: PLC0415 - only who measures draws

    panels = tuple(_panels(results))
    end = panels[-1].top + panels[-1].height if panels else _HEAD
    lines = textwrap.wrap(footer, _LINE_LENGTH)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = Path(__file__).with_name("chart.svg.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        width=_WIDTH,
        height=end + _LINE * len(lines) + _GAP // 2,
        margin=_MARGIN,
        label=_LABEL,
        title=title,
        subtitle=subtitle,
        panels=panels,
        footer=[Text(text=text, top=end + _LINE * at) for at, text in enumerate(lines)],
    )


def _panels(results: Results) -> Iterator[Panel]:
    goals = [item for item in results.comparisons() if item.met is not None]
    top = _HEAD
    for scenario in dict.fromkeys(str(scenario) for scenario, _ in results.costs):
        bars = tuple(_bars(results, scenario))
        own = [item for item in goals if item.scenario == scenario]
        panel = Panel(
            scenario=scenario,
            top=top,
            bars=bars,
            goals=tuple(_goals(own, _LINE + _ROW * len(bars))),
        )
        yield panel
        top += panel.height


def _bars(results: Results, scenario: str) -> Iterator[Bar]:
    tools = [tool for found, tool in results.costs if found == scenario]
    seconds = {tool: results.seconds(scenario, tool) for tool in tools}
    ours, slowest = seconds[OURS], max(seconds.values())
    # Ours is first, then who is next to it.
    for row, tool in enumerate(sorted(tools, key=lambda tool: (tool != OURS, seconds[tool]))):
        yield Bar(
            tool="invoke (this tool)" if tool == OURS else tool,
            top=_LINE // 2 + _ROW * row,
            length=round(max(_LONGEST * seconds[tool] / slowest, _SHORTEST), 1),
            value=_seconds(seconds[tool]),
            times="" if tool == OURS else _times(seconds[tool] / ours),
            own=tool == OURS,
        )


def _goals(comparisons: Iterable[Comparison], top: int) -> Iterator[Text]:
    for row, item in enumerate(comparisons):
        text = f"{item.shown} {item.name} (goal: at most {item.wanted})"
        yield Text(text=text, top=top + _LINE * row + _LINE // 2 + 2, met=bool(item.met))


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value >= _TENFOLD * _TENFOLD else f"{value:.2f} s"


def _times(ratio: float) -> str:
    digits = 2 if ratio < _TWICE else 1 if ratio < _TENFOLD else 0
    return f"{ratio:.{digits}f}"
