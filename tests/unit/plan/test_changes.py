"""What differs between two moments, with both values."""

from __future__ import annotations

from buildkit.plan.changes import Change, input_changes, source_changes, source_files
from buildkit.plan.units import SourceDirectory

PACKAGE = SourceDirectory(
    path="app",
    names=("a.go", "b.go", "x_windows.go"),
    files=(("a.go", "sha256:a"), ("b.go", "sha256:b"), ("page.html", "sha256:p")),
    excluded=(("x_windows.go", "sha256:x", "sha256:head"),),
)


def changes(
    before: SourceDirectory, now: SourceDirectory
) -> list[tuple[str, str | None, str | None]]:
    found = source_changes(before, now, lambda path: f"digest of {path}")
    return [(change.name, change.before, change.after) for change in found]


def test_inputs_that_differ_are_named_with_both_values() -> None:
    assert input_changes({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "4", "d": "5"}) == (
        Change(name="b", before="2", after="4"),
        Change(name="c", before="3", after=None),
        Change(name="d", before=None, after="5"),
    )


def test_what_happened_is_said_in_words() -> None:
    texts = [change.text for change in input_changes({"b": "2", "c": "3"}, {"b": "4", "d": "5"})]
    assert texts == ["changed", "was removed", "is new"]


def test_nothing_differs_from_itself() -> None:
    assert changes(PACKAGE, PACKAGE) == []


def test_changed_new_and_removed_files_have_their_digests() -> None:
    now = SourceDirectory(
        path="app",
        names=("a.go", "c.go", "x_windows.go"),
        files=(("a.go", "sha256:a2"), ("c.go", "sha256:c")),
        excluded=PACKAGE.excluded,
    )
    assert changes(PACKAGE, now) == [
        ("app/a.go", "sha256:a", "sha256:a2"),
        ("app/b.go", "sha256:b", None),
        ("app/c.go", None, "sha256:c"),
        ("app/page.html", "sha256:p", None),
    ]


def test_a_file_that_is_left_out_counts_by_what_leaves_it_out() -> None:
    def with_excluded(digest: str, constraints: str) -> SourceDirectory:
        excluded = (("x_windows.go", digest, constraints),)
        return SourceDirectory(
            path="app", names=PACKAGE.names, files=PACKAGE.files, excluded=excluded
        )

    assert changes(PACKAGE, with_excluded("sha256:x2", "sha256:head")) == []
    assert changes(PACKAGE, with_excluded("sha256:x2", "sha256:other")) == [
        ("app/x_windows.go", "sha256:x", "sha256:x2")
    ]


def test_files_of_a_pattern_are_known_by_name_and_new_ones_are_hashed() -> None:
    before = SourceDirectory(path="app", pattern="*.html", names=("one.html",), files=())
    now = SourceDirectory(path="app", pattern="*.html", names=("two.html",), files=())
    assert changes(before, now) == [
        ("app/one.html", "", None),
        ("app/two.html", None, "digest of app/two.html"),
    ]


def test_a_single_file_that_appears_is_new() -> None:
    before = SourceDirectory(path="", files=(("go.mod", "sha256:m"), ("go.work", "")))
    now = SourceDirectory(path="", files=(("go.mod", ""), ("go.work", "sha256:w")))
    assert changes(before, now) == [
        ("go.mod", "sha256:m", None),
        ("go.work", None, "sha256:w"),
    ]


def test_the_files_of_a_directory_are_named_from_the_source_tree() -> None:
    assert dict(source_files(PACKAGE)) == {
        "app/a.go": "sha256:a",
        "app/b.go": "sha256:b",
        "app/page.html": "sha256:p",
        "app/x_windows.go": "sha256:x",
    }
    root = SourceDirectory(path="", files=(("go.mod", "sha256:m"), ("go.work", "")))
    assert dict(source_files(root)) == {"go.mod": "sha256:m"}
