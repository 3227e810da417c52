"""Checks of the configuration, of Go and of the source tree."""

from __future__ import annotations

from buildkit.doctor.facts import GoFacts, ProjectFacts, TreeFacts
from buildkit.doctor.finding import COMPILING, EVERY_GOAL, Finding, State
from buildkit.vcs import WorktreeKind

_SHOWN = 3


def check_project(facts: ProjectFacts) -> Finding:
    """Is the configuration right, and does its lock pin all of it?"""
    if facts.error:
        return Finding(
            check="configuration",
            state=State.PROBLEM,
            meaning=facts.error,
            mend=facts.resolution or "invoke check",
            needed_by=EVERY_GOAL,
        )
    if facts.unpinned:
        more = len(facts.unpinned) - _SHOWN
        shown = "; ".join(facts.unpinned[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return Finding(
            check="lock",
            state=State.PROBLEM,
            meaning=f"the lock does not pin what is asked for: {shown}",
            mend="invoke lock",
            needed_by=EVERY_GOAL,
        )
    if facts.unchecked:
        meaning = f"{facts.targets} can be read; its lock was not compared: {facts.unchecked}"
        return Finding(check="configuration", state=State.NOTE, meaning=meaning)
    meaning = f"{facts.targets} is right: {facts.units} units, all pinned"
    return Finding(check="configuration", state=State.OK, meaning=meaning)


def check_go(facts: GoFacts) -> Finding:
    """Is there a Go that the project accepts, here or in the lock?"""
    name, wanted = "go", facts.wanted
    refusal = wanted.refusal(facts.found) if facts.found else ""
    if facts.found and not refusal:
        asked = f"; {wanted.origin} wants {wanted.minimum} or newer" if wanted.minimum else ""
        return Finding(
            check=name, state=State.OK, meaning=f"Go {facts.found}, {facts.goroot}{asked}"
        )
    why = facts.broken or (f"PATH has Go {facts.found}, {refusal}" if refusal else "no Go on PATH")
    late = wanted.refusal(facts.locked) if facts.locked else ""
    if facts.broken or not facts.locked or late:
        locked = f"; the locked Go {facts.locked} will not do, {late}" if late else ""
        return Finding(
            check=name,
            state=State.PROBLEM,
            meaning=f"{why}{locked}",
            mend="put a working Go first on PATH"
            if facts.broken
            else f"install Go {wanted.minimum or 'of https://go.dev/dl/'}, or: invoke lock",
            needed_by=COMPILING,
        )
    if facts.is_provisioned:
        meaning = f"{why}; the locked Go {facts.locked} in the user's cache is used"
        return Finding(check=name, state=State.OK, meaning=meaning)
    meaning = f"{why}; the locked Go {facts.locked} is fetched by the first build"
    return Finding(check=name, state=State.NOTE, meaning=meaning)


def check_go_environment(facts: GoFacts) -> Finding | None:
    """Is there a setting of Go that has no say here?"""
    if not facts.ignored:
        return None
    return Finding(
        check="go environment",
        state=State.NOTE,
        meaning=f"{', '.join(facts.ignored)}: set, and ignored by builds",
        mend="name what should count in [go] env of targets.toml",
    )


def check_tree(facts: TreeFacts) -> Finding:
    """Can git say what is checked out?"""
    if not facts.git:
        return Finding(
            check="git",
            state=State.WARNING,
            meaning="no git on PATH, so that stamps say 'unknown'",
            mend="install git",
        )
    if facts.kind is None:
        meaning = f"{facts.path} is not in git: stamps say 'unknown'"
        return Finding(check="git", state=State.NOTE, meaning=meaning)
    if not facts.is_whole:
        return Finding(
            check="git",
            state=State.WARNING,
            meaning=f"its .git names {facts.git_directory}, which is not here: stamps say "
            "'unknown'",
            mend="mount the main repository at that place too, or: git worktree repair",
        )
    if not facts.has_commit:
        meaning = f"git names no commit of {facts.path}: stamps say 'unknown'"
        return Finding(
            check="git", state=State.WARNING, meaning=meaning, mend=f"git -C {facts.path} log -1"
        )
    if facts.is_dirty:
        return Finding(
            check="git",
            state=State.NOTE,
            meaning="tracked files differ from the commit: a stamped revision ends in -dirty",
            mend=f"git -C {facts.path} status",
        )
    return Finding(check="git", state=State.OK, meaning=f"{facts.path} is as committed")


def check_tree_owner(facts: TreeFacts) -> Finding | None:
    """Would git refuse the tree for its owner (safe.directory)?"""
    if facts.kind is None or not facts.is_foreign:
        return None
    if facts.is_safe:
        meaning = "another user owns the tree, and your git configuration calls it safe"
        return Finding(check="safe.directory", state=State.OK, meaning=meaning)
    return Finding(
        check="safe.directory",
        state=State.NOTE,
        meaning="another user owns the tree: builds work, your own git commands refuse",
        mend=f"git config --global --add safe.directory {facts.root}",
    )


def check_worktree(facts: TreeFacts) -> Finding | None:
    """Is the repository elsewhere than the tree?"""
    words = {
        WorktreeKind.LINKED: "a linked worktree",
        WorktreeKind.SUBMODULE: "a submodule",
        WorktreeKind.SEPARATE: "a tree with its repository elsewhere",
    }
    if facts.kind not in words:
        return None
    meaning = f"{words[facts.kind]}: a container needs {facts.git_directory} too"
    return Finding(check="worktree", state=State.NOTE, meaning=meaning)


def check_history(facts: TreeFacts) -> Finding | None:
    """Is the clone too short to know its tags?"""
    if not facts.is_shallow:
        return None
    return Finding(
        check="history",
        state=State.WARNING,
        meaning="a shallow clone: a version by git describe misses tags that it does not reach",
        mend=f"git -C {facts.path} fetch --unshallow --tags",
    )
