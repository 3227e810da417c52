"""The Go builder and its records against the real toolchain, on a module of a few lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from buildkit.build.golang import GoBuilder, GoCommand
from buildkit.errors import BuildError
from buildkit.machine import read_machine
from buildkit.plan.graph import Graph
from buildkit.plan.hashing import Hasher
from buildkit.plan.inputs import inputs
from buildkit.plan.planner import Planner, file_present
from buildkit.plan.records import RecordBook
from buildkit.plan.units import Artifact, Compile, Kind, Unit, Verdict
from buildkit.platform import Platform
from buildkit.proc import Processes
from tests.fakes.units import binary, compile_action, running

pytestmark = pytest.mark.go

APP = """\
package main

import (
	_ "embed"
	"fmt"

	"example.com/dep"
	"example.com/tiny/inner"
)

//go:embed page.txt
var page string

var version, note = "none", "none"

func main() { fmt.Print(version, "|", note, "|", page, "|", dep.Word, "|", inner.Mode) }
"""

FILES = {
    "go.mod": "module example.com/tiny\n\ngo 1.24\n\nrequire example.com/dep v0.0.0\n\n"
    "replace example.com/dep => ../dep\n",
    "cmd/app/main.go": APP,
    "cmd/app/page.txt": "a page",
    "cmd/app/main_test.go": "package main\n",
    "cmd/site/main.go": 'package main\n\nimport "embed"\n\n'
    "//go:embed *.html\nvar pages embed.FS\n\n"
    'func main() { entries, _ := pages.ReadDir("."); println(len(entries)) }\n',
    "cmd/site/one.html": "1",
    "inner/mode.go": '//go:build !agent\n\npackage inner\n\nconst Mode = "full"\n',
    "inner/agent.go": '//go:build agent\n\npackage inner\n\nconst Mode = "agent"\n',
    "main.go": "package main\n\nfunc main() {}\n",
}
HOST = Platform.host()


class Workshop:
    """A module, a record book, and what builds and plans it."""

    def __init__(self, root: Path) -> None:
        self.source, self.root, self.out = root / "src", root, root / "out"
        for name, text in FILES.items():
            self.write(name, text)
        self.write("../dep/go.mod", "module example.com/dep\n\ngo 1.24\n")
        self.write("../dep/dep.go", 'package dep\n\nconst Word = "dep"\n')
        self.go = str(shutil.which("go"))

    def write(self, name: str, text: str) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def unit(self, name: str, package: str, platform: Platform = HOST, **changes: object) -> Unit:
        output = self.out / platform.slug / name
        action = replace(compile_action(self.source, output, package), **changes)  # type: ignore[arg-type]  # any field
        return binary(name, action, platform)

    def planner(self) -> Planner:
        book = RecordBook.open(self.out / "records.json")
        hasher = Hasher(book.files)
        presence = {Kind.BINARY: file_present(hasher)}
        return Planner(book=book, hasher=hasher, presence=presence)

    def builder(self, hasher: Hasher, volatile: Mapping[str, str]) -> GoBuilder:
        environment = {
            name: os.environ[name]
            for name in ("HOME", "PATH", "GOCACHE", "GOMODCACHE")
            if name in os.environ
        }
        environment |= {"GOFLAGS": "", "GOENV": "off", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
        return GoBuilder(
            go=lambda: GoCommand(program=Path(self.go), environment=environment),
            runner=Processes(),
            hasher=hasher,
            volatile=lambda: volatile,
            jobs=2,
            scratch=self.out / "tmp",
        )

    def build(self, *units: Unit, volatile: Mapping[str, str] | None = None) -> list[Artifact]:
        # Sources younger than a clock tick are never claimed by a record.
        time.sleep(0.06)
        planner = self.planner()
        builder = self.builder(planner.hasher, volatile or {})
        made = builder.build(tuple(map(running, units)), {}, lambda _: None)
        for unit, artifact in zip(units, made, strict=True):
            if artifact.sources is not None:
                planner.book.put(artifact, inputs(unit, {}, planner.hasher), 1.0, planner.hasher)
        return list(made)

    def verdict(self, unit: Unit) -> tuple[Verdict, str]:
        step = self.planner().plan(Graph(units=(unit,))).steps[0]
        return step.verdict, step.reason


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path.resolve())


def output_of(artifact: Artifact) -> str:
    assert artifact.path is not None
    return subprocess.run([artifact.path], check=True, capture_output=True, text=True).stdout


def action_of(unit: Unit) -> Compile:
    assert isinstance(unit.action, Compile)
    return unit.action


def test_two_groups_differ_by_tag_and_carry_their_stamps(shop: Workshop) -> None:
    stamps = (("main.version", "1 'quoted'"),)
    volatile = (("main.note", "at ${git.revision}"),)
    full = shop.unit("app", "./cmd/app", stamps=stamps, volatile_stamps=volatile)
    agent = shop.unit("agent", "./cmd/app", group="agent", tags=("agent",))
    (made,) = shop.build(full, volatile={"git.revision": "abc"})
    assert output_of(made) == "1 'quoted'|at abc|a page|dep|full"
    (made,) = shop.build(agent)
    assert output_of(made) == "none|none|a page|dep|agent"
    assert made.path == shop.out / HOST.slug / "agent"


def test_a_version_that_the_program_does_not_hold_is_recorded_with_it(shop: Workshop) -> None:
    names = ("main.version", "main.nowhere", "example.com/tiny/inner.version", "example.com/x.v")
    stamps = tuple((name, "7.8.9") for name in names)
    held = shop.unit("app", "./cmd/app", stamps=stamps, version_stamps=names)
    (good,) = shop.build(held)
    assert good.problem == ""
    lacking = shop.unit(
        "other", "./cmd/app", stamps=(("main.nowhere", "7.8.9"),), version_stamps=names
    )
    (bad,) = shop.build(lacking)
    assert bad.problem.startswith("lacks '7.8.9' in main.nowhere: there is no such variable")
    planner = shop.planner()
    assert planner.plan(Graph(units=(lacking,))).artifacts[lacking.id].problem == bad.problem


def test_a_version_inside_a_longer_or_volatile_stamp_is_looked_for_whole(shop: Workshop) -> None:
    volatile = (("main.note", "v7.8.9-${git.revision}"),)
    unit = shop.unit("app", "./cmd/app", volatile_stamps=volatile, version_stamps=("main.note",))
    (made,) = shop.build(unit, volatile={"git.revision": "abc"})
    assert made.problem == ""
    assert "|v7.8.9-abc|" in output_of(made)


def test_one_batch_makes_all_its_binaries_whatever_they_are_called(shop: Workshop) -> None:
    units = (
        shop.unit("app", "./cmd/app"),
        shop.unit("pages", "./cmd/site"),
        shop.unit("again", "./cmd/app/"),
        shop.unit("root", "."),
        shop.unit("imported", "example.com/tiny/cmd/site"),
    )
    made = shop.build(*units)
    assert [str(artifact.path) for artifact in made] == [
        str(action_of(unit).output) for unit in units
    ]
    assert made[0].digest == made[2].digest
    assert made[1].digest == made[4].digest
    for unit in units:
        assert shop.verdict(unit) == (Verdict.CACHED, "up to date"), unit.id
    assert list((shop.out / "tmp").iterdir()) == []


def test_another_platform_gets_its_own_machine_type_without_cgo(shop: Workshop) -> None:
    platform = Platform("linux", "arm64")
    (made,) = shop.build(shop.unit("app", "./cmd/app", platform))
    assert made.path is not None
    assert all(machine.fits(platform) for machine in read_machine(made.path))


def test_the_same_sources_give_the_same_bytes_in_another_place(tmp_path: Path) -> None:
    shops = [Workshop((tmp_path / name).resolve()) for name in ("one", "two")]
    one, two = (shop.build(shop.unit("app", "./cmd/app"))[0] for shop in shops)
    assert one.digest == two.digest


EDITS = {
    "cmd/app/main.go": (APP + "\nvar more = 1\n", "cmd/app/main.go changed"),
    "cmd/app/page.txt": ("another page", "cmd/app/page.txt changed"),
    "cmd/app/new.go": ("package main\n", "cmd/app/new.go is new"),
    "inner/mode.go": (
        '//go:build !agent\n\npackage inner\n\nconst Mode = "x"\n',
        "src/inner/mode.go changed",
    ),
    "go.mod": (FILES["go.mod"] + "\n// changed\n", "src/go.mod changed"),
    "go.sum": ("\n", "src/go.sum changed"),
    "../dep/dep.go": ('package dep\n\nconst Word = "x"\n', "dep/dep.go changed"),
    "../go.work": ("go 1.24\n\nuse ./src\n", "go.work changed"),
}


def test_an_edit_of_what_the_binary_is_made_from_rebuilds_it_until_it_is_undone(
    shop: Workshop,
) -> None:
    unit = shop.unit("app", "./cmd/app")
    shop.build(unit)
    for name, (text, reason) in EDITS.items():
        path = shop.source / name
        before = path.read_text() if path.exists() else None
        shop.write(name, text)
        verdict, found = shop.verdict(unit)
        assert verdict is Verdict.RUN, name
        assert found.endswith(reason)
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
        assert shop.verdict(unit) == (Verdict.CACHED, "up to date"), name


def test_an_edit_of_anything_else_does_not_rebuild(shop: Workshop) -> None:
    unit = shop.unit("app", "./cmd/app")
    shop.build(unit)
    for name in ("cmd/app/main_test.go", "cmd/app/README.md", "cmd/site/main.go", "other/x.go"):
        shop.write(name, "package other\n")
        assert shop.verdict(unit) == (Verdict.CACHED, "up to date"), name


def test_a_removed_and_a_renamed_file_rebuild(shop: Workshop) -> None:
    shop.write("cmd/app/extra.go", "package main\n")
    unit = shop.unit("app", "./cmd/app")
    shop.build(unit)
    (shop.source / "cmd/app/extra.go").rename(shop.source / "cmd/app/more.go")
    assert shop.verdict(unit) == (Verdict.RUN, "cmd/app/more.go is new")
    (shop.source / "cmd/app/more.go").unlink()
    assert shop.verdict(unit) == (Verdict.RUN, "cmd/app/extra.go was removed")


def test_a_new_file_that_an_embed_pattern_matches_rebuilds(shop: Workshop) -> None:
    unit = shop.unit("site", "./cmd/site")
    shop.build(unit)
    shop.write("cmd/site/below/other.html", "not matched")
    assert shop.verdict(unit)[0] is Verdict.CACHED
    shop.write("cmd/site/two.html", "2")
    assert shop.verdict(unit) == (Verdict.RUN, "cmd/site/two.html is new")


def test_a_vendored_file_counts(shop: Workshop) -> None:
    subprocess.run([shop.go, "mod", "vendor"], cwd=shop.source, check=True, capture_output=True)
    unit = shop.unit("app", "./cmd/app")
    (made,) = shop.build(unit)
    assert "|dep|" in output_of(made)
    shop.write("vendor/example.com/dep/dep.go", 'package dep\n\nconst Word = "vendored"\n')
    assert shop.verdict(unit) == (Verdict.RUN, "example.com/dep/dep.go changed")
    (made,) = shop.build(unit)
    assert "|vendored|" in output_of(made)


def test_a_compile_error_is_told_once_and_leaves_the_old_output(shop: Workshop) -> None:
    unit, other = shop.unit("app", "./cmd/app"), shop.unit("pages", "./cmd/site")
    (made, _) = shop.build(unit, other)
    shop.write("cmd/app/main.go", "package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(BuildError) as caught:
        shop.build(unit, other)
    assert caught.value.brief == f"app for {HOST} did not compile"
    assert caught.value.details.count("undefined: undefined") == 1
    assert made.path is not None
    assert output_of(made).endswith("|full")
    assert shop.verdict(unit)[0] is Verdict.RUN
    assert shop.verdict(other) == (Verdict.CACHED, "up to date")
    assert list((shop.out / "tmp").iterdir()) == []


def test_what_was_edited_while_it_compiled_is_not_recorded(shop: Workshop) -> None:
    unit = shop.unit("app", "./cmd/app")
    builder = shop.builder(Hasher({}), {})
    runner = builder.runner

    class Editing:
        def run(self, argv: list[str], **rest: object) -> object:
            done = runner.run(argv, **rest)  # type: ignore[arg-type]  # handed on as it came
            if argv[1] == "build":
                shop.write("inner/mode.go", FILES["inner/mode.go"] + "\n")
            return done

    time.sleep(0.06)
    editing = replace(builder, runner=Editing())  # type: ignore[arg-type]  # see Editing
    (made,) = editing.build((running(unit),), {}, lambda _: None)
    assert made.sources is None
