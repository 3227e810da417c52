from __future__ import annotations

from typing import Any

import pytest

from buildkit.errors import BuildkitError, ConfigError
from buildkit.images.copying import Changes, CopyRequest, find_sources
from buildkit.images.tree import Tree
from buildkit.oci.layer import Entry, EntryType, directory, file, symlink

SOURCE = Tree.of(
    (
        file("a", b"a"),
        file("d/one", b"1", 0o640),
        file("d/sub/two", b"2"),
        symlink("d/link", "one"),
        symlink("dl", "d"),
        file("x1", b""),
        file("x[", b""),
        file("-", b""),
    )
)


def refuse(problem: str) -> BuildkitError:
    return ConfigError(problem)


def changes(*entries: Entry) -> Changes:
    return Changes(tree=Tree.of(entries), refuse=refuse)


def copied(made: Changes, target: str, *sources: str, **values: Any) -> list[str]:
    made.copy(SOURCE, CopyRequest(sources=sources, target=target, **values))
    return sorted(made.made)


def test_what_is_there_already_is_no_part_of_the_layer() -> None:
    assert copied(changes(directory("to")), "/to/", "a") == ["to/a"]
    assert copied(changes(), "/to/", "a") == ["to", "to/a"]
    assert copied(changes(directory("to")), "/to/", "d") == [
        *("to/link", "to/one", "to/sub", "to/sub/two")
    ]


def test_an_owner_is_for_everything_that_is_made() -> None:
    made = changes()
    copied(made, "/new/deep/", "d", owner=(3, 4))
    assert {(entry.uid, entry.gid) for entry in made.made.values()} == {(3, 4)}


def test_a_mode_is_for_everything_but_links_and_directories_on_the_way() -> None:
    made = changes()
    copied(made, "/new/", "d", mode=0o700)
    modes = {path: entry.mode for path, entry in made.made.items()}
    assert modes == {
        "new": 0o755,
        "new/link": 0o777,
        "new/one": 0o700,
        "new/sub": 0o700,
        "new/sub/two": 0o700,
    }


@pytest.mark.parametrize(
    ("there", "target", "source", "problem"),
    [
        (file("to", b""), "/to/", "a", "/to is there already and is no directory"),
        (file("to", b""), "/to", "d", "/to is there already and is no directory"),
        (file("to/sub", b""), "/to", "d", "/to/sub is there already and is no directory"),
        (directory("to/a"), "/to/", "a", "/to/a is a directory, which a file cannot replace"),
        (directory("to"), "/to/", "missing", "missing is not there to be copied"),
        (symlink("to", "to"), "/to/", "a", "/to is a loop of symbolic links"),
    ],
)
def test_what_cannot_be_placed_is_refused(
    there: Entry, target: str, source: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        copied(changes(there), target, source)


def test_a_name_that_would_take_files_away_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a layer cannot hold /to/\.wh\.a"):
        changes().put(file("to/.wh.a", b""))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("d/*", ("d/link", "d/one", "d/sub")),
        ("/d/../x?", ("x1", "x[")),
        ("x[0-9]", ("x1",)),
        ("x[^0-9]", ("x[",)),
        ("x[[]", ("x[",)),
        (r"[\-]", ("-",)),
        ("*/one", ("d/one",)),
        ("dl/o*", ("d/one",)),
        ("y*", ()),
        ("y", ("y",)),
        (r"x\[", (r"x\[",)),
    ],
)
def test_sources_are_found_as_buildkit_finds_them(pattern: str, names: tuple[str, ...]) -> None:
    assert find_sources(SOURCE, pattern, refuse) == names


@pytest.mark.parametrize("pattern", ["x[", "x[a", "x[]", "a*\\"])
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="is not a valid pattern"):
        find_sources(SOURCE, pattern, refuse)


def test_a_loop_above_a_wildcard_is_refused() -> None:
    with pytest.raises(ConfigError, match="/l is a loop of symbolic links"):
        find_sources(Tree.of((symlink("l", "l"),)), "l/*", refuse)


def test_an_archive_replaces_anything_but_directories() -> None:
    made = changes(directory("d", 0o700), file("d/x/y", b""), symlink("l", "d"), file("f", b""))
    held = (
        directory("d", 0o711, uid=5),
        file("d/x", b"new"),
        directory("l"),
        file("l/in", b""),
        file("f/below", b""),
    )
    with pytest.raises(ConfigError, match="/f is there already and is no directory"):
        made.unpack(held, "/", None)
    assert (made.tree.get("d"), made.tree.get("d/x")) == (held[0], held[1])
    assert made.tree.is_directory("l")
    assert sorted(made.made) == ["d", "d/x", "l", "l/in"]


def test_what_an_archive_replaces_in_its_own_layer_is_gone_from_it() -> None:
    made = changes()
    made.unpack((file("a/b/c", b""), file("a", b"a file now")), "/", None)
    assert sorted(made.made) == ["a"]


def test_a_hard_link_of_an_archive_is_the_file_it_means() -> None:
    made = changes()
    link = Entry(path="b", type=EntryType.HARDLINK, link="a")
    made.unpack((file("a", b"data", 0o600), link), "/to", None)
    assert made.made["to/b"] == file("to/b", b"data", 0o600)
    with pytest.raises(ConfigError, match="a link to nothing: b"):
        changes().unpack((link,), "/", None)


def test_an_archive_does_not_follow_links_out_of_its_target() -> None:
    made = changes(directory("to"), symlink("to/out", "../etc"), directory("etc"))
    with pytest.raises(ConfigError, match="out of the archive leads out of /to"):
        made.unpack((file("out/passwd", b""),), "/to", None)
