"""A Go module of a few lines, and what plans and builds it with the real toolchain."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from buildkit.build.golang import GoBuilder, GoCommand
from buildkit.execute.outcomes import Outcome
from buildkit.execute.scheduler import Crew, execute
from buildkit.log import Silent
from buildkit.plan.action_cache import ActionCache
from buildkit.plan.graph import Graph
from buildkit.plan.hashing import Hasher
from buildkit.plan.inputs import inputs
from buildkit.plan.planner import Planner, file_present
from buildkit.plan.records import RecordBook
from buildkit.plan.sources import find_workspace
from buildkit.plan.units import Artifact, Compile, Kind, Unit, Verdict
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.store import Store
from tests.fakes.units import binary, compile_action, running

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
    "more/more.go": 'package more\n\nconst Text = "more"\n',
    "main.go": "package main\n\nfunc main() {}\n",
}
HOST = Platform.host()


class GoModule:
    """The module, a record book, and what builds and plans it."""

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
        action = replace(compile_action(self.source, output, package), **changes)
        return binary(name, action, platform)

    def planner(self) -> Planner:
        book = RecordBook.open(self.out / "records.json")
        hasher = Hasher(book.files)
        presence = {Kind.BINARY: file_present(hasher)}
        cache = ActionCache(open_store=lambda: Store.open(self.root / "cache"))
        return Planner(book=book, hasher=hasher, presence=presence, cache=cache)

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
            listings=self.out / "listings",
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
        step = self.planner().plan(Graph(units=(self.settled(unit),))).steps[0]
        return step.verdict, step.reason

    def run(self, *units: Unit) -> list[Outcome]:
        """Plan and carry out, as a run of the tool does."""
        processes = Processes()
        planner = self.planner()
        builder = self.builder(planner.hasher, {})
        crew = Crew(
            builders={Kind.BINARY: builder},
            frugal={Kind.BINARY: replace(builder, jobs=1)},
            planner=planner,
            book=planner.book,
            hasher=planner.hasher,
            reporter=Silent(sys.stderr),
            limits={Kind.BINARY: 2, Kind.FETCH: 4},
            cancel=processes.cancel,
        )
        plan = planner.plan(Graph(units=tuple(map(self.settled, units))))
        return list(execute(plan, crew))

    def settled(self, unit: Unit) -> Unit:
        """Return a unit with the workspace that is in force now."""
        workspace = find_workspace(str(self.source))
        return replace(unit, action=replace(action_of(unit), workspace=workspace))


def action_of(unit: Unit) -> Compile:
    assert isinstance(unit.action, Compile)
    return unit.action
