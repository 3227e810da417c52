"""What no lock vouches for is marked, and so is all that is made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from buildkit.plan.graph import Graph
from buildkit.plan.options import Goal
from buildkit.plan.planner import Plan
from buildkit.plan.units import BuildImage, Download, Override, Step, Verdict
from buildkit.plan.unlocked import LABEL, unlocked, unpinned_systems
from buildkit.platform import Platform
from tests.unit.plan.projects import FACTS, TEXT, graph

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
OWN = Override(words="./my-envoy", path=Path("/my-envoy"))
ENVOY = "fetch/envoy@linux/amd64"


def given(text: str = TEXT, **flags: Any) -> Graph:
    facts = replace(FACTS, overrides=((AMD64, OWN),))
    return graph(Goal.BUILD, Goal.DOCKER, facts=facts, text=text, **flags)


def test_everything_that_holds_the_users_file_is_marked_and_nothing_else() -> None:
    found = unlocked(given(hub="localhost:5000", platform="linux/amd64,linux/arm64").units)
    assert set(found) == {ENVOY, "image/proxy@linux/amd64", "push/proxy"}
    assert set(found.values()) == {(ENVOY,)}
    assert unlocked(graph(Goal.BUILD, Goal.DOCKER).units) == {}


def test_the_image_says_so_itself_and_so_do_those_based_on_it() -> None:
    text = TEXT + '[images.more]\nbase = ["proxy"]\n'
    labels = {
        unit.id: dict(unit.action.labels).get(LABEL)
        for unit in given(text, platform="linux/amd64,linux/arm64").units
        if isinstance(unit.action, BuildImage)
    }
    assert {name for name, label in labels.items() if label == "envoy"} == {
        "image/proxy@linux/amd64",
        "image/more@linux/amd64",
    }
    assert labels["image/proxy@linux/arm64"] is None


def test_the_plan_says_which_file_it_is_and_a_release_can_ask() -> None:
    found = given(platform="linux/amd64,linux/arm64")
    first, second = [note for note in found.notes if "locked" in note]
    assert first.startswith("envoy for linux/amd64 is ./my-envoy, which is not locked")
    assert second.startswith("envoy for linux/arm64 stays the locked one")
    steps = tuple(Step(unit=u, verdict=Verdict.RUN, reason="") for u in found.units)
    assert Plan(steps=steps, artifacts={}).unlocked["push/proxy"] == (ENVOY,)
    assert not any("not locked" in note for note in graph(Goal.BUILD).notes)


def test_it_stands_for_envoy_and_for_no_other_fetched_file() -> None:
    text = TEXT + (
        '[fetch.ztunnel]\nversion = "1"\n'
        'source = [{ url = "https://example.com/z-${arch}", platforms = ["linux/amd64"] }]\n'
    )
    actions = {
        unit.name: unit.action.override
        for unit in given(text, platform="linux/amd64").units
        if isinstance(unit.action, Download)
    }
    assert actions == {"envoy": OWN, "ztunnel": None}


def test_a_system_is_pinned_by_an_archive_of_its_own_alone() -> None:
    def told(base: str) -> tuple[str, ...]:
        text = TEXT.replace('base = ["pilot"]', 'base = ["system"]')
        text = text.replace("[bases]", f"[bases]\nsystem = {{ {base} }}")
        return unpinned_systems(graph(Goal.DOCKER, text=text, platform="linux/amd64").units)

    (found,) = told('kind = "bootstrap", suite = "bookworm"')
    assert found.startswith("base/system has the packages of the day")
    assert "bases.system.archive" in found
    archive = "https://example.com/20260101T000000Z"
    assert told(f'kind = "bootstrap", suite = "bookworm", archive = "{archive}"') == ()
    assert told('kind = "static"') == ()
