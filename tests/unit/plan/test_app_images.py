"""Images that are made by their names alone, and those that run programs while they are built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from buildkit.plan.graph import Graph, build_graph
from buildkit.plan.options import Goal, Options
from buildkit.plan.settings import resolve
from buildkit.platform import Platform
from tests.unit.plan import projects

AMD, ARM = "image/debug@linux/amd64", "image/debug@linux/arm64"
TEXT = projects.TEXT.replace('base = ["pilot"]', 'base = ["system"]\ndefault = false').replace(
    "[bases]", '[bases]\nsystem = { kind = "bootstrap", suite = "bookworm" }'
)
WHY = "arm64: not registered with binfmt; install it"


def graph(root: Path = Path("/mesh"), **flags: Any) -> Graph:
    facts = replace(
        projects.FACTS,
        daemon=Platform("linux", "amd64"),
        unrunnable=lambda arch: WHY if arch == "arm64" else "",
        no_bootstrap=flags.pop("no_bootstrap", ""),
        cached_bases=flags.pop("cached", frozenset()),
    )
    project = projects.project(TEXT, root=root)
    settings = resolve(project, Options(**flags), projects.around())
    return build_graph(project, settings, facts, frozenset({Goal.DOCKER}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images" / "debug").mkdir(parents=True)
    template = tmp_path / "images" / "debug" / "Dockerfile.j2"
    template.write_text("FROM {{ base }}\n  run apt-get install -y x\n")
    return tmp_path


def ids(found: Graph) -> set[str]:
    return {unit.id for unit in found.units}


def test_an_image_that_is_no_default_is_made_by_its_name_alone() -> None:
    assert not {AMD, "push/debug", "load/debug"} & ids(graph())
    named = ids(graph(only="debug", platform="linux/amd64"))
    assert {AMD, "push/debug", "load/debug", "base/system@linux/amd64"} <= named


def test_where_emulation_is_missing_the_platform_is_skipped_with_what_helps(root: Path) -> None:
    found = graph(root, only="debug")
    assert AMD in ids(found)
    assert ARM not in ids(found)
    assert dict(found.missing)[ARM] == f"its RUN needs emulation: {WHY}"
    assert ARM not in dict(found.blocked)


@pytest.mark.parametrize(
    "flags",
    [{"only": "debug", "platform": "linux/arm64"}, {"only": "debug@linux/arm64"}],
)
def test_a_platform_that_is_named_is_never_skipped(root: Path, flags: dict[str, str]) -> None:
    assert dict(graph(root, **flags).blocked)[ARM] == f"its RUN needs emulation: {WHY}"


def test_an_image_that_runs_nothing_needs_no_emulation(root: Path) -> None:
    (root / "images" / "debug" / "Dockerfile.j2").write_text("FROM {{ base }}\nCOPY RUN /RUN\n")
    assert ARM in ids(graph(root, only="debug"))


def test_without_mmdebstrap_a_system_comes_from_the_cache_or_not_at_all() -> None:
    absent = "mmdebstrap is not installed here"
    found = graph(only="debug", platform="linux/amd64", no_bootstrap=absent)
    assert dict(found.blocked)[AMD] == f"no base (system: {absent})"
    cached = frozenset({"base/system@linux/amd64"})
    kept = graph(only="debug", platform="linux/amd64", no_bootstrap=absent, cached=cached)
    assert AMD in ids(kept)
