"""Where a tree's repository is, told without git."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.vcs import WorktreeKind, look_at_worktree


def test_a_directory_outside_git(tmp_path: Path) -> None:
    assert look_at_worktree(tmp_path) is None


@pytest.mark.parametrize("shallow", [True, False])
def test_a_clone(tmp_path: Path, shallow: bool) -> None:
    (tmp_path / ".git").mkdir()
    if shallow:
        (tmp_path / ".git" / "shallow").touch()
    found = look_at_worktree(tmp_path / "below")
    assert found is not None
    assert (found.root, found.git_directory) == (tmp_path, tmp_path / ".git")
    assert (found.kind, found.is_shallow) == (WorktreeKind.PLAIN, shallow)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("main/.git/worktrees/x", WorktreeKind.LINKED),
        ("main/.git/modules/x", WorktreeKind.SUBMODULE),
        ("elsewhere", WorktreeKind.SEPARATE),
    ],
)
def test_a_tree_whose_repository_is_elsewhere(
    tmp_path: Path, place: str, kind: WorktreeKind
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: ../{place}\n")
    found = look_at_worktree(tree)
    assert found is not None
    assert found.kind is kind
    assert found.git_directory == tree / ".." / place


def test_a_linked_tree_of_a_shallow_clone(tmp_path: Path) -> None:
    own = tmp_path / "main" / ".git" / "worktrees" / "x"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    (tmp_path / "main" / ".git" / "shallow").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ".git").write_text(f"gitdir: {own}\n")
    found = look_at_worktree(tmp_path / "tree")
    assert found is not None
    assert (found.kind, found.is_shallow) == (WorktreeKind.LINKED, True)
