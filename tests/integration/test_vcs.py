"""What real git says of real trees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from buildkit.vcs import (
    Commit,
    GitFacts,
    changed_files,
    commit_stamp,
    find_worktree,
    read_git,
    read_history,
    tagged_commit,
    untracked_files,
)

SECONDS = 1_700_000_000
IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgSign=false")


def git(tree: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *IDENTITY, *words],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tree)} | dated(),
    )
    return done.stdout.strip()


def dated() -> dict[str, str]:
    return dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"{SECONDS} +0200")


def commit(tree: Path, name: str) -> str:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(name)
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", name)
    return git(tree, "rev-parse", "HEAD")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    made.mkdir()
    git(made, "init", "--quiet", "--initial-branch=main")
    commit(made, "go/main.go")
    git(made, "tag", "1.2.3")
    return made


def test_a_clean_tree_at_a_tag(tree: Path) -> None:
    facts = read_git(tree)
    revision = git(tree, "rev-parse", "HEAD")
    assert facts == GitFacts(revision=revision, describe="1.2.3", dirty=False, commit_time=SECONDS)
    assert (facts.status, facts.stamped_revision) == ("Clean", revision)


def test_a_changed_tracked_file_is_dirty_and_an_untracked_one_is_not(tree: Path) -> None:
    (tree / "new.go").write_text("new")
    assert not read_git(tree).dirty
    (tree / "go" / "main.go").write_text("changed")
    facts = read_git(tree)
    assert facts.status == "Modified"
    assert facts.stamped_revision == f"{facts.revision}-dirty"


def test_only_what_lies_below_the_source_counts_as_dirty(tree: Path) -> None:
    commit(tree, "docs/a.md")
    (tree / "docs" / "a.md").write_text("changed")
    assert read_git(tree).dirty
    assert not read_git(tree / "go").dirty


def test_a_staged_change_is_dirty(tree: Path) -> None:
    (tree / "go" / "main.go").unlink()
    git(tree, "add", "--all")
    assert read_git(tree).dirty


def test_a_worktree_has_its_own_commit(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(tree, "worktree", "add", "--quiet", "-b", "side", str(other))
    revision = commit(other, "side.go")
    assert (other / ".git").is_file()
    facts = read_git(other / "go")
    assert (facts.revision, facts.dirty) == (revision, False)
    assert facts.describe.startswith("1.2.3-1-g")
    assert read_git(tree).revision != revision


def test_a_detached_head_is_its_commit(tree: Path) -> None:
    first = git(tree, "rev-parse", "HEAD")
    commit(tree, "b.go")
    git(tree, "checkout", "--quiet", "--detach", first)
    assert read_git(tree).revision == first


def test_a_shallow_clone_without_tags_is_described_by_its_commit(
    tree: Path, tmp_path: Path
) -> None:
    revision = commit(tree, "b.go")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-tags", f"file://{tree}", str(clone))
    facts = read_git(clone)
    assert facts.revision == revision
    assert facts.describe
    assert revision.startswith(facts.describe)


def test_a_tree_of_another_user_is_read_all_the_same(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Git's own switch for its tests: it then takes no owner for the right one.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(["git", "status"], cwd=tree, check=True, capture_output=True)
    assert read_git(tree).revision == git(tree, "rev-parse", "HEAD")


def test_a_hook_of_another_repository_does_not_divert_the_question(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "hooked"
    other.mkdir()
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert read_git(tree / "go").revision == git(tree, "rev-parse", "HEAD")


def test_the_users_settings_for_git_log_change_nothing(tree: Path, isolated_user: Path) -> None:
    (isolated_user / ".gitconfig").write_text("[log]\nshowSignature = true\n[core]\npager = false")
    assert read_git(tree).commit_time == SECONDS


def test_hooks_and_monitors_of_the_tree_are_not_run(tree: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {ran}\n")
    monitor.chmod(0o755)
    git(tree, "config", "core.fsmonitor", str(monitor))
    git(tree, "status")
    assert ran.exists()
    ran.unlink()
    assert not read_git(tree).dirty
    assert not ran.exists()


def test_before_the_first_commit_nothing_is_known(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert read_git(tmp_path) == GitFacts()


def test_of_a_known_commit_git_is_asked_for_dirt_alone(tree: Path) -> None:
    known = Commit(revision="r", describe="d", commit_time=7)
    clean = GitFacts(revision="r", describe="d", commit_time=7)
    assert read_git(tree, known) == clean
    (tree / "go" / "main.go").write_text("changed")
    assert read_git(tree, known) == replace(clean, dirty=True)


def test_outside_git_nothing_is_known(tmp_path: Path) -> None:
    assert find_worktree(tmp_path) is None
    facts = read_git(tmp_path)
    assert (facts.revision, facts.status, facts.commit_time) == ("unknown", "unknown", 0)


def test_without_git_nothing_is_known(tree: Path, tmp_path: Path) -> None:
    script = "import pathlib, sys, buildkit.vcs as v; print(v.read_git(pathlib.Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tree)],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.stdout.strip() == str(GitFacts()), done.stderr


def test_the_stamp_moves_with_everything_that_names_the_commit(tree: Path) -> None:
    seen = [commit_stamp(tree / "go")]
    for words in (
        ("commit", "--quiet", "--allow-empty", "--message", "b"),
        ("tag", "1.3.0"),
        ("tag", "release/1.3.0"),
        ("tag", "--force", "1.3.0", "HEAD~1"),
        ("pack-refs", "--all"),
        ("tag", "--delete", "1.2.3"),
        ("checkout", "--quiet", "--detach", "HEAD~1"),
        ("checkout", "--quiet", "-b", "side"),
    ):
        git(tree, *words)
        stamp = commit_stamp(tree / "go")
        assert stamp not in seen, words
        seen.append(stamp)
    (tree / "go" / "main.go").write_text("changed")
    git(tree, "add", ".")
    git(tree, "status")
    assert commit_stamp(tree) == seen[-1]


def test_a_commit_on_a_branch_that_is_packed_moves_the_stamp(tree: Path) -> None:
    git(tree, "pack-refs", "--all")
    before = commit_stamp(tree)
    commit(tree, "b.go")
    assert commit_stamp(tree) != before


def test_the_stamp_of_a_worktree_is_that_of_its_own_commit(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(tree, "worktree", "add", "--quiet", "-b", "side", str(other))
    before, main = commit_stamp(other), commit_stamp(tree)
    commit(other, "side.go")
    assert commit_stamp(other) != before
    assert commit_stamp(tree) == main
    git(tree, "tag", "1.4.0")
    assert commit_stamp(tree) != main


def test_there_is_no_stamp_where_git_has_to_be_asked(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert commit_stamp(tmp_path / "plain") == ""
    (tree / ".git" / "HEAD").write_bytes(b"\xff")
    assert commit_stamp(tree) == ""


def test_a_tag_is_what_lies_among_tags_and_not_what_describe_says(tree: Path) -> None:
    first = git(tree, "rev-parse", "HEAD")
    git(tree, "tag", "--annotate", "--message", "words", "v2.0.0")
    second = commit(tree, "b.go")
    assert tagged_commit(tree, "1.2.3") == first
    assert tagged_commit(tree, "v2.0.0") == first
    assert tagged_commit(tree, git(tree, "describe", "--tags")) == ""
    assert tagged_commit(tree, second) == ""
    assert tagged_commit(tree, "main") == ""


def test_the_history_is_what_came_since_the_tag_before(tree: Path) -> None:
    git(tree, "config", "log.showSignature", "true")
    git(tree, "config", "log.decorate", "full")
    commit(tree, "b.go")
    commit(tree, "c.go")
    git(tree, "tag", "v1.3.0")
    history = read_history(tree, "v1.3.0")
    assert (history.tags, history.previous) == (("v1.3.0",), "1.2.3")
    assert [change.subject for change in history.changes] == ["c.go", "b.go"]
    assert history.changes[0].revision == git(tree, "rev-parse", "HEAD")


def test_without_a_tag_before_it_is_all_of_it(tree: Path) -> None:
    history = read_history(tree)
    assert (history.tags, history.previous) == (("1.2.3",), "")
    assert [change.subject for change in history.changes] == ["go/main.go"]


def test_untracked_files_are_those_that_are_not_ignored(tree: Path) -> None:
    (tree / ".gitignore").write_text("*.log\n")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "ignored")
    (tree / ".gitignore").write_text("*.log\n*.tmp\n")
    for name in ("go/new file.go", "a.log", "out/made", "go/other.go"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("")
    assert untracked_files(tree, (tree / "out", Path("/elsewhere"))) == (
        "go/new file.go",
        "go/other.go",
    )
    assert untracked_files(tree / "go") == ("new file.go", "other.go")
    assert changed_files(tree) == (".gitignore",)
    assert changed_files(tree / "go") == ()


def test_outside_git_there_is_nothing_of_it(tmp_path: Path) -> None:
    assert untracked_files(tmp_path) == ()
    assert changed_files(tmp_path) == ()
    assert tagged_commit(tmp_path, "v1") == ""
    assert read_history(tmp_path).previous == ""
