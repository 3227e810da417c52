"""The picture shows every tool and every goal, and stays well-formed."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

from tests.bench.chart import draw
from tests.unit.bench.costs import WARM, measured

TIMES = chr(0xD7)
SVG = "{http://www.w3.org/2000/svg}"


def picture(times: dict[str, dict[str, float]], footer: str = "two cores") -> ET.Element:
    text = draw(measured(times), title="<8> & more", subtitle="shorter is better", footer=footer)
    return ET.fromstring(text)  # noqa: S314 - our own text


def lines(root: ET.Element) -> list[str]:
    return ["".join(item.itertext()) for item in root.iter(f"{SVG}text")]


def bars(root: ET.Element) -> dict[str, float]:
    """Return the length of each bar of the first panel by what a pointer over it shows."""
    return {
        "".join(item.itertext()): float(item.attrib["width"])
        for item in root.findall(f"{SVG}g")[0].iter(f"{SVG}rect")
    }


def test_lengths_are_in_proportion_to_the_slowest() -> None:
    found = bars(picture(WARM))
    assert found["goreleaser: 20.00 s"] == 430
    assert found["go build by hand: 4.00 s"] == 86
    assert found["invoke (this tool): 0.20 s"] == 4.3


def test_a_blink_is_still_to_be_seen() -> None:
    times = {**WARM, "nothing changed": {**WARM["nothing changed"], "goreleaser": 5000.0}}
    found = bars(picture(times))
    assert found["goreleaser: 5000 s"] == 430
    assert min(found.values()) == 2


def test_ours_is_first_then_the_others_by_time() -> None:
    found = lines(picture(WARM))
    start = found.index("nothing changed")
    assert found[start + 1 : start + 9] == [
        "invoke (this tool)",
        "0.20 s",
        "import invoke",
        f"0.10 s0.50{TIMES}",
        "go build by hand",
        f"4.00 s20{TIMES}",
        "goreleaser",
        f"20.00 s100{TIMES}",
    ]


def test_goals_stand_below_their_scenario_with_the_verdict() -> None:
    found = lines(picture(WARM))
    assert "✓ 0.010 of the time of goreleaser (goal: at most 0.02)" in found
    assert "✗ 0.30 s in all (goal: at most 0.25 s)" in found
    assert "✓ 0 binaries linked again (goal: at most 0)" in found


def test_nothing_lies_outside_or_on_another_line() -> None:
    root = picture(WARM, footer="a machine of many words " * 20)
    height = float(root.attrib["viewBox"].split()[3])
    tops = []
    for group in root.iter(f"{SVG}g"):
        above = float(group.attrib["transform"].rstrip(")").split()[1])
        tops += [above + float(item.attrib["y"]) for item in group.iter(f"{SVG}rect")]
    assert tops == sorted(tops)
    assert min(b - a for a, b in pairwise(tops)) >= 24
    footer = [float(item.attrib["y"]) for item in root.findall(f"{SVG}text")][2:]
    assert len(footer) == 4
    assert tops[-1] < footer[0] < footer[-1] < height


def test_light_and_dark_have_their_own_colours() -> None:
    root = picture(WARM)
    style = root.findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    for name in ("text", ".card", ".bar", ".bar.own", ".faint", ".met", ".missed"):
        start = f"  {name} {{"
        assert start in light
        assert start in dark
    assert root.findall(f"{SVG}rect")[0].attrib["class"] == "card"


def test_text_is_escaped() -> None:
    assert lines(picture(WARM))[0] == "<8> & more"
