"""Random edits: every verdict is right, every output equals that of a build from nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from buildkit.digest import Digest
from buildkit.execute.outcomes import Status
from buildkit.plan.units import Unit, Verdict
from tests.integration.go_module import APP, FILES, HOST, GoModule

pytestmark = pytest.mark.go

Edit = Callable[[GoModule, int], None]


def write(name: str, text: str) -> Edit:
    """Return an edit that writes a text in which ``#`` is a number."""
    return lambda shop, number: shop.write(name, text.replace("#", str(number)))


def remove_extra(shop: GoModule, _number: int) -> None:
    for path in (shop.source / "cmd/app").glob("extra*.go"):
        path.unlink()


def rename_extra(shop: GoModule, number: int) -> None:
    for path in sorted((shop.source / "cmd/app").glob("extra*.go"))[:1]:
        path.rename(path.with_name(f"extra{number}moved.go"))


def undo(shop: GoModule, _number: int) -> None:
    """Go back to the first sources, as a checkout of the first commit does."""
    remove_extra(shop, 0)
    shutil.rmtree(shop.source / "cmd/site")
    for name, text in FILES.items():
        shop.write(name, text)
    shop.write("../dep/dep.go", 'package dep\n\nconst Word = "dep"\n')


def touch(shop: GoModule, number: int) -> None:
    os.utime(shop.source / "cmd/app/main.go", (number, number))


def lose(shop: GoModule, _number: int) -> None:
    (shop.out / HOST.slug / "app").unlink(missing_ok=True)


def alter(shop: GoModule, number: int) -> None:
    path = shop.out / HOST.slug / "pages"
    if path.exists():
        path.write_bytes(path.read_bytes() + bytes([number]))


def close(shop: GoModule, _number: int) -> None:
    for path in (shop.out / HOST.slug).glob("app"):
        path.chmod(0o644)


NEUTRAL: dict[str, Edit] = {
    "a time": touch,
    "a readme": write("cmd/app/README.md", "#"),
    "a test": write("cmd/app/main_test.go", "package main\n\nvar _ = #\n"),
    "test data": write("cmd/app/testdata/x.txt", "#"),
    "an excluded file": write(
        "inner/agent.go", FILES["inner/agent.go"].replace('"agent"', '"other #"')
    ),
    "another package": write("other/x.go", "package other\n\nvar X = #\n"),
}
EFFECTIVE: dict[str, Edit] = {
    "the program": write("cmd/app/main.go", APP + "\nfunc init() { note = `#` }\n"),
    "an import": write(
        "cmd/app/main.go",
        APP.replace("\n)", '\n\t"example.com/tiny/more"\n)', 1)
        + "\nfunc init() { note = `#` + more.Text }\n",
    ),
    "what may be imported": write("more/more.go", 'package more\n\nconst Text = "#"\n'),
    "an embedded file": write("cmd/app/page.txt", "page #"),
    "a page": write("cmd/site/page#.html", "#"),
    "a package": write("inner/mode.go", '//go:build !agent\n\npackage inner\n\nconst Mode = "#"\n'),
    "a replaced module": write("../dep/dep.go", 'package dep\n\nconst Word = "#"\n'),
    "a new file": write("cmd/app/extra#.go", "package main\n\nfunc init() { version = `#` }\n"),
    "no new files": remove_extra,
    "another name": rename_extra,
    "go.mod": write("go.mod", FILES["go.mod"] + "\n// #\n"),
    "everything undone": undo,
    "a lost output": lose,
    "an altered output": alter,
    "an output that nobody may run": close,
}
EDITS = NEUTRAL | EFFECTIVE

TURNS = st.lists(
    st.lists(st.tuples(st.sampled_from(sorted(EDITS)), st.integers(1, 9)), min_size=1, max_size=3),
    min_size=3,
    max_size=5,
)


def from_nothing(shop: GoModule) -> dict[str, Digest]:
    """Compile as the Go command alone does, and return the digests."""
    folder = shop.root / "reference"
    shutil.rmtree(folder, ignore_errors=True)
    for name, package in (("app", "./cmd/app"), ("pages", "./cmd/site")):
        subprocess.run(
            [
                *(shop.go, "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w"),
                *("-o", str(folder / name), package),
            ],
            cwd=shop.source,
            check=True,
            capture_output=True,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOPROXY": "off"},
        )
    return {name: Digest.of_file(folder / name) for name in ("app", "pages")}


MADE_FROM = {
    "app": ("go.mod", "cmd/app/*.go", "cmd/app/page.txt", "inner/mode.go", "../dep/*"),
    "pages": ("go.mod", "cmd/site/*.go", "cmd/site/*.html"),
}
STATUSES = {
    Verdict.RUN: Status.DONE,
    Verdict.RESTORED: Status.RESTORED,
    Verdict.CACHED: Status.CACHED,
}


class Oracle:
    """Tells the right verdicts without looking at records: by all content a unit is made from."""

    def __init__(self, shop: GoModule) -> None:
        self._shop = shop
        self._made: dict[str, list[str]] = {name: [] for name in MADE_FROM}
        self._outputs: dict[str, Digest] = {}

    def verdict(self, unit: Unit) -> Verdict:
        made, content = self._made[unit.name], self._content(unit.name)
        if content not in made:
            return Verdict.RUN
        assert unit.output is not None
        can_run = unit.output.exists() and os.access(unit.output, os.X_OK)
        is_there = can_run and Digest.of_file(unit.output) == self._outputs[unit.name]
        return Verdict.CACHED if is_there and content == made[-1] else Verdict.RESTORED

    def note(self, unit: Unit, output: Digest) -> None:
        self._made[unit.name].append(self._content(unit.name))
        self._outputs[unit.name] = output

    def _content(self, name: str) -> str:
        program = self._shop.source / "cmd/app/main.go"
        imported = name == "app" and "tiny/more" in program.read_text()
        patterns = (*MADE_FROM[name], *(["more/*.go"] if imported else []))
        found = {p for pattern in patterns for p in self._shop.source.glob(pattern)}
        counted = sorted(path for path in found if not path.name.endswith("_test.go"))
        return repr([(str(path), path.read_text()) for path in counted])


def try_turns(root: Path, turns: list[list[tuple[str, int]]]) -> None:
    shop = GoModule(root.resolve())
    units = (shop.unit("app", "./cmd/app"), shop.unit("pages", "./cmd/site"))
    oracle = Oracle(shop)
    for edits in ([], *turns):
        for name, number in edits:
            EDITS[name](shop, number)
        # What is younger than a clock tick is never claimed by a record.
        time.sleep(0.06)
        right = [oracle.verdict(unit) for unit in units]
        if edits and all(name in NEUTRAL for name, _ in edits):
            assert right == [Verdict.CACHED] * 2
        assert [shop.verdict(unit)[0] for unit in units] == right, edits
        outcomes = shop.run(*units)
        assert [o.status for o in outcomes] == [STATUSES[verdict] for verdict in right], outcomes
        expected = from_nothing(shop)
        for unit in units:
            assert unit.output is not None
            assert Digest.of_file(unit.output) == expected[unit.name], (unit.id, edits)
            assert os.access(unit.output, os.X_OK)
            oracle.note(unit, expected[unit.name])


@settings(
    max_examples=3,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(turns=[[("an output that nobody may run", 1)]])
@example(turns=[[("an import", 1)], [("what may be imported", 2)], [("an import", 3)]])
@given(turns=TURNS)
def test_a_few_sequences_of_edits(
    turns: list[list[tuple[str, int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    try_turns(tmp_path_factory.mktemp("few"), turns)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(turns=TURNS)
def test_many_sequences_of_edits(
    turns: list[list[tuple[str, int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    try_turns(tmp_path_factory.mktemp("many"), turns)


def test_a_checkout_back_and_forth_is_restored(tmp_path: Path) -> None:
    shop = GoModule(tmp_path.resolve())
    unit = shop.unit("app", "./cmd/app")
    time.sleep(0.06)
    shop.run(unit)
    first = from_nothing(shop)["app"]
    EFFECTIVE["a package"](shop, 1)
    time.sleep(0.06)
    (outcome,) = shop.run(unit)
    assert outcome.status is Status.DONE
    undo(shop, 0)
    time.sleep(0.06)
    (outcome,) = shop.run(unit)
    assert outcome.status is Status.RESTORED
    assert outcome.reason.endswith("changed; made before from the same inputs")
    assert unit.output is not None
    assert Digest.of_file(unit.output) == first
    assert shop.verdict(unit) == (Verdict.CACHED, "up to date")


def test_a_moved_tree_is_up_to_date_and_a_copy_restores(tmp_path: Path) -> None:
    shop = GoModule((tmp_path / "one").resolve())
    unit = shop.unit("app", "./cmd/app")
    time.sleep(0.06)
    shop.run(unit)
    copy = GoModule((tmp_path / "two" / "deeper").resolve())
    shutil.copytree(shop.root / "cache", copy.root / "cache")
    (outcome,) = copy.run(copy.unit("app", "./cmd/app"))
    assert outcome.status is Status.RESTORED
    (tmp_path / "one").rename(tmp_path / "moved")
    moved = GoModule((tmp_path / "moved").resolve())
    assert moved.verdict(moved.unit("app", "./cmd/app")) == (Verdict.CACHED, "up to date")
