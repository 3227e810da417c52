"""The whole reason of a verdict, against records that were really written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from buildkit.digest import Digest
from buildkit.errors import UsageError
from buildkit.plan.explain import UNMADE, Explainer, Explanation, choose_units, narrow
from buildkit.plan.graph import Graph
from buildkit.plan.hashing import Hasher
from buildkit.plan.inputs import inputs
from buildkit.plan.options import Goal
from buildkit.plan.units import Compile, Unit, Verdict
from tests.unit.plan.projects import graph as project_graph
from tests.unit.plan.test_planner import APP, PILOT, STATIC, World, family, keep, make_all


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def explain(world: World, *units: Unit, **changes: Any) -> Explanation:
    """Explain the last of some units."""
    planner = world.planner(**changes)
    plan = planner.plan(Graph(units=units))
    return Explainer(plan=plan, planner=planner).explain(plan.steps[-1])


def digest_of(path: Path) -> str:
    return str(Digest.of_file(path))


def test_what_was_never_made_has_inputs_but_no_digest_of_them(world: World) -> None:
    found = explain(world, world.app)
    assert (found.step.verdict, found.record, found.made) == (Verdict.RUN, None, None)
    assert found.inputs["the package"] == "./cmd/app"
    assert (found.digest, found.sources, found.changes, found.problem) == ("", (), (), "")


def test_what_is_up_to_date_names_every_source_with_its_digest(world: World) -> None:
    made = world.build(world.app)
    found = explain(world, world.app)
    assert found.step.verdict is Verdict.CACHED
    assert dict(found.sources) == {
        name: digest_of(world.root / "src" / name)
        for name in ("app/main.go", "app/page.html", "go.mod")
    }
    assert (found.changes, found.problem, found.is_kept) == ((), "", False)
    assert found.made is not None
    assert found.made.digest == made.digest
    assert found.record is not None
    assert found.record.made > 0
    assert str(Digest.parse(found.digest)) == found.digest


def test_every_change_is_named_with_both_digests(world: World) -> None:
    world.write("old.go", "old")
    world.build(world.app)
    before = {name: digest_of(world.package / name) for name in ("main.go", "old.go")}
    world.write("main.go", "changed")
    world.write("new.go", "new")
    world.write("new.html", "new page")
    (world.package / "old.go").unlink()
    found = explain(world, world.change(tags=("agent",)))
    assert [(change.name, change.before, change.after) for change in found.changes] == [
        ("the build tags", "", "agent"),
        ("app/main.go", before["main.go"], digest_of(world.package / "main.go")),
        ("app/new.go", None, digest_of(world.package / "new.go")),
        ("app/new.html", None, digest_of(world.package / "new.html")),
        ("app/old.go", before["old.go"], None),
    ]


def test_a_removed_embedded_file_is_one_change_with_its_digest(world: World) -> None:
    world.build(world.app)
    before = digest_of(world.package / "page.html")
    (world.package / "page.html").unlink()
    (change,) = explain(world, world.app).changes
    assert (change.name, change.before, change.after) == ("app/page.html", before, None)


@pytest.mark.parametrize(
    "edit",
    [
        lambda world: world.write("main.go", "changed"),
        lambda world: world.write("new.go", "new"),
        lambda world: world.write("../go.mod", "module y"),
    ],
)
def test_the_digest_of_the_inputs_follows_them(world: World, edit: Callable[[World], None]) -> None:
    world.build(world.app)
    first = explain(world, world.app).digest
    assert explain(world, world.app).digest == first
    assert explain(world, world.change(cgo=True)).digest not in {"", first}
    edit(world)
    assert explain(world, world.app).digest not in {"", first}


def test_equal_inputs_in_another_place_have_one_digest(world: World, tmp_path: Path) -> None:
    keep(world, world.app)
    clone = World(tmp_path / "clone")
    clone.cache = world.cache
    found = explain(clone, clone.app)
    assert found.step.verdict is Verdict.RESTORED
    assert found.digest == explain(world, world.app).digest
    assert dict(found.sources) == dict(explain(world, world.app).sources)
    assert found.is_kept


def test_an_output_that_is_not_as_recorded_says_why(world: World) -> None:
    world.build(world.app)
    world.output.write_text("altered")
    assert explain(world, world.app).problem == "app was altered"


def test_a_damaged_blob_is_not_said_to_be_kept_and_is_left_where_it_is(world: World) -> None:
    made = keep(world, world.app)
    assert explain(world, world.app).is_kept
    blob = world.cache.store.blob(Digest.parse(made.digest))
    blob.write_text("damaged")
    assert not explain(world, world.app).is_kept
    assert blob.read_text() == "damaged"


def test_a_need_that_runs_is_an_input_whose_value_is_not_known(world: World) -> None:
    base, app, pilot, _ = make_all(world)
    world.write("main.go", "changed")
    found = explain(world, base, app, pilot)
    assert found.digest == ""
    assert found.inputs["file app"] == UNMADE
    (change,) = found.changes
    assert (change.name, change.before, change.after) == (
        "file app",
        str(Digest.of_file(world.output)),
        UNMADE,
    )
    assert [(step.unit.id, step.verdict) for step in found.needs] == [
        (STATIC, Verdict.CACHED),
        (APP, Verdict.RUN),
    ]


def test_the_digest_alone_is_that_of_the_explanation(world: World) -> None:
    units = make_all(world)
    planner = world.planner()
    plan = planner.plan(Graph(units=units))
    explainer = Explainer(plan=plan, planner=planner)
    digests = [explainer.digest(step) for step in plan.steps]
    assert digests == [explainer.explain(step).digest for step in plan.steps]
    assert len(set(digests)) == len(units)
    assert all(map(Digest.parse, digests))


def test_explaining_writes_nothing(world: World) -> None:
    keep(world, world.app)
    world.write("main.go", "changed")

    def snapshot() -> dict[Path, tuple[int, int]]:
        found = {path: path.stat() for path in world.root.rglob("*")}
        return {path: (item.st_mtime_ns, item.st_size) for path, item in found.items()}

    before = snapshot()
    explain(world, *family(world)[:2])
    world.write("../Dockerfile.j2", "FROM base")
    now = snapshot()
    assert {path for path in now if now[path] != before.get(path)} <= {
        world.root,
        world.root / "Dockerfile.j2",
        world.root / "src",
        world.root / "src" / "Dockerfile.j2",
    }


def test_inputs_of_the_explanation_are_those_of_the_record(world: World) -> None:
    world.build(world.app)
    assert isinstance(world.app.action, Compile)
    assert explain(world, world.app).inputs == inputs(world.app, {}, Hasher({}))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("agent@linux/arm64", {"binary/agent@linux/arm64"}),
        ("binary/pilot@linux/amd64", {"binary/pilot@linux/amd64"}),
        ("push/pilot", {"push/pilot"}),
        ("base/static", {"base/static@linux/amd64", "base/static@linux/arm64"}),
    ],
)
def test_a_pattern_names_units_as_only_does(pattern: str, expected: set[str]) -> None:
    assert (
        set(
            choose_units(
                project_graph(Goal.BUILD, Goal.DOCKER, platform="linux/amd64,linux/arm64"), pattern
            )
        )
        == expected
    )


def test_a_bare_name_is_every_kind_of_it() -> None:
    found = choose_units(project_graph(Goal.BUILD, Goal.DOCKER, platform="linux/amd64"), "pilot")
    assert {"binary/pilot@linux/amd64", "image/pilot@linux/amd64", "push/pilot"} <= set(found)


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("agnt", "did you mean 'agent'?"),
        ("agnt@linux/amd64", "did you mean 'agent@linux/amd64'?"),
        ("binary/agnt@linux/amd64", "did you mean 'binary/agent@linux/amd64'?"),
        ("pusch/pilot", "did you mean 'push/pilot'?"),
    ],
)
def test_a_near_miss_says_what_may_be_meant(pattern: str, hint: str) -> None:
    with pytest.raises(UsageError, match="there is no unit") as caught:
        choose_units(project_graph(Goal.BUILD, Goal.DOCKER, platform="linux/amd64"), pattern)
    assert caught.value.details == hint


def test_a_part_of_a_graph_holds_what_it_needs_in_order() -> None:
    graph = project_graph(Goal.BUILD, Goal.DOCKER, platform="linux/amd64")
    assert [unit.id for unit in narrow(graph, (PILOT,))] == [
        unit.id for unit in graph.units if unit.id in {STATIC, "binary/pilot@linux/amd64", PILOT}
    ]
