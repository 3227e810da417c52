"""What `invoke explain` prints of a unit, as lines and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec.structs import replace

from buildkit.pipeline.commands import Command
from buildkit.pipeline.explaining import explanation_json, explanation_lines
from buildkit.plan.changes import Change
from buildkit.plan.explain import Explanation
from buildkit.plan.records import Record
from buildkit.plan.units import Artifact, Step, Unit, Verdict
from tests.fakes.units import binary, compile_action, image, push
from tests.unit.plan.projects import settings

OLD, NEW, OUT = (f"sha256:{character * 64}" for character in "abc")
APP = binary("app", compile_action(Path("/src"), Path("/out/app")))
IMAGE = image("app", "base/static@linux/amd64", needs=(APP.id,), template=Path("/x.j2"))
COMMAND = Command(argv=("go", "build"), environment={"GOOS": "linux"}, directory=Path("/src"))
RECORD = Record(inputs={}, digest=OUT, size=1_500_000, seconds=5.72, made=1_790_000_000)
CHANGED = Explanation(
    step=Step(unit=APP, verdict=Verdict.RUN, reason="app/main.go changed"),
    inputs={"the package": "./app", "the workspace": "", "the base": f"base/x {OLD}"},
    sources=(("app/main.go", NEW),),
    digest=NEW,
    changes=(
        Change(name="the build tags", before="", after="agent"),
        Change(name="app/main.go", before=OLD, after=NEW),
        Change(name="app/old.go", before=OLD, after=None),
    ),
    needs=(),
    record=RECORD,
    made=Artifact(unit=APP.id, digest=OUT, size=1_500_000, path=Path("/out/app")),
    problem="",
    is_kept=True,
)
NEVER = replace(CHANGED, digest="", changes=(), record=None, made=None, is_kept=False, sources=())


def lines(item: Explanation, command: Command | None = None, **flags: str) -> list[str]:
    return [f"{word}|{text}" for word, text in explanation_lines(item, command, settings(**flags))]


def of(unit: Unit, item: Explanation = NEVER) -> Explanation:
    return replace(item, step=replace(item.step, unit=unit))


def test_everything_is_said_in_order_with_digests_that_can_be_compared() -> None:
    assert lines(CHANGED, COMMAND, version="1.2.3") == [
        "verdict|RUN",
        "reason|app/main.go changed",
        "changed|the build tags changed: agent",
        "|app/main.go changed: sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb",
        "|app/old.go was removed: sha256:aaaaaaaaaaaa",
        f"inputs|{NEW}",
        "|the package: ./app",
        "|the workspace: (empty)",
        "|the base: base/x sha256:aaaaaaaaaaaa",
        "sources|app/main.go: sha256:bbbbbbbbbbbb",
        "version|1.2.3 (--version)",
        "command|cd /src && GOOS=linux go build",
        "made|2026-09-21 14:13:20+00:00, in 5.7 s",
        f"output|/out/app, 1.5 MB, {OUT}",
        "cache|holds this output",
    ]


def test_what_was_never_made_says_so_and_has_no_output() -> None:
    said = lines(NEVER)
    assert "inputs|their digest is not known before it is made" in said
    assert said[-1] == "made|never here"
    assert not [line for line in said if line.startswith(("changed", "output", "cache", "command"))]


def test_an_output_that_is_not_as_recorded_and_an_old_record_are_said() -> None:
    old = replace(CHANGED, record=Record(inputs={}, digest=OUT, size=1), problem="app is missing")
    said = lines(replace(old, is_kept=False))
    assert said[-4:] == [
        "made|some time ago, in 0.0 s",
        f"output|/out/app, 1.5 MB, {OUT}",
        "|app is missing",
        "cache|does not hold this output",
    ]


def test_an_image_names_its_needs_and_no_place_in_the_cache() -> None:
    need = Step(unit=APP, verdict=Verdict.CACHED, reason="up to date")
    said = lines(replace(of(IMAGE, CHANGED), needs=(need,)))
    assert f"needs|{APP.id}  CACHED, up to date" in said
    assert not [line for line in said if line.startswith("cache|")]


def test_a_push_names_its_names_and_where_hub_and_tags_came_from() -> None:
    unit = push("app", (IMAGE.id,), "h.example/x/app:1")
    said = lines(of(unit), hub="h.example/x", tag="1,2")
    assert said[said.index("names|h.example/x/app:1") :][:4] == [
        "names|h.example/x/app:1",
        "hub|h.example/x (--hub)",
        "tags|1 (--tag)",
        "|2 (--tag)",
    ]


def test_the_document_has_whole_digests() -> None:
    document = json.loads(json.dumps(explanation_json(CHANGED, COMMAND)))
    assert document["changes"][1] == {"name": "app/main.go", "before": OLD, "after": NEW}
    assert document["sources"] == {"app/main.go": NEW}
    assert document["inputs"]["the base"] == f"base/x {OLD}"
    assert document["inputs_digest"] == NEW
    assert document["command"] == {
        "argv": ["go", "build"],
        "environment": {"GOOS": "linux"},
        "directory": "/src",
    }
    assert document["record"] == {"made": 1_790_000_000, "seconds": 5.72}
    assert document["output"] == {
        "path": "/out/app",
        "digest": OUT,
        "size": 1_500_000,
        "problem": "",
        "cached": True,
    }


def test_what_is_not_known_is_null() -> None:
    document = explanation_json(NEVER, None)
    unknown = ("inputs_digest", "command", "record", "output")
    assert [document[name] for name in unknown] == [None] * len(unknown)
