from __future__ import annotations

import pytest

from buildkit.images.tree import LinkLoopError, Tree
from buildkit.oci.layer import Entry, EntryType, directory, file, symlink


def paths(tree: Tree) -> list[str]:
    return [entry.path for entry in tree.below("")]


def test_layers_are_merged_and_whiteouts_carried_out() -> None:
    below = (file("a/gone", b""), file("a/kept", b""), file("b/x", b""), file("c/old/deep", b""))
    above = (
        file("a/.wh.gone", b""),
        file("b/y", b""),
        file("c/.wh..wh..opq", b""),
        file("c/new", b""),
    )
    assert paths(Tree.of(below, above)) == ["a", "a/kept", "b", "b/x", "b/y", "c", "c/new"]


def test_a_whiteout_hides_nothing_of_its_own_layer() -> None:
    layer = (file("a/x", b"new"), file("a/.wh.x", b""))
    assert paths(Tree.of((file("a/x", b"old"),), layer)) == ["a", "a/x"]


def test_a_directory_and_a_file_replace_each_other() -> None:
    tree = Tree.of((file("a/b/c", b""),))
    tree.put(file("a/b", b""))
    assert paths(tree) == ["a", "a/b"]
    tree.put(directory("a/b"))
    tree.put(file("a/b/d", b""))
    assert paths(tree) == ["a", "a/b", "a/b/d"]


def test_a_link_in_the_way_of_a_layers_file_becomes_a_directory() -> None:
    tree = Tree.of((symlink("lib", "usr/lib"),), (file("lib/x", b""),))
    assert tree.is_directory("lib")


def test_a_hard_link_is_the_file() -> None:
    link = Entry(path="b", type=EntryType.HARDLINK, link="a")
    tree = Tree.of((file("a", b"data", 0o600), link))
    assert tree.get("b") == file("b", b"data", 0o600)


def test_a_walk_has_the_order_of_names_in_each_directory() -> None:
    tree = Tree.of((file("a.b", b""), file("a/z", b""), file("a/b/c", b""), file("a/b.c", b"")))
    assert paths(tree) == ["a", "a/b", "a/b/c", "a/b.c", "a/z", "a.b"]
    assert [entry.path for entry in tree.children("a")] == ["a/b", "a/b.c", "a/z"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("lib/x", "usr/lib/x"),
        ("abs/x", "usr/lib/x"),
        ("usr/up/x", "x"),
        ("../../lib/./x", "usr/lib/x"),
        ("lib/../x", "usr/x"),
        ("nowhere/x", "nowhere/x"),
        ("/", ""),
    ],
)
def test_links_are_followed_and_none_leads_out(path: str, found: str) -> None:
    links = (symlink("lib", "usr/lib"), symlink("abs", "/lib"), symlink("usr/up", "../../.."))
    assert Tree.of((directory("usr/lib"), *links)).resolve(path) == found


def test_the_links_on_the_way_are_told() -> None:
    passed: list[str] = []
    Tree.of((symlink("a", "b"), symlink("b", "c"))).resolve("a/x", passed=passed)
    assert passed == ["a", "b"]


def test_links_that_do_not_end_are_an_error() -> None:
    tree = Tree.of((symlink("a", "b"), symlink("b", "a")))
    with pytest.raises(LinkLoopError, match="/a/x is a loop of symbolic links"):
        tree.resolve("a/x")
    assert tree.find("a") is None


def test_a_copy_changes_by_itself() -> None:
    one = Tree.of((file("a/x", b""),))
    two = one.copy()
    two.put(file("a/y", b""))
    assert (paths(one), paths(two)) == (["a", "a/x"], ["a", "a/x", "a/y"])
