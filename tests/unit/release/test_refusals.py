from __future__ import annotations

import pytest
from msgspec.structs import replace

from buildkit.errors import UsageError
from buildkit.release.refusals import Terms, check_bases, check_terms, check_used
from buildkit.vcs import UNKNOWN

COMMIT, OTHER = "a" * 40, "b" * 40
GOOD = Terms(
    version="1.2.3",
    origin="git describe",
    is_named=False,
    snapshot=False,
    revision=COMMIT,
    dirty=False,
    tags=("v1.2.3",),
    tagged=COMMIT,
    commit_time=1000,
    epoch=1000,
    now=2000.0,
)


def refusal(terms: Terms) -> UsageError:
    with pytest.raises(UsageError) as caught:
        check_terms(terms)
    return caught.value


def test_a_tagged_clean_commit_is_a_release() -> None:
    check_terms(GOOD)
    assert GOOD.tag == "v1.2.3"


@pytest.mark.parametrize("license_file", [None, "LICENSE"])
def test_a_project_has_a_license_file_or_says_that_it_needs_none(license_file: str | None) -> None:
    check_terms(replace(GOOD, license=license_file, untracked=("notes.txt",)))


def test_a_tag_without_v_is_one_too() -> None:
    assert replace(GOOD, tags=("1.2.3", "other")).tag == "1.2.3"


def test_a_version_that_somebody_names_needs_no_tag_yet() -> None:
    terms = replace(GOOD, tags=(), tagged="", is_named=True, origin="--version")
    check_terms(terms)
    assert terms.tag == "v1.2.3"


@pytest.mark.parametrize(
    ("terms", "brief", "way_out"),
    [
        (replace(GOOD, revision=UNKNOWN, tags=(), tagged=""), "in no git commit", "--snapshot"),
        (replace(GOOD, dirty=True), "differs from its commit", "git status"),
        (replace(GOOD, tags=(), tagged=""), "the commit has no tag", "git tag v1.2.3"),
        (replace(GOOD, tags=(), tagged="", version="0.4.0"), "no tag", "git tag v0.4.0"),
        (replace(GOOD, tags=(), tagged="", version="0.4.0-7-gabc"), "no tag", "git tag v1.2.3"),
        (replace(GOOD, tags=("rc", "v2.0.0"), tagged=""), "tagged rc, v2.0.0", "--version 2.0.0"),
        (replace(GOOD, tags=(), tagged=OTHER), f"names commit {OTHER[:12]}", "another version"),
        (replace(GOOD, is_named=True, tagged=OTHER), "1.2.3 is taken", "another version"),
        (replace(GOOD, unlocked=("Envoy for linux/amd64",)), "pinned by no lock", "invoke lock"),
        (replace(GOOD, assigned=("go.cgo=true",)), "--set go.cgo=true", "targets.toml"),
        (replace(GOOD, license=""), "license file: there is none", "release.license = false"),
        (replace(GOOD, license="LICENSE", untracked=("LICENSE",)), "LICENSE is in no", "Commit a"),
        (replace(GOOD, changed_files=("images/a",)), "images/a is not as", "Commit what"),
        (replace(GOOD, now=999.0), "the clock is wrong", "clock"),
        (replace(GOOD, epoch=3000), "EPOCH is 1970-01-01 00:50 UTC", "Leave it out"),
        (replace(GOOD, local_file="targets.local.toml"), "targets.local.toml is in", "Move"),
    ],
)
def test_each_refusal_says_what_to_do(terms: Terms, brief: str, way_out: str) -> None:
    error = refusal(terms)
    assert brief in error.brief
    assert way_out in error.resolution


def test_all_that_is_wrong_is_named_at_once() -> None:
    error = refusal(replace(GOOD, dirty=True, tags=(), tagged="", local_file="a.local.toml"))
    assert "a.local.toml" in error.brief
    assert "differs from its commit" in error.details
    assert "no tag" in error.details


def test_files_that_nobody_else_has_are_refused_where_they_are_used() -> None:
    names = (*(f"f{number}.go" for number in range(8)), "notes.txt")
    terms = replace(GOOD, untracked=names)
    check_terms(terms)
    check_used(terms, lambda _: False)
    check_used(replace(terms, snapshot=True), lambda _: True)
    with pytest.raises(UsageError) as caught:
        check_used(terms, lambda name: name.endswith(".go"))
    assert caught.value.brief == (
        "f0.go, f1.go, f2.go, f3.go, f4.go and 3 more are in the release, but in no commit"
    )


def test_a_base_that_nothing_pins_is_refused_but_for_a_try() -> None:
    check_bases(GOOD, ())
    check_bases(replace(GOOD, snapshot=True), ("full",))
    with pytest.raises(UsageError, match="the base full has whatever") as caught:
        check_bases(GOOD, ("full",))
    assert "bases.full.archive name" in caught.value.resolution
    with pytest.raises(UsageError, match="the bases a, b have whatever") as caught:
        check_bases(GOOD, ("a", "b"))
    assert "bases.a.archive, bases.b.archive name" in caught.value.resolution


def test_a_snapshot_may_be_of_any_tree() -> None:
    nothing = replace(GOOD, snapshot=True, revision=UNKNOWN, tags=(), tagged="", commit_time=0)
    check_terms(replace(nothing, dirty=True, assigned=("a=b",), untracked=("x",), license=""))


@pytest.mark.parametrize("change", [{"now": 1.0}, {"local_file": "targets.local.toml"}])
def test_but_not_of_any_machine(change: dict[str, object]) -> None:
    refusal(replace(GOOD, snapshot=True, **change))
