"""Configuration, Go and the source tree: one test for each outcome."""

from __future__ import annotations

import pytest

from buildkit.doctor.checks.project import (
    check_go,
    check_go_environment,
    check_history,
    check_project,
    check_tree,
    check_tree_owner,
    check_worktree,
)
from buildkit.doctor.facts import GoFacts, ProjectFacts, TreeFacts
from buildkit.doctor.finding import COMPILING, EVERY_GOAL, State
from buildkit.toolchain import Wanted
from buildkit.vcs import WorktreeKind

WANTED = Wanted(minimum="1.24.0", origin="go.mod")


def test_a_right_configuration_is_counted() -> None:
    found = check_project(ProjectFacts(targets="targets.toml", units=7))
    assert (found.state, found.mend) == (State.OK, "")
    assert found.meaning == "targets.toml is right: 7 units, all pinned"


def test_a_wrong_configuration_stops_everything() -> None:
    found = check_project(ProjectFacts(targets="t", error="line 3", resolution="Mend it."))
    assert (found.state, found.meaning, found.mend) == (State.PROBLEM, "line 3", "Mend it.")
    assert found.needed_by == EVERY_GOAL


def test_a_wrong_configuration_without_advice_names_the_check() -> None:
    assert check_project(ProjectFacts(targets="t", error="x")).mend == "invoke check"


@pytest.mark.parametrize(("count", "end"), [(1, "u0"), (3, "u0; u1; u2"), (5, "u2; and 2 more")])
def test_an_old_lock_stops_everything_and_few_are_named(count: int, end: str) -> None:
    names = tuple(f"u{number}" for number in range(count))
    found = check_project(ProjectFacts(targets="t", units=9, unpinned=names))
    assert (found.check, found.state, found.mend) == ("lock", State.PROBLEM, "invoke lock")
    assert found.meaning.endswith(end)
    assert found.needed_by == EVERY_GOAL


def test_what_could_not_be_compared_is_said() -> None:
    found = check_project(ProjectFacts(targets="t", unchecked="no usable Go"))
    assert found.state is State.NOTE
    assert found.meaning.endswith("its lock was not compared: no usable Go")


def test_a_go_that_fits() -> None:
    found = check_go(GoFacts(found="1.26.1", goroot="/go", wanted=WANTED))
    assert found.state is State.OK
    assert found.meaning == "Go 1.26.1, /go; go.mod wants 1.24.0 or newer"


def test_a_go_without_a_project() -> None:
    assert check_go(GoFacts(found="1.26.1", goroot="/go")).meaning == "Go 1.26.1, /go"


def test_an_old_go_beside_a_provisioned_one() -> None:
    found = check_go(GoFacts(found="1.19", wanted=WANTED, locked="1.26.8", is_provisioned=True))
    assert found.state is State.OK
    assert found.meaning.startswith("PATH has Go 1.19, go.mod wants 1.24.0 or newer; the locked")


def test_no_go_and_one_to_be_fetched() -> None:
    found = check_go(GoFacts(wanted=WANTED, locked="1.26.8"))
    assert found.state is State.NOTE
    assert found.meaning == "no Go on PATH; the locked Go 1.26.8 is fetched by the first build"


def test_no_go_at_all() -> None:
    found = check_go(GoFacts(wanted=WANTED))
    assert (found.state, found.meaning) == (State.PROBLEM, "no Go on PATH")
    assert found.mend == "install Go 1.24.0, or: invoke lock"
    assert found.needed_by == COMPILING


def test_a_locked_go_that_is_too_old() -> None:
    found = check_go(GoFacts(wanted=WANTED, locked="1.20.1", is_provisioned=True))
    assert found.state is State.PROBLEM
    assert "the locked Go 1.20.1 will not do, go.mod wants 1.24.0 or newer" in found.meaning


def test_a_go_that_does_not_answer_stops_though_one_is_locked() -> None:
    found = check_go(GoFacts(broken="/bin/go does not say which Go it is", locked="1.26.8"))
    assert found.state is State.PROBLEM
    assert found.mend == "put a working Go first on PATH"


def test_ignored_settings_of_go_are_named() -> None:
    found = check_go_environment(GoFacts(ignored=("CGO_CFLAGS", "GOFLAGS")))
    assert found is not None
    assert found.state is State.NOTE
    assert found.meaning.startswith("CGO_CFLAGS, GOFLAGS: set")
    assert check_go_environment(GoFacts()) is None


@pytest.mark.parametrize(
    ("tree", "state", "words"),
    [
        (TreeFacts(path="/s"), State.OK, "/s is as committed"),
        (TreeFacts(path="/s", is_dirty=True), State.NOTE, "ends in -dirty"),
        (TreeFacts(path="/s", git=False), State.WARNING, "no git on PATH"),
        (TreeFacts(path="/s", kind=None), State.NOTE, "/s is not in git"),
        (TreeFacts(path="/s", has_commit=False), State.WARNING, "git names no commit of /s"),
        (
            TreeFacts(path="/s", is_whole=False, git_directory="/m/.git/worktrees/s"),
            State.WARNING,
            "its .git names /m/.git/worktrees/s, which is not here",
        ),
    ],
)
def test_what_git_says_of_the_tree(tree: TreeFacts, state: State, words: str) -> None:
    found = check_tree(tree)
    assert found.state is state
    assert words in found.meaning
    assert bool(found.mend) is (state is not State.OK and tree.kind is not None)


def test_a_tree_of_another_user() -> None:
    foreign = TreeFacts(path="/s/a", root="/s", is_foreign=True)
    found = check_tree_owner(foreign)
    assert found is not None
    assert found.state is State.NOTE
    assert found.mend == "git config --global --add safe.directory /s"
    safe = check_tree_owner(TreeFacts(path="/s", is_foreign=True, is_safe=True))
    assert safe is not None
    assert safe.state is State.OK
    assert check_tree_owner(TreeFacts(path="/s")) is None
    assert check_tree_owner(TreeFacts(path="/s", kind=None, is_foreign=True)) is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (WorktreeKind.LINKED, "a linked worktree"),
        (WorktreeKind.SUBMODULE, "a submodule"),
        (WorktreeKind.SEPARATE, "a tree with its repository elsewhere"),
    ],
)
def test_a_repository_elsewhere_is_named(kind: WorktreeKind, words: str) -> None:
    found = check_worktree(TreeFacts(path="/s", kind=kind, git_directory="/m/.git/x"))
    assert found is not None
    assert (found.state, found.meaning) == (
        State.NOTE,
        f"{words}: a container needs /m/.git/x too",
    )


def test_a_usual_clone_needs_no_words() -> None:
    assert check_worktree(TreeFacts(path="/s")) is None
    assert check_worktree(TreeFacts(path="/s", kind=None)) is None
    assert check_history(TreeFacts(path="/s")) is None


def test_a_shallow_clone_is_a_warning() -> None:
    found = check_history(TreeFacts(path="/s", is_shallow=True))
    assert found is not None
    assert found.state is State.WARNING
    assert found.mend == "git -C /s fetch --unshallow --tags"
