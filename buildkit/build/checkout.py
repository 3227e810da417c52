"""A commit of a git repository, and nothing else of it, as a tree of our own.

Only the commit that was asked for is fetched. Hooks and fsmonitor are off, nothing
waits for a password, and the user's own configuration (credential helpers, proxies,
``insteadOf``) holds and is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.config.lock import SourcePin
from buildkit.config.problems import near_miss
from buildkit.config.remote_tree import is_commit
from buildkit.errors import FetchError
from buildkit.proc import Completed, Runner
from buildkit.vcs import command_settings

_REPOSITORY = """
    GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT
    GIT_OBJECT_DIRECTORY GIT_DIR GIT_WORK_TREE GIT_IMPLICIT_WORK_TREE GIT_GRAFT_FILE
    GIT_INDEX_FILE GIT_NO_REPLACE_OBJECTS GIT_REPLACE_REF_BASE GIT_PREFIX GIT_SHALLOW_FILE
    GIT_COMMON_DIR GIT_NAMESPACE
"""
"""What `git rev-parse --local-env-vars` lists: it is of a repository that a hook runs in."""

_SETTINGS = {
    # The same bytes for everybody.
    "core.autocrlf": "false",
    "advice.detachedHead": "false",
    # A transfer that stands still for this long ends.
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
}
_LAST_LINES = 5
_MANY = 20


class Remote(Struct, frozen=True, kw_only=True):
    """A repository somewhere else.

    Attributes:
        url: what `git fetch` takes.
        runner: starts git.
        environ: the user's environment.
    """

    url: str
    runner: Runner
    environ: Mapping[str, str]

    def resolve(self, ref: str, cwd: Path) -> SourcePin:
        """Ask which commit a ref is now; a tag is looked for before a branch.

        Args:
            ref: a tag, a branch, a full name below ``refs/``, or a whole commit.
            cwd: an existing directory.

        Raises:
            FetchError: the repository cannot be read, or has no such ref.
            EnvironmentMissingError: there is no git.
        """
        if is_commit(ref):
            return SourcePin(ref=ref, commit=ref)
        which = [] if ref.startswith("refs/") else ["--heads", "--tags"]
        named = [ref, f"{ref}^{{}}"] if ref.startswith("refs/") else []
        done = self._git(cwd, "ls-remote", "--quiet", *which, "--", self.url, *named)
        if done.returncode != 0:
            raise self._unreadable(done)
        lines = (line.split("\t") for line in done.stdout.decode("utf-8", "replace").splitlines())
        refs = {name: commit for commit, name in lines}
        for place in ("", "refs/tags/", "refs/heads/"):
            commit = refs.get(f"{place}{ref}^{{}}") or refs.get(f"{place}{ref}")
            if commit:
                tag = f"{place}{ref}".removeprefix("refs/tags/")
                return SourcePin(ref=ref, commit=commit, tag="" if "refs/" in tag else tag)
        raise self._unknown(ref, refs)

    def check_out(self, pin: SourcePin, tree: Path, *, submodules: bool) -> None:
        """Fetch one commit into a new directory and check it out.

        Args:
            pin: the commit, and the ref that it was, for servers that give refs alone.
            tree: does not exist; what is left of it on an error is the caller's.
            submodules: check these out too, at the commits that the tree names.

        Raises:
            FetchError: the repository cannot be read, or no longer has the commit.
            EnvironmentMissingError: there is no git.
        """
        tree.mkdir(parents=True)
        self._must(self._git(tree, "init", "--quiet"), "git cannot make a repository")
        self._fetch(pin, tree)
        if pin.tag:
            self._must(self._git(tree, "tag", pin.tag, pin.commit), f"{pin.tag} is no tag")
        # Submodules may be named relative to it.
        self._must(self._git(tree, "config", "remote.origin.url", self.url), "git refuses the URL")
        done = self._git(tree, "checkout", "--quiet", "--detach", pin.commit)
        self._must(done, f"{pin.ref} of {self.url} cannot be checked out")
        if submodules:
            words = ("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
            done = self._git(tree, *words)
            self._must(done, f"the submodules of {self.url} at {pin.ref} cannot be fetched")

    def _fetch(self, pin: SourcePin, tree: Path) -> None:
        done = self._fetch_one(pin.commit, tree)
        if done.returncode == 0:
            return
        if is_commit(pin.ref):
            raise self._lost(pin, done) if _is_absent(done) else self._unreadable(done)
        # Some servers give what a ref names and no other commit.
        again = self._fetch_one(pin.ref, tree)
        if again.returncode != 0:
            raise self._lost(pin, again) if _is_absent(again) else self._unreadable(again)
        found = self._git(tree, "rev-parse", "FETCH_HEAD^{commit}").stdout.decode().strip()
        if found != pin.commit:
            raise self._moved(pin, found)

    def _fetch_one(self, what: str, tree: Path) -> Completed:
        words = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules")
        return self._git(tree, *words, "--", self.url, what)

    def _git(self, cwd: Path, *words: str) -> Completed:
        environ = {k: v for k, v in self.environ.items() if k not in _REPOSITORY.split()}
        more = dict(_SETTINGS)
        if self.url.startswith(("file://", "/")):
            # Git refuses local submodules (CVE-2022-39253), unless the whole comes from here.
            more["protocol.file.allow"] = "always"
        environ |= command_settings(cwd, more)
        # Who would answer has no terminal: the child leads a session of its own.
        environ |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        environ.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=30")
        return self.runner.run(["git", *words], env=environ, cwd=cwd)

    def _must(self, done: Completed, brief: str) -> None:
        if done.returncode != 0:
            raise FetchError(brief, details=_last(done), resolution="Mend that, and run it again.")

    def _unreadable(self, done: Completed) -> FetchError:
        return FetchError(
            f"git cannot read {self.url}",
            details=_last(done),
            resolution="Check project.source.git, the network and git's credentials; [mirrors] "
            "may name another place, --source a tree that is here.",
        )

    def _unknown(self, ref: str, refs: Mapping[str, str]) -> FetchError:
        names = {name.split("/", 2)[2].removesuffix("^{}") for name in refs if name.count("/") > 1}
        hint = near_miss(ref, names)
        return FetchError(
            f"{self.url} has no tag or branch '{ref}'",
            details=hint if hint.startswith("did") or len(names) < _MANY else "",
            resolution="Mend project.source.ref; a commit is given whole, 40 digits.",
        )

    def _lost(self, pin: SourcePin, done: Completed) -> FetchError:
        return FetchError(
            f"{self.url} no longer has the commit {pin.commit}",
            details=f"It was {pin.ref}. {_last(done)}",
            resolution="Mend project.source.ref, then run `invoke lock`.",
        )

    def _moved(self, pin: SourcePin, found: str) -> FetchError:
        return FetchError(
            f"{pin.ref} of {self.url} is no longer the commit that the lock pins",
            details=f"Pinned is {pin.commit}, now it is {found}; the server gives no others.",
            resolution="Run `invoke lock` to take the new one.",
        )


def _is_absent(done: Completed) -> bool:
    said = done.stderr
    return b"couldn't find remote ref" in said or b"not our ref" in said


def _last(done: Completed) -> str:
    return "\n".join(done.output.splitlines()[-_LAST_LINES:]) or f"exit status {done.returncode}"
