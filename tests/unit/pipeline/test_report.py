"""The closing table, the plan, and both as JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.errors import BuildError
from buildkit.execute.outcomes import Outcome, Status
from buildkit.log import Plain
from buildkit.pipeline.report import (
    PLAN_COLUMNS,
    RESULT_COLUMNS,
    distinct_errors,
    human_size,
    plan_json,
    plan_rows,
    print_json,
    result_json,
    result_rows,
    show_settings,
    waiting,
)
from buildkit.plan.graph import Graph
from buildkit.plan.planner import Plan
from buildkit.plan.units import Artifact, Download, Kind, Override, Step, Unit, Verdict
from tests.fakes.units import binary, compile_action, image, push
from tests.unit.plan.projects import settings

APP = binary("app", compile_action(Path("/src"), Path("/out/app")))
IMAGE = image("app", "base/static@linux/amd64", needs=(APP.id,), template=Path("Dockerfile.j2"))
PUSH = push("app", (IMAGE.id,), "localhost:5000/app:latest")
GRAPH = Graph(
    units=(APP, IMAGE, PUSH),
    missing=(("fetch/envoy@darwin/amd64", "no source serves it"),),
    blocked=(("image/proxy@linux/arm64", "no base"),),
    notes=(),
)
MADE = Artifact(
    unit=APP.id, digest="sha256:" + "0123456789ab" * 5 + "cdef", size=1_234_567, path=Path("/o")
)
OUTCOMES = (
    Outcome(unit=APP, status=Status.DONE, reason="app.go changed", seconds=1.26, artifact=MADE),
    Outcome(unit=IMAGE, status=Status.FAILED, reason="x", seconds=0.5, error=BuildError("x")),
    Outcome(unit=PUSH, status=Status.ABORTED, reason=f"{IMAGE.id} failed"),
)
PLAN = Plan(
    steps=(
        Step(unit=APP, verdict=Verdict.CACHED, reason="up to date"),
        Step(unit=PUSH, verdict=Verdict.RUN, reason="never made here"),
    ),
    artifacts={},
    notes=("a note",),
)


def test_the_table_has_a_row_per_unit_and_what_does_not_exist_last() -> None:
    rows = result_rows(OUTCOMES, GRAPH)
    assert all(len(row) == len(RESULT_COLUMNS) for row in rows)
    assert rows == [
        ("binary/app", "linux/amd64", "done", "1.3 s", "1.2 MB", "0123456789ab"),
        ("image/app", "linux/amd64", "failed", "0.5 s", "", ""),
        ("push/app", "", "aborted", "", "", ""),
        ("fetch/envoy", "darwin/amd64", "skipped", "", "", ""),
        ("image/proxy", "linux/arm64", "blocked", "", "", ""),
    ]


def test_the_plan_has_a_verdict_and_a_reason_for_everything() -> None:
    rows = plan_rows(PLAN, GRAPH)
    assert all(len(row) == len(PLAN_COLUMNS) for row in rows)
    assert rows == [
        ("CACHED", "binary/app@linux/amd64", "up to date"),
        ("RUN", "push/app", "never made here"),
        ("SKIP", "fetch/envoy@darwin/amd64", "no source serves it"),
        ("BLOCKED", "image/proxy@linux/arm64", "no base"),
    ]


def test_the_plan_as_json_says_the_same() -> None:
    details = {APP.id: {"inputs_digest": "d"}}
    document = json.loads(json.dumps(plan_json(PLAN, GRAPH, settings(hub="h.example/x"), details)))
    assert document["destinations"] == [
        {
            "hub": {"value": "h.example/x", "origin": "--hub"},
            "tags": [{"value": "1.2.3-4-gabc", "origin": "the version, git describe"}],
            "push": False,
            "push_origin": "the default of a remote hub",
        }
    ]
    assert document["notes"] == ["a note"]
    assert [(unit["verdict"], unit["id"], unit["reason"]) for unit in document["units"]] == (
        plan_rows(PLAN, GRAPH)
    )
    assert document["units"][0]["inputs_digest"] == "d"
    assert "inputs_digest" not in document["units"][1]
    assert document["units"][1]["destinations"] == ["localhost:5000/app:latest"]
    assert document["units"][1]["tags"] == ["latest"]
    assert document["units"][1]["needs"] == [IMAGE.id]


def test_the_result_as_json_says_the_same_and_more() -> None:
    document = json.loads(json.dumps(result_json(OUTCOMES, GRAPH, settings())))
    app, *others = document["units"]
    assert app == {
        "id": APP.id,
        "kind": "binary",
        "name": "app",
        "platform": "linux/amd64",
        "needs": [],
        "status": "done",
        "reason": "app.go changed",
        "seconds": 1.26,
        "unlocked": [],
        "digest": MADE.digest,
        "size": 1_234_567,
        "path": "/o",
        "problem": "",
        "references": [],
    }
    assert [unit["status"] for unit in others] == ["failed", "aborted", "skipped", "blocked"]
    assert "digest" not in others[0]


def test_what_no_lock_vouches_for_is_marked_in_both_tables_and_in_json() -> None:
    fetch = Unit(
        kind=Kind.FETCH,
        name="envoy",
        platform=APP.platform,
        action=Download(
            name="envoy",
            version="1",
            sources=(),
            override=Override(words="./envoy", path=Path("/envoy")),
            strip=False,
            output=Path("/out/envoy"),
        ),
    )
    proxy = replace(IMAGE, name="proxy", needs=(fetch.id, APP.id))
    units = (fetch, APP, proxy)
    steps = tuple(Step(unit=u, verdict=Verdict.CACHED, reason="up to date") for u in units)
    plan, own = Plan(steps=steps, artifacts={}), Graph(units=units)
    assert [row[2] for row in plan_rows(plan, own)] == [
        "up to date, not locked",
        "up to date",
        "up to date, not locked",
    ]
    outcomes = tuple(Outcome(unit=u, status=Status.CACHED, reason="up to date") for u in units)
    assert [row[2] for row in result_rows(outcomes, own)] == [
        "cached, not locked",
        "cached",
        "cached, not locked",
    ]
    for document in (plan_json(plan, own, settings(), {}), result_json(outcomes, own, settings())):
        assert [unit["unlocked"] for unit in document["units"]] == [[fetch.id], [], [fetch.id]]


def failed(error: BuildError) -> Outcome:
    return Outcome(unit=APP, status=Status.FAILED, reason=error.brief, error=error)


def test_what_a_compiler_says_for_several_platforms_is_shown_once() -> None:
    one = BuildError("a for linux", details="a.go:1: no", resolution="see a.log")
    two = BuildError("a for darwin", details="a.go:1: no", resolution="see b.log")
    three = BuildError("b for darwin", details="b.go:1: no")
    bare = BuildError("c"), BuildError("d"), BuildError("c")
    found = distinct_errors(list(map(failed, (one, one, two, three, *bare))))
    assert [(e.brief, e.details, e.resolution) for e in found] == [
        ("a for linux", "a.go:1: no", "see a.log"),
        ("a for darwin", "For the same reason as: a for linux", "see b.log"),
        ("b for darwin", "b.go:1: no", ""),
        ("c", "", ""),
        ("d", "", ""),
    ]
    assert found[0] is one


def test_units_that_wait_are_named_beside_what_failed() -> None:
    outcome = Outcome(unit=APP, status=Status.BLOCKED, reason="needs make")
    own = replace(GRAPH, blocked=(("image/web", "needs npm"),))
    (alone,) = waiting((outcome,), own, rest_is_done=True)
    assert alone.brief == "2 units wait for what is missing here"
    assert alone.details == f"{APP.id}: needs make\nimage/web: needs npm"
    assert alone.resolution.startswith("Everything else is done; mend that")
    (beside,) = waiting((outcome,), own, rest_is_done=False)
    assert beside.resolution == "Mend that and run the same command again."
    assert waiting((), replace(GRAPH, blocked=()), rest_is_done=True) == ()


def test_json_is_one_document_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"b": 1, "a": "ü"})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"a": "ü", "b": 1}
    assert captured.out.endswith("}\n")
    assert captured.err == ""


def test_every_setting_is_shown_with_where_it_came_from() -> None:
    stream = io.StringIO()
    flags = {"engine": "oci", "jobs": 3, "set": ("go.cgo=true",), "load": False}
    chosen = settings(tag="1,2", platform="linux/arm64", hub="localhost:5000,b.com", **flags)
    show_settings(chosen, Plain(stream))
    assert stream.getvalue().splitlines() == [
        "version    1.2.3-4-gabc (git describe)",
        "hub        localhost:5000 (--hub)",
        "tags       1 (--tag), 2 (--tag)",
        "push       yes (the default of a loopback hub)",
        "hub        b.com (--hub)",
        "tags       1 (--tag), 2 (--tag)",
        "push       no (the default of a remote hub)",
        "engine     oci (--engine)",
        "platforms  linux/arm64 (--platform)",
        "go.cgo     true (--set)",
        "jobs       3 (--jobs)",
        "load       no (--no-load)",
    ]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (1_000_000, "1.0 MB"),
        (1_500_000_000, "1.50 GB"),
        (2_000_000_000_000, "2000.00 GB"),
    ],
)
def test_sizes_are_decimal(size: int, text: str) -> None:
    assert human_size(size) == text
