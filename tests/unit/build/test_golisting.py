"""When Go is asked for its packages again, and when what it told before still holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from buildkit.build.golisting import GoListing
from buildkit.build.gosources import GoSources
from buildkit.plan.hashing import Hasher
from buildkit.plan.sources import SourceTree

APP = 'package main\n\nimport "example.com/mesh/lib"\n\nfunc main() { lib.Do() }\n'


class Go:
    """Tells of packages that are there, and counts how often it is asked."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked = root, 0

    def __call__(self) -> bytes:
        self.asked += 1
        module = {"Path": "example.com/mesh", "Main": True, "GoMod": f"{self.root}/go.mod"}
        found = []
        for path in ("lib", "cmd/app", "cmd/ctl"):
            program = path.startswith("cmd/")
            found.append(
                {
                    "ImportPath": f"example.com/mesh/{path}",
                    "Name": "main" if program else "lib",
                    "Dir": f"{self.root}/{path}",
                    "Module": module,
                    "Deps": ["example.com/mesh/lib"] if program else [],
                }
            )
        return b"".join(msgspec.json.format(msgspec.json.encode(p)) + b"\n" for p in found)


@pytest.fixture
def go(tmp_path: Path) -> Go:
    root = tmp_path / "src"
    for name, text in (
        ("go.mod", "module example.com/mesh\n"),
        ("lib/lib.go", "package lib\n\nfunc Do() {}\n"),
        ("cmd/app/main.go", APP),
        ("cmd/ctl/main.go", APP),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Go(root)


def listing(go: Go) -> GoListing:
    """Return a listing that remembers nothing but its file, as the next run has it."""
    return GoListing(
        place=go.root.parent / "listings" / "default.json",
        question="q",
        tree=SourceTree(root=str(go.root), hasher=Hasher({}, clock=lambda: 10**19)),
        workspace="",
    )


def describe(go: Go, *mains: str, question: str = "q") -> GoSources:
    sources, keep = replace(listing(go), question=question).describe(mains, go)
    keep()
    return sources


def test_what_changes_below_the_imports_asks_nobody(go: Go) -> None:
    first = describe(go, "cmd/app", "cmd/ctl")
    (go.root / "cmd/app/main.go").write_text(APP.replace("Do()", "Do(); lib.Do()"))
    again = describe(go, "cmd/app")
    assert go.asked == 1
    assert again.linked() == first.linked()
    assert again.linked()["cmd/app"] == {"main", "example.com/mesh/cmd/app", "example.com/mesh/lib"}
    before, now = (dict(s.described["example.com/mesh/cmd/app"][0].files) for s in (first, again))
    assert before != now


def edit(name: str, text: str) -> Callable[[Go], None]:
    def change(go: Go) -> None:
        (go.root / name).write_text(text)

    return change


def remove(name: str) -> Callable[[Go], None]:
    return lambda go: (go.root / name).unlink()


@pytest.mark.parametrize(
    "change",
    [
        edit("cmd/app/main.go", APP.replace("import", 'import "os"\nimport')),
        edit("lib/new.go", "package lib\n"),
        edit("go.mod", "module example.com/mesh\n\ngo 1.24\n"),
        edit("cmd/go.mod", "module example.com/mesh/cmd\n"),
        edit("../listings/default.json", "damaged"),
        remove("lib/lib.go"),
        remove("../listings/default.json"),
    ],
)
def test_go_is_asked_again_after_a_change_that_counts(go: Go, change: Callable[[Go], None]) -> None:
    describe(go, "cmd/app")
    change(go)
    describe(go, "cmd/app")
    assert go.asked == 2
    describe(go, "cmd/app")
    assert go.asked == 2


def test_another_question_or_program_is_asked_for(go: Go) -> None:
    describe(go, "cmd/app")
    describe(go, "cmd/app", question="with other tags")
    assert go.asked == 2
    describe(go, "cmd/other", question="with other tags")
    assert go.asked == 3


def test_nothing_is_kept_before_it_is_known_to_be_right(go: Go) -> None:
    listing(go).describe(["cmd/app"], go)
    listing(go).describe(["cmd/app"], go)
    assert go.asked == 2


def test_what_go_refuses_is_asked_again(go: Go) -> None:
    sources, keep = listing(go).describe(["cmd/app"], lambda: b"")
    keep()
    assert sources.linked() == {}
    describe(go, "cmd/app")
    assert go.asked == 1
