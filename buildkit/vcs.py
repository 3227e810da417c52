"""What git says of a source tree; the only module that uses GitPython.

Git is told which repository is meant, so it is the right one in a hook too, where
GIT_DIR names the hook's own; and that this very tree is safe, whoever owns it
(CVE-2022-24765), by a safe.directory of the command alone. Hooks and fsmonitor
are off, and no lock is taken. The user's own configuration is never changed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from enum import StrEnum
from io import BufferedIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from git import Git

UNKNOWN = "unknown"


class Commit(Struct, frozen=True, kw_only=True):
    """What is checked out; ``revision`` is ``unknown`` outside git, ``describe`` empty."""

    revision: str = UNKNOWN
    describe: str = ""
    commit_time: int = 0
    """Seconds since 1970, 0 outside git."""


class GitFacts(Commit, Struct, frozen=True, kw_only=True):
    """What is checked out, and whether the tree still is that."""

    dirty: bool = False

    @property
    def status(self) -> str:
        """``Clean`` or ``Modified``, as meshes stamp it; ``unknown`` outside git."""
        if self.revision == UNKNOWN:
            return UNKNOWN
        return "Modified" if self.dirty else "Clean"

    @property
    def stamped_revision(self) -> str:
        """The commit, with ``-dirty`` where tracked files differ from it."""
        return f"{self.revision}-dirty" if self.dirty else self.revision


def find_worktree(directory: Path) -> Path | None:
    """Return the nearest directory at or above that holds ``.git``, a directory or a file."""
    for candidate in (directory, *directory.parents):
        if (candidate / ".git").exists():
            return candidate
    return None


class WorktreeKind(StrEnum):
    """Where a tree's repository is (gitrepository-layout(5))."""

    PLAIN = "plain"
    """In the tree."""
    LINKED = "linked"
    """In another tree, by ``git worktree``."""
    SUBMODULE = "submodule"
    """In the repository that the tree is a part of."""
    SEPARATE = "separate"
    """Anywhere else."""


class Worktree(Struct, frozen=True, kw_only=True):
    """A tree and its repository, by looking alone."""

    root: Path
    git_directory: Path
    kind: WorktreeKind
    is_shallow: bool = False


def look_at_worktree(directory: Path) -> Worktree | None:
    """Return the tree that a directory is in, None outside git; git is not started.

    Raises:
        OSError, UnicodeDecodeError: its ``.git`` cannot be read.
    """
    root = find_worktree(directory)
    if root is None:
        return None
    own = _git_directory(root)
    common = own / _read(own / "commondir") if (own / "commondir").exists() else own
    if own == root / ".git":
        kind = WorktreeKind.PLAIN
    elif own.parent.name == "worktrees":
        kind = WorktreeKind.LINKED
    else:
        kind = WorktreeKind.SUBMODULE if "modules" in own.parts else WorktreeKind.SEPARATE
    return Worktree(
        root=root, git_directory=own, kind=kind, is_shallow=(common / "shallow").exists()
    )


def commit_stamp(directory: Path) -> str:
    """Return a text that stays the same as long as :class:`Commit` does, without asking git.

    It is of HEAD, of the branch that it names, and of everything that tags are
    kept in (gitrepository-layout(5)). Empty outside git, and where references are
    kept in another way: then git has to be asked.
    """
    worktree = find_worktree(directory)
    if worktree is None:
        return ""
    try:
        own = _git_directory(worktree)
        common = own / _read(own / "commondir") if (own / "commondir").exists() else own
        head = _read(own / "HEAD")
        if (common / "reftable").exists():
            return ""
        parts = [
            head,
            _read(common / head.removeprefix("ref: ")) if head.startswith("ref:") else "",
        ]
        parts += [_file_state(common / "packed-refs"), _file_state(common / "shallow")]
        tags = common / "refs" / "tags"
        parts += [
            f"{path.relative_to(tags)} {_file_state(path)}" for path in sorted(tags.rglob("*"))
        ]
    except (OSError, UnicodeDecodeError):
        return ""
    return "\n".join(parts)


def _git_directory(worktree: Path) -> Path:
    place = worktree / ".git"
    return worktree / _read(place).removeprefix("gitdir: ") if place.is_file() else place


def _read(path: Path) -> str:
    """Return a small file's text; a reference that is packed has none of its own."""
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _file_state(path: Path) -> str:
    if not path.exists():
        return ""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"


def read_git(directory: Path, known: Commit | None = None) -> GitFacts:
    """Ask git about the tree that holds ``directory``.

    Dirty means that a tracked file below ``directory`` differs from the commit;
    untracked files do not count, since whatever a build uses of them is already
    among its inputs. Outside git, without git, or before the first commit the
    answer is an empty :class:`GitFacts`, never an error.

    Args:
        directory: the tree, or a part of it.
        known: what is checked out, where :func:`commit_stamp` says that it still
            is; then git is asked whether the tree is dirty, and nothing else.
    """
    worktree = find_worktree(directory)
    if worktree is None:
        return GitFacts()
    commit = known or _read_commit(directory, worktree)
    changed = _read_changes(directory, worktree) if commit else None
    if commit is None or changed is None:
        return GitFacts()
    return GitFacts(
        revision=commit.revision,
        describe=commit.describe,
        commit_time=commit.commit_time,
        dirty=bool(changed),
    )


def _read_commit(directory: Path, worktree: Path) -> Commit | None:
    try:
        from git import Git, GitError
    except ImportError:
        return None

    git = _scoped(Git(str(directory)), worktree)
    try:
        # Not `git log`: what it prints is up to the user's configuration.
        seconds, revision = str(git.rev_list("--max-count=1", "--timestamp", "HEAD")).split()
    except GitError:
        return None
    return Commit(revision=revision, describe=_describe(git), commit_time=int(seconds))


def _read_changes(directory: Path, worktree: Path) -> bytes | None:
    """Return a line per tracked file that differs, None where git cannot tell.

    Every compile waits for this, and importing GitPython would take longer than git does.
    """
    words = ("git", "status", "--porcelain", "--untracked-files=no", "--", ".")
    environment = {**os.environ, **_environment(worktree)}
    try:
        return subprocess.run(
            words, cwd=directory, env=environment, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


class Change(Struct, frozen=True, kw_only=True):
    """A commit that is no merge: its subject, and the whole of its text."""

    revision: str
    subject: str
    text: str


class History(Struct, frozen=True, kw_only=True):
    """What a release is named after, and what came before it."""

    tags: tuple[str, ...] = ()
    """Tags of the commit that is checked out."""
    previous: str = ""
    """The nearest tag before it."""
    changes: tuple[Change, ...] = ()
    """Since then, below the source, newest first."""


def read_history(directory: Path, tag: str = "") -> History:
    """Ask git for tags and changes; outside git there are none.

    Args:
        directory: the source tree.
        tag: what this release is called, which is not the tag before it.

    Raises:
        GitError: the history cannot be read.
    """
    worktree = find_worktree(directory)
    if worktree is None:
        return History()
    from git import Git, GitCommandError

    git = _scoped(Git(str(directory)), worktree)
    tags = str(git.tag("--points-at", "HEAD")).split()
    exclude = [f"--exclude={name}" for name in {*tags, *filter(None, (tag,))}]
    try:
        previous = str(git.describe("--tags", "--abbrev=0", *exclude, "HEAD"))
    except GitCommandError:
        previous = ""
    since = f"{previous}..HEAD" if previous else "HEAD"
    # Of a user's configuration, signatures would stand between the entries.
    plain = ("-z", "--no-merges", "--no-color", "--no-show-signature", "--no-notes")
    log = str(git.log(*plain, "--format=%H%x0a%B", since, "--", "."))
    return History(
        tags=tuple(sorted(tags)),
        previous=previous,
        changes=tuple(_change(entry) for entry in log.split("\0") if entry.strip()),
    )


def tagged_commit(directory: Path, tag: str) -> str:
    """Return the commit that a tag names; empty where there is no such tag."""
    worktree = find_worktree(directory)
    if worktree is None:
        return ""
    from git import Git, GitCommandError

    git = _scoped(Git(str(directory)), worktree)
    try:
        # rev-parse alone would take the output of git describe, 1.2.3-4-gabcdef, for a tag.
        git.show_ref("--verify", "--quiet", f"refs/tags/{tag}")
        return str(git.rev_parse("--verify", "--quiet", f"refs/tags/{tag}^{{commit}}"))
    except GitCommandError:
        return ""


def untracked_files(directory: Path, left_out: Iterable[Path] = ()) -> tuple[str, ...]:
    """Return the files of a tree that git neither tracks nor ignores; none outside git.

    Args:
        directory: the tree; names are relative to it.
        left_out: directories that do not count, such as ``out/``.
    """
    worktree = find_worktree(directory)
    if worktree is None:
        return ()
    from git import Git

    inside = (path for path in left_out if directory in path.parents)
    excluded = [f":(exclude){path.relative_to(directory).as_posix()}" for path in inside]
    words = ("-z", "--others", "--exclude-standard", "--", ".", *excluded)
    found = str(_scoped(Git(str(directory)), worktree).ls_files(*words))
    return tuple(sorted(filter(None, found.split("\0"))))


def changed_files(directory: Path) -> tuple[str, ...]:
    """Return the tracked files of a tree that differ from its commit; none outside git."""
    worktree = find_worktree(directory)
    if worktree is None:
        return ()
    from git import Git

    words = ("-z", "--name-only", "--no-ext-diff", "HEAD", "--", ".")
    found = str(_scoped(Git(str(directory)), worktree).diff(*words))
    return tuple(filter(None, found.split("\0")))


def write_commit(directory: Path, target: IO[bytes] | BufferedIOBase, prefix: str) -> None:
    """Write the commit's files below a directory as a tar, which depends on the commit alone.

    Args:
        directory: the source tree.
        target: gets the tar.
        prefix: the directory in the tar that holds everything.

    Raises:
        GitError: git fails.
    """
    worktree = find_worktree(directory)
    if worktree is None:
        raise ValueError(directory)
    from git import Git

    git = _scoped(Git(str(directory)), worktree)
    # Of a user's configuration, modes and the ends of lines would come out differently.
    settings = git(c=["tar.umask=0022", "core.autocrlf=false", "core.eol=lf"])
    settings.archive("--format=tar", f"--prefix={prefix}/", "HEAD", output_stream=target)


def _change(entry: str) -> Change:
    revision, _, text = entry.strip("\n").partition("\n")
    return Change(revision=revision, subject=text.partition("\n")[0].strip(), text=text)


def _describe(git: Git) -> str:
    from git import GitCommandError

    try:
        return str(git.describe("--tags", "--always"))
    except GitCommandError:
        return ""


def _scoped(git: Git, worktree: Path) -> Git:
    git.update_environment(**_environment(worktree))
    return git


def _environment(worktree: Path) -> dict[str, str]:
    return {
        "GIT_DIR": str(worktree / ".git"),
        "GIT_WORK_TREE": str(worktree),
        "GIT_OPTIONAL_LOCKS": "0",
        **command_settings(worktree),
    }


def command_settings(worktree: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return variables that give one git command its settings and no other (git-config(1)).

    Args:
        worktree: the one tree that is safe, whoever owns it.
        more: further settings by key.
    """
    settings = {
        "safe.directory": str(worktree),
        "core.hooksPath": "/dev/null",
        "core.fsmonitor": "false",
        **(more or {}),
    }
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables
