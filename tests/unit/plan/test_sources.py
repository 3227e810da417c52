"""Which names and files of a Go tree count, and what is said of a change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildkit.plan.hashing import Hasher
from buildkit.plan.sources import (
    build_names,
    changed_since,
    changed_source,
    embed_names,
    embed_snapshot,
    files_snapshot,
    snapshot,
)

TREE = """
    main.go main_test.go asm.s cgo.c cgo.h _ignored.go .hidden.go README.md page.html sub.html/a
    static/one.html static/.dot static/deep/two.css other/x.go
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "mesh" / "pkg"
    for name in TREE.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_what_the_compiler_could_take_counts_and_tests_do_not(package: Path) -> None:
    assert build_names(str(package)) == ("asm.s", "cgo.c", "cgo.h", "main.go")
    assert build_names(str(package / "missing")) == ()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.html", ("page.html", "sub.html/a")),
        ("static", ("static/.dot", "static/deep/two.css", "static/one.html")),
        ("all:static/*.html", ("static/one.html",)),
        ("static/*", ("static/.dot", "static/deep/two.css", "static/one.html")),
        ("README.md", ("README.md",)),
        ("[^m]*.html", ("page.html", "sub.html/a")),
        ("nothing/*", ()),
    ],
)
def test_an_embed_pattern_watches_what_it_could_match(
    package: Path, pattern: str, names: tuple[str, ...]
) -> None:
    assert embed_names(str(package), pattern) == names


def test_an_escape_in_a_pattern_watches_everything(package: Path) -> None:
    assert set(embed_names(str(package), r"\*.html")) >= {"page.html", "static/one.html"}


def test_nothing_changed_is_no_reason(package: Path) -> None:
    taken = snapshot(str(package), ["page.html"], Hasher({}))
    os.utime(package / "main.go", (1, 1))
    (package / "main_test.go").write_text("changed")
    (package / "README.md").write_text("changed")
    assert changed_source(taken, Hasher({})) is None


def test_a_changed_file_is_named_with_its_package(package: Path) -> None:
    taken = snapshot(str(package), ["page.html"], Hasher({}))
    (package / "page.html").write_text("changed")
    assert changed_source(taken, Hasher({})) == "mesh/pkg/page.html changed"


def test_new_removed_and_renamed_files_are_named(package: Path) -> None:
    taken = snapshot(str(package), [], Hasher({}))
    (package / "new.go").touch()
    assert changed_source(taken, Hasher({})) == "mesh/pkg/new.go is new"
    (package / "new.go").unlink()
    (package / "asm.s").rename(package / "zzz.s")
    assert changed_source(taken, Hasher({})) == "mesh/pkg/zzz.s is new"
    (package / "zzz.s").unlink()
    assert changed_source(taken, Hasher({})) == "mesh/pkg/asm.s was removed"


def test_a_package_that_is_gone_is_a_change(package: Path) -> None:
    taken = snapshot(str(package), [], Hasher({}))
    package.rename(package.with_name("moved"))
    assert changed_source(taken, Hasher({})) == "mesh/pkg/asm.s was removed"


def test_a_new_match_of_an_embed_pattern_is_a_change_and_its_neighbour_is_none(
    package: Path,
) -> None:
    taken = embed_snapshot(str(package), "static/*.html")
    (package / "static" / "new.css").touch()
    assert changed_source(taken, Hasher({})) is None
    (package / "static" / "new.html").touch()
    assert changed_source(taken, Hasher({})) == "pkg/static/new.html is new"


def test_a_single_file_that_appears_changes_or_goes_is_a_change(tmp_path: Path) -> None:
    work, sums = tmp_path / "go.work", tmp_path / "go.sum"
    sums.write_text("1")
    taken = files_snapshot([str(work), str(sums)], Hasher({}))
    assert changed_source(taken, Hasher({})) is None
    sums.write_text("2")
    assert (changed_source(taken, Hasher({})) or "").endswith("/go.sum changed")
    sums.write_text("1")
    work.touch()
    assert (changed_source(taken, Hasher({})) or "").endswith("/go.work changed")


def later(path: Path) -> int:
    found = path.stat()
    return max(found.st_mtime_ns, found.st_ctime_ns) + 1


def test_a_change_after_a_time_is_seen_in_files_and_in_their_directories(package: Path) -> None:
    taken = snapshot(str(package), [], Hasher({}))
    newest = max(later(package), *(later(package / name) for name in taken.names))
    assert not changed_since(taken, newest)
    assert changed_since(taken, later(package / "main.go") - 1)
    os.utime(package, ns=(newest, newest))
    assert changed_since(taken, newest)


def test_a_time_set_back_does_not_hide_a_change(package: Path) -> None:
    taken = snapshot(str(package), [], Hasher({}))
    limit = max(later(package), *(later(package / name) for name in taken.names))
    while (package / "main.go").stat().st_ctime_ns < limit:
        os.utime(package / "main.go", (1, 1))
    assert changed_since(taken, limit)


def test_a_file_that_left_an_embedded_directory_shows_in_its_time(package: Path) -> None:
    taken = embed_snapshot(str(package), "static")
    future = later(package / "static" / "deep") + 10**12
    assert not changed_since(taken, future)
    os.utime(package / "static" / "deep", ns=(future, future))
    assert changed_since(taken, future)


def test_single_files_have_no_directory_to_watch(tmp_path: Path) -> None:
    (tmp_path / "go.mod").touch()
    taken = files_snapshot([str(tmp_path / "go.mod"), str(tmp_path / "go.work")], Hasher({}))
    future = later(tmp_path / "go.mod") + 10**12
    os.utime(tmp_path, ns=(future, future))
    assert not changed_since(taken, future)
