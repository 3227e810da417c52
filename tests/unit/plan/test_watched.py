"""Which files can matter, as the graph and the records tell it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.config.load import Project
from buildkit.plan.graph import Graph
from buildkit.plan.records import RecordBook
from buildkit.plan.units import SourceDirectory, Unit
from buildkit.plan.watched import Watched, watched_files
from tests.fakes.units import artifact, binary, compile_action, image, package
from tests.unit.plan import projects

SOURCES = (
    SourceDirectory(path="", files=(("go.mod", "1"), ("go.sum", ""), ("../dep/go.mod", "1"))),
    SourceDirectory(
        path="cmd/app", names=("main.go",), files=(("main.go", "1"), ("page.txt", "1"))
    ),
    SourceDirectory(path="../dep", names=("dep.go",), files=(("dep.go", "1"),)),
    SourceDirectory(path="cmd/app", pattern="*.html", names=("a.html", "d.html/x"), files=()),
    SourceDirectory(path="cmd/app", pattern="all:static", names=("static/s/1",), files=()),
    SourceDirectory(path="cmd/web", pattern="t*/x/*", names=("t1/x/y",), files=()),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("src/cmd/app/static/s", "src/cmd/web/t1/x", "src/.git", "src/out/x", "dep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "images/app").mkdir(parents=True)
    (tmp_path / "images/conf/d").mkdir(parents=True)
    return tmp_path


def project(root: Path, version: str = "") -> Project:
    text = projects.TEXT + (f'[version]\nfile = "{version}"\n' if version else "")
    return projects.project(text, root=root)


def look(root: Path, *units: Unit, wide: bool = False, version: str = "") -> Watched:
    book = RecordBook.open(root / "records.json")
    for unit in units:
        book.note(replace(artifact(unit.id), sources=SOURCES), {}, 0)
    graph = Graph(units=units)
    return watched_files(graph, book, project(root, version), root / "src/out", wide=wide)


def test_files_that_values_stand_in_matter(root: Path) -> None:
    book = RecordBook.open(root / "records.json")
    mesh = replace(project(root), values_from=("Makefile",))
    found = watched_files(Graph(units=()), book, mesh, root / "src/out", wide=False)
    assert found.matters(str(root / "src/Makefile"))
    assert not found.matters(str(root / "src/Other"))


def app(root: Path) -> Unit:
    return binary("app", compile_action(root / "src", root / "out/app"))


@pytest.mark.parametrize(
    "name",
    [
        *("targets.toml", "targets.lock", "src/VERSION"),
        *("src/go.mod", "src/go.sum", "dep/go.mod", "dep/dep.go", "dep/new.go"),
        *("src/cmd/app/main.go", "src/cmd/app/new.s", "src/cmd/app/page.txt"),
        *("src/cmd/app/new.html", "src/cmd/app/d.html/new", "src/cmd/app/static/new"),
        *("src/cmd/app/static/s/new", "src/cmd/web/t1/x/new", "src/cmd/web/t2"),
    ],
)
def test_what_a_compile_could_take_matters(root: Path, name: str) -> None:
    assert look(root, app(root), version="VERSION").matters(str(root / name))


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "src/README.md", "src/main.go", "src/.git/index", "out/app"),
        *("src/cmd/app/main_test.go", "src/cmd/app/.main.go.swp", "src/cmd/app/main.go~"),
        *("src/cmd/app/4913", "src/cmd/app/README.md", "src/cmd/new/main.go"),
        *("src/cmd/app/static/.new.swp", "src/cmd/app/static/s/#new#", "records.json"),
    ],
)
def test_nothing_else_does(root: Path, name: str) -> None:
    assert not look(root, app(root)).matters(str(root / name))


def test_templates_and_copied_files_matter_and_trees_with_what_is_below(root: Path) -> None:
    unit = image("app", "base/x", template=root / "images/app/Dockerfile.j2")
    context = (("f", f"file:{root}/x/../images/f"), ("d", f"file:{root}/images/conf"))
    action = replace(unit.action, context=context)
    watched = look(root, replace(unit, action=action))
    for name in ("images/app/Dockerfile.j2", "images/f", "images/conf/new", "images/conf/d/new"):
        assert watched.matters(str(root / name))
    assert not watched.matters(str(root / "images/app/README.md"))


def test_what_is_in_a_package_and_its_scripts_matter(root: Path) -> None:
    contents = (("/etc/x", f"file:{root}/images/f"), ("/usr/bin/x", "binary/x@linux/amd64"))
    watched = look(root, package("x", root / "out" / "x.deb", contents, root / "postinst"))
    assert watched.matters(str(root / "images/f"))
    assert watched.matters(str(root / "postinst"))
    assert not watched.matters(str(root / "other"))


def test_after_a_failed_compile_every_source_and_every_new_name_matters(root: Path) -> None:
    watched = look(root, wide=True)
    for name in ("src/README.md", "src/new", "src/cmd/app/static/x"):
        assert watched.matters(str(root / name), is_name=True)
        assert not watched.matters(str(root / name))
    for name in ("src/new.go", "src/cmd/app/static/go.mod"):
        assert watched.matters(str(root / name))
    for name in ("src/.git/index", "src/out/x/app", "out/app", "src/cmd/.x.go.swp"):
        assert not watched.matters(str(root / name), is_name=True)
    assert str(root / "src/out") not in dict(watched.places)


def test_where_a_directory_is_missing_its_parent_is_watched_for_it(root: Path) -> None:
    (root / "dep").rmdir()
    watched = look(root, app(root))
    assert str(root / "dep") not in dict(watched.places)
    assert watched.matters(str(root / "dep"))
    assert watched == watched.again()
    (root / "dep").mkdir()
    assert str(root / "dep") in dict(watched.again().places)


def test_a_directory_that_was_made_again_is_another_place(root: Path) -> None:
    watched = look(root, app(root))
    os.rename(root / "dep", root / "before")  # noqa: PTH104 - keeps the inode in use
    (root / "dep").mkdir()
    assert watched != watched.again()


def test_what_changed_since_a_time_is_told(root: Path) -> None:
    watched = look(root, app(root))
    future = time.time_ns() + 10**15
    assert watched.changed_since(future) == ()
    (root / "src/cmd/app/main.go").touch()
    (root / "src/cmd/app/README.md").touch()
    os.utime(root / "src/cmd/app/main.go", ns=(future, future))
    assert watched.changed_since(future) == (str(root / "src/cmd/app/main.go"),)


def test_what_was_removed_since_it_was_looked_at_is_told(root: Path) -> None:
    (root / "src/cmd/app/main.go").touch()
    watched = look(root, app(root))
    future = time.time_ns() + 10**15
    assert watched.changed_since(future) == ()
    (root / "src/cmd/app/main.go").unlink()
    for name in ("src/cmd/app", "src/cmd/app/static"):
        os.utime(root / name, ns=(future, future))
    # A package's directory changes with every file that an editor puts there for a while.
    assert watched.changed_since(future) == (
        str(root / "src/cmd/app/main.go"),
        str(root / "src/cmd/app/static"),
    )
