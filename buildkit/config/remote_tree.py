"""What must hold of a source tree that is fetched, and which commit is meant by it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from buildkit.config.lock import Lock, SourcePin
from buildkit.config.model import RemoteTree
from buildkit.config.problems import Problems
from buildkit.errors import ConfigError

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_REF = re.compile(r"[\s~^:?*\\[]|\.\.|@\{")
"""What no name of a reference has in it, see git-check-ref-format(1)."""
_PATH = "project.source"


def check_tree(tree: RemoteTree, problems: Problems) -> None:
    """Add what is wrong with a source to ``problems``."""
    if bool(tree.git) == bool(tree.url):
        problems.add(_PATH, "give either git or url", 'or a path: source = "../istio"')
        return
    foreign = ("sha256",) if tree.git else ("ref", "submodules")
    for key in (key for key in foreign if getattr(tree, key)):
        problems.add(f"{_PATH}.{key}", f"goes with {'url' if tree.git else 'git'} alone")
    if urlsplit(tree.git or tree.url).password:
        problems.add(_PATH, "a password in a URL", "leave it to git's credential helpers or netrc")
    _git(tree, problems) if tree.git else _archive(tree, problems)


def pinned_commit(tree: RemoteTree, lock: Lock) -> SourcePin:
    """Return the commit that a source in git means: a ref that is one, or the lock's.

    Raises:
        ConfigError: the lock has none, or that of another ref.
    """
    if is_commit(tree.ref):
        return SourcePin(ref=tree.ref, commit=tree.ref)
    if lock.source is None:
        raise ConfigError(
            f"{_PATH} is not locked: {tree.git} at {tree.ref}",
            details="A tag or branch may move, and nothing is used without a pin.",
            resolution="Run `invoke lock`; a whole commit as ref needs no pin.",
        )
    if lock.source.ref != tree.ref:
        raise ConfigError(
            f"the lock is out of date: {_PATH}",
            details=f"It pins {lock.source.ref}, targets.toml has {tree.ref} now.",
            resolution="Run `invoke lock`.",
        )
    return lock.source


def is_commit(ref: str) -> bool:
    """Tell whether a ref is the whole name of a commit, which cannot move."""
    return _COMMIT.fullmatch(ref) is not None


def _git(tree: RemoteTree, problems: Problems) -> None:
    # git takes a word that begins with a dash for an option.
    if tree.git.startswith("-") or any(c.isspace() for c in tree.git):
        problems.add(f"{_PATH}.git", f"'{tree.git}' is no URL")
    if not tree.ref:
        problems.add(f"{_PATH}.ref", "required with git", "name a tag, a branch or a commit")
    elif tree.ref.startswith("-") or _NO_REF.search(tree.ref):
        problems.add(f"{_PATH}.ref", f"'{tree.ref}' is no tag, branch or commit")


def _archive(tree: RemoteTree, problems: Problems) -> None:
    if not re.match(r"(https?|file)://", tree.url):
        problems.add(f"{_PATH}.url", f"'{tree.url}' is no https or file URL")
    if not tree.sha256:
        problems.add(f"{_PATH}.sha256", "required with url", "sha256sum prints it")
    elif not _SHA256.fullmatch(tree.sha256):
        problems.add(f"{_PATH}.sha256", f"'{tree.sha256}' is no sha256 in lower-case hex")
