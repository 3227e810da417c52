"""The flowchart, taken apart again by the grammar that Mermaid documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.pipeline.mermaid import Node, flowchart
from buildkit.plan.units import Verdict

NODES: tuple[Node, ...] = (
    ("base/static@linux/amd64", "CACHED", ()),
    ("binary/pilot@linux/amd64", "RUN", ()),
    ("binary/pilot@darwin/arm64", "RESTORED", ()),
    ("image/pilot@linux/amd64", "RUN", ("base/static@linux/amd64", "binary/pilot@linux/amd64")),
    ("push/pilot", "BLOCKED", ("image/pilot@linux/amd64",)),
    ("fetch/envoy@darwin/arm64", "SKIP", ()),
)


class Chart:
    """What a reader of the text finds in it; a line of no known form fails."""

    def __init__(self, text: str) -> None:
        self.labels: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.arrows: set[tuple[str, str]] = set()
        self.classes: dict[str, str] = {}
        self.styles: dict[str, str] = {}
        first, *lines = text.splitlines()
        assert first == "flowchart LR"
        group = ""
        for line in map(str.strip, lines):
            if start := re.fullmatch(r'subgraph (p[0-9]+)\["([^"]*)"\]', line):
                assert not group
                group = start[2]
            elif line == "end":
                assert group
                group = ""
            elif node := re.fullmatch(r'(u[0-9]+)\["([^"]+)"\]', line):
                assert node[1] not in self.labels
                self.labels[node[1]], self.groups[node[1]] = node[2], group
            elif arrow := re.fullmatch(r"(u[0-9]+) --> (u[0-9]+)", line):
                self.arrows.add((arrow[1], arrow[2]))
            elif style := re.fullmatch(r"classDef ([a-z]+) ([a-z]+:#?\w+(?:,[a-z]+:#?\w+)*)", line):
                self.styles[style[1]] = style[2]
            else:
                members = re.fullmatch(r"class ((?:u[0-9]+,?)+) ([a-z]+)", line)
                assert members, line
                self.classes |= dict.fromkeys(members[1].split(","), members[2])
        assert not group

    def unit(self, name: str) -> str:
        """Return the unit of a node."""
        label = self.labels[name].replace("#quot;", '"').replace("#35;", "#")
        return f"{label}@{self.groups[name]}" if self.groups[name] else label


def test_every_unit_is_a_node_of_its_platform_with_its_verdict_and_arrows() -> None:
    chart = Chart(flowchart(NODES))
    assert {chart.unit(name): chart.classes[name] for name in chart.labels} == {
        identity: verdict.lower() for identity, verdict, _ in NODES
    }
    assert {(chart.unit(one), chart.unit(two)) for one, two in chart.arrows} == {
        (need, identity) for identity, _, needs in NODES for need in needs
    }


def test_every_verdict_has_a_style_of_its_own() -> None:
    nodes: list[Node] = [(f"binary/{verdict}", str(verdict), ()) for verdict in Verdict]
    chart = Chart(flowchart(nodes))
    assert len(set(chart.styles.values())) == len(Verdict)
    assert set(chart.classes.values()) == set(chart.styles)


def test_a_need_outside_the_chart_has_no_arrow() -> None:
    assert Chart(flowchart([("push/x", "RUN", ("image/x",))])).arrows == set()


NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="@"), min_size=1)


@given(st.lists(NAMES, unique=True, max_size=5))
def test_any_name_is_one_node(names: list[str]) -> None:
    chart = Chart(flowchart([(f"binary/{name}@linux/amd64", "RUN", ()) for name in names]))
    assert len(chart.labels) == len(names)
    assert len(set(chart.labels.values())) == len(names)


@pytest.mark.parametrize("name", ["end", "a-b", "a_b", 'a"b', "a#b", "subgraph", "o---x"])
def test_words_of_mermaid_are_plain_names(name: str) -> None:
    chart = Chart(flowchart([(f"binary/{name}", "RUN", ())]))
    assert [chart.unit(node) for node in chart.labels] == [f"binary/{name}"]


def test_the_chart_in_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "incremental.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```mermaid\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    chart = Chart(text)
    assert {chart.unit(name) for name in chart.labels} >= {"image/pilot@linux/amd64", "push/pilot"}
    assert chart.classes.keys() == chart.labels.keys()
