"""Which names and files of a Go tree count, and what is said of a change."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from buildkit.plan.hashing import Hasher
from buildkit.plan.sources import SourceTree, build_names, embed_names, find_workspace

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


def tree(root: Path, now_ns: int = 10**19) -> SourceTree:
    """Return a tree that remembers nothing of earlier looks, and to which no time is future."""
    return SourceTree(root=str(root), hasher=Hasher({}, clock=lambda: now_ns))


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


def test_a_module_file_that_appears_beside_a_package_takes_it_out_of_its_module(
    package: Path,
) -> None:
    taken = tree(package).package("other", [])
    (package / "other" / "go.mod").touch()
    assert (tree(package).change(taken) or "").endswith("other/go.mod is new")


def test_an_escape_in_a_pattern_watches_everything(package: Path) -> None:
    assert set(embed_names(str(package), r"\*.html")) >= {"page.html", "static/one.html"}


def test_nothing_changed_is_no_reason(package: Path) -> None:
    taken = tree(package).package(".", ["page.html"])
    os.utime(package / "main.go", (1, 1))
    (package / "main_test.go").write_text("changed")
    (package / "README.md").write_text("changed")
    assert tree(package).change(taken) is None


def test_a_changed_file_is_named_with_its_package(package: Path) -> None:
    taken = tree(package).package(".", ["page.html"])
    (package / "page.html").write_text("changed")
    assert tree(package).change(taken) == "mesh/pkg/page.html changed"


def test_new_removed_and_renamed_files_are_named(package: Path) -> None:
    taken = tree(package).package(".", [])
    (package / "new.go").touch()
    assert tree(package).change(taken) == "mesh/pkg/new.go is new"
    (package / "new.go").unlink()
    (package / "asm.s").rename(package / "zzz.s")
    assert tree(package).change(taken) == "mesh/pkg/zzz.s is new"
    (package / "zzz.s").unlink()
    assert tree(package).change(taken) == "mesh/pkg/asm.s was removed"


def test_a_package_that_is_gone_is_a_change(package: Path) -> None:
    taken = tree(package).package(".", [])
    package.rename(package.with_name("moved"))
    assert tree(package).change(taken) == "mesh/pkg/asm.s was removed"


def test_a_new_match_of_an_embed_pattern_is_a_change_and_its_neighbour_is_none(
    package: Path,
) -> None:
    taken = tree(package).embedded(".", "static/*.html")
    (package / "static" / "new.css").touch()
    assert tree(package).change(taken) is None
    (package / "static" / "new.html").touch()
    assert tree(package).change(taken) == "pkg/static/new.html is new"


def test_a_single_file_that_appears_changes_or_goes_is_a_change(tmp_path: Path) -> None:
    work, sums = tmp_path / "go.work", tmp_path / "go.sum"
    sums.write_text("1")
    taken = tree(tmp_path).files(["go.work", "go.sum"])
    assert tree(tmp_path).change(taken) is None
    sums.write_text("2")
    assert (tree(tmp_path).change(taken) or "").endswith("/go.sum changed")
    sums.write_text("1")
    work.touch()
    assert (tree(tmp_path).change(taken) or "").endswith("/go.work changed")


def later(path: Path) -> int:
    found = path.stat()
    return max(found.st_mtime_ns, found.st_ctime_ns) + 1


def test_a_change_after_a_time_is_seen_in_files_and_in_their_directories(package: Path) -> None:
    taken = tree(package).package(".", [])
    newest = max(later(package), *(later(package / name) for name in taken.names))
    assert not tree(package).changed_since(taken, newest)
    assert tree(package).changed_since(taken, later(package / "main.go") - 1)
    os.utime(package, ns=(newest, newest))
    assert tree(package).changed_since(taken, newest)


def test_a_time_set_back_does_not_hide_a_change(package: Path) -> None:
    taken = tree(package).package(".", [])
    limit = max(later(package), *(later(package / name) for name in taken.names))
    while (package / "main.go").stat().st_ctime_ns < limit:
        os.utime(package / "main.go", (1, 1))
    assert tree(package).changed_since(taken, limit)


def test_a_file_that_left_an_embedded_directory_shows_in_its_time(package: Path) -> None:
    taken = tree(package).embedded(".", "static")
    future = later(package / "static" / "deep") + 10**12
    assert not tree(package).changed_since(taken, future)
    os.utime(package / "static" / "deep", ns=(future, future))
    assert tree(package).changed_since(taken, future)


def test_a_time_set_beyond_the_clock_is_no_change(package: Path) -> None:
    taken = tree(package).package(".", [])
    now = max(later(package), *(later(package / name) for name in taken.names)) + 10**9
    for path in (package, package / "main.go"):
        os.utime(path, ns=(now + 10**15, now + 10**15))
    assert not tree(package, now).changed_since(taken, now)
    assert tree(package, now).changed_since(taken, (package / "main.go").stat().st_ctime_ns)


def test_single_files_have_no_directory_to_watch(tmp_path: Path) -> None:
    (tmp_path / "go.mod").touch()
    taken = tree(tmp_path).files(["go.mod", "go.work"])
    future = later(tmp_path / "go.mod") + 10**12
    os.utime(tmp_path, ns=(future, future))
    assert not tree(tmp_path).changed_since(taken, future)


EXCLUDED = """\
// A licence.

//go:build windows

package app

func only() {}
"""


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (EXCLUDED, EXCLUDED + "\nvar more int\n", False),
        (EXCLUDED, EXCLUDED.replace("windows", "linux"), True),
        (EXCLUDED, EXCLUDED.replace("A licence", "Another"), True),
        (EXCLUDED, "package app\n", True),
        # Left out because of its import, not of a comment.
        ('package app\n\nimport "C"\n', "package app\n\nvar a int\n", True),
        ('package app\n\nimport "C"\n', 'package app\n\nimport "C"\n\nvar a int\n', True),
        ("package documentation\n", "package app\n", True),
        ("package documentation\n", "package documentation\n\nvar a int\n", False),
        ("/* func\n*/\n//go:build windows\npackage app\n", "/* func\n*/\npackage app\n", True),
        ("no Go at all", "no go at all", True),
    ],
)
def test_of_a_file_that_is_left_out_counts_what_leaves_it_out(
    package: Path, before: str, after: str, changed: bool
) -> None:
    (package / "only.go").write_text(before)
    taken = tree(package).package(".", excluded=["only.go"])
    assert "only.go" not in dict(taken.files)
    (package / "only.go").write_text(after)
    assert tree(package).change(taken) == ("mesh/pkg/only.go changed" if changed else None)


def test_a_file_that_is_left_out_and_goes_is_a_change(package: Path) -> None:
    (package / "only.go").write_text(EXCLUDED)
    taken = tree(package).package(".", excluded=["only.go"])
    (package / "only.go").unlink()
    assert tree(package).change(taken) == "mesh/pkg/only.go was removed"


def test_what_is_said_of_one_tree_holds_for_another(package: Path, tmp_path: Path) -> None:
    source = package.parent
    (source.parent / "dep").mkdir()
    (source.parent / "dep" / "dep.go").write_text("package dep")
    here = tree(source)
    taken = (here.package("pkg"), here.package(here.relative(f"{source.parent}/dep")))
    assert [item.path for item in taken] == ["pkg", "../dep"]
    there = tmp_path / "elsewhere"
    shutil.copytree(source, there / "clone")
    shutil.copytree(source.parent / "dep", there / "dep")
    assert [tree(there / "clone").change(item) for item in taken] == [None, None]
    (there / "dep" / "dep.go").write_text("package other")
    assert tree(there / "clone").change(taken[1]) == "elsewhere/dep/dep.go changed"


def test_the_nearest_workspace_counts(tmp_path: Path) -> None:
    source = tmp_path / "a" / "b"
    source.mkdir(parents=True)
    assert find_workspace(str(source)) == ""
    (tmp_path / "go.work").touch()
    assert find_workspace(str(source)) == "../../go.work"
    (source / "go.work").touch()
    assert find_workspace(str(source)) == "go.work"


GO_FILE = """\
// Package app is one.

//go:build !agent

package app

import "fmt" // for tracing
import (
	. "strings"; _ `embed`
	/* grouped */
	other "example.com/other"
)

func init() { fmt.Println(other.Word) }
"""


def outline(package: Path, *names: str) -> str:
    looked = tree(package.parent)
    return looked.outline(looked.package(package.name, names))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("main.go", GO_FILE.replace("other.Word", "other.Words")),
        ("main.go", GO_FILE + "\n// import is no declaration here\nimport_ := 1"),
        ("static/one.html", "another"),
    ],
)
def test_an_outline_stays_while_edits_are_below_the_imports(
    package: Path, name: str, text: str
) -> None:
    (package / "main.go").write_text(GO_FILE)
    before = outline(package, "static/one.html")
    (package / name).write_text(text)
    assert outline(package, "static/one.html") == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("main.go", GO_FILE.replace("!agent", "agent")),
        ("main.go", GO_FILE.replace("package app", "package another")),
        ("main.go", GO_FILE.replace('"fmt"', '"log"')),
        ("main.go", GO_FILE.replace("other ", "renamed ")),
        ("main.go", GO_FILE.replace("/* grouped */", '"os"')),
        ("main.go", GO_FILE.replace("func init", 'import "os"\nfunc init')),
        ("main.go", GO_FILE.replace("func init", '/**/;import/**/"os"\nfunc init')),
        ("main.go", GO_FILE + "\n//go:embed page.html\nvar page string\n"),
        ("asm.s", "another"),
        ("new.go", "package app\n"),
    ],
)
def test_an_outline_changes_with_what_packages_are_listed_by(
    package: Path, name: str, text: str
) -> None:
    (package / "main.go").write_text(GO_FILE)
    before = outline(package)
    (package / name).write_text(text)
    assert outline(package) != before


@pytest.mark.parametrize(
    "text",
    [
        GO_FILE + "\n//go:embed *.html\nvar pages embed.FS\n",
        GO_FILE.replace("package app", "package /* of */ app"),
        GO_FILE.replace('"fmt"', '/* of */ "fmt"'),
        "nothing of Go",
    ],
)
def test_a_file_that_embeds_or_is_not_understood_counts_whole(package: Path, text: str) -> None:
    (package / "main.go").write_text(text)
    before = outline(package)
    (package / "main.go").write_text(text + "// more\n")
    assert outline(package) != before


def test_an_outline_has_a_missing_file_and_a_left_out_ones_constraints(package: Path) -> None:
    looked = tree(package.parent)
    described = looked.package("pkg", ["page.html"], ["main.go"])
    before = looked.outline(described)
    (package / "main.go").write_text("//go:build agent\n")
    assert looked.outline(looked.again(described)) != before
    (package / "main.go").write_text("main.go")
    (package / "page.html").unlink()
    assert looked.outline(looked.again(described)) != before
