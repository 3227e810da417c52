"""What no lock vouches for is marked, and so is all that is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from buildkit.images.outline import Outlines
from buildkit.plan.graph import Graph, build_graph
from buildkit.plan.options import Goal, Options
from buildkit.plan.planner import Plan
from buildkit.plan.settings import resolve
from buildkit.plan.units import BuildImage, Download, Override, Step, Verdict
from buildkit.plan.unlocked import LABEL, open_bases, unlocked
from buildkit.platform import Platform
from tests.unit.plan.projects import FACTS, LOCK, TEXT, around, graph, project

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


def test_a_fetch_without_a_pin_is_noted_before_it_fails() -> None:
    bare = msgspec.structs.replace(LOCK, fetch={})
    found = graph(Goal.BUILD, lock=bare, platform="linux/amd64,linux/arm64")
    assert found.notes[-1] == (
        "envoy for linux/amd64, linux/arm64 has no pin and will fail, with what needs it: "
        "run `invoke lock` where a source of it can be reached"
    )
    facts = replace(FACTS, overrides=((AMD64, OWN),))
    *_, missing = graph(
        Goal.BUILD, facts=facts, lock=bare, platform="linux/amd64,linux/arm64"
    ).notes
    assert missing.startswith("envoy for linux/arm64 has no pin")
    assert not any("no pin" in note for note in graph(Goal.BUILD).notes)


SYSTEMS = """
[images.adopted]
dockerfile = "Dockerfile"
[bases.whole]
kind = "bootstrap"
suite = "trixie"
replaces = ["debian:13"]
[bases.fixed]
kind = "bootstrap"
suite = "trixie"
archive = "https://example.com/20260101"
[images.more]
base = """


def opened(root: Path, base: str, text: str = "FROM scratch\n", **flags: Any) -> tuple[str, ...]:
    (root / "Dockerfile").write_text(text)
    checked = project(f'{TEXT}{SYSTEMS}["{base}"]', root=root)
    chosen = resolve(checked, Options(platform="linux/amd64", **flags), around())
    facts = replace(FACTS, outline=Outlines().read)
    return open_bases(build_graph(checked, chosen, facts, frozenset({Goal.DOCKER})).units)


def test_a_system_is_open_where_its_archive_moves_on(tmp_path: Path) -> None:
    assert opened(tmp_path, "whole") == ("whole",)
    assert opened(tmp_path, "fixed") == ()
    assert opened(tmp_path, "whole", only="pilot") == ()


def test_a_system_that_no_image_starts_from_is_not_open(tmp_path: Path) -> None:
    assert opened(tmp_path, "static") == ()
    assert opened(tmp_path, "static", "FROM debian:13\n") == ("whole",)
