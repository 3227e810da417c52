"""The source tree where it is no path: fetched into the user's cache, once per content."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from msgspec import Struct

from buildkit.config.lock import Lock, SourcePin
from buildkit.config.model import RemoteTree
from buildkit.config.remote_tree import pinned_commit
from buildkit.digest import Digest
from buildkit.errors import EnvironmentMissingError, FetchError
from buildkit.intact import first_altered, install
from buildkit.plan.hashing import RACY_NS
from buildkit.proc import Runner
from buildkit.store import Store, discard, note_use


class TreeSupply(Struct, kw_only=True):
    """Brings source trees into the cache.

    Attributes:
        store: the user's cache; a tree lies in ``trees/`` under the digest of what it is.
        environ: the user's environment.
        runner: starts git.
        say: tells the user what is fetched.
        offline: fetch nothing.
        refresh: ask what the ref is now, instead of the lock.
        sleep: waits between attempts of a download.
        pin: the commit of the last tree in git.
    """

    store: Store
    environ: Mapping[str, str]
    runner: Runner
    say: Callable[[str], None]
    offline: bool = False
    refresh: bool = False
    sleep: Callable[[float], None] = time.sleep
    pin: SourcePin | None = None

    def obtain(
        self,
        tree: RemoteTree,
        lock: Lock,
        mirrors: Mapping[str, str],
        commands: Collection[str] = (),
    ) -> Path:
        """Return where a tree lies, fetched if it is not there or no longer what was fetched.

        Args:
            tree: what it is.
            lock: pins a commit.
            mirrors: URL prefix and replacement.
            commands: what may write into it; where there are any, it is used as it lies.

        Raises:
            ConfigError: the lock does not pin the ref.
            FetchError: it cannot be had, or is not what is pinned.
            EnvironmentMissingError: there is no git, or the cache cannot hold it.
        """
        try:
            if tree.url:
                return self._archive(tree, mirrors, is_written=bool(commands))
            return self._commit(tree, lock, mirrors, is_written=bool(commands))
        except OSError as error:
            raise EnvironmentMissingError.of_file(
                "the source tree cannot be kept", error
            ) from error

    def _commit(
        self, tree: RemoteTree, lock: Lock, mirrors: Mapping[str, str], *, is_written: bool
    ) -> Path:
        from buildkit.build.checkout import Remote  # noqa: PLC0415 - most trees are there
        from buildkit.http.routes import rewrite  # noqa: PLC0415

        url = rewrite(tree.git, mirrors)
        remote = Remote(url=url, runner=self.runner, environ=self.environ)
        if self.refresh:
            with self.store.workspace() as work:
                self.pin = remote.resolve(tree.ref, work)
        else:
            self.pin = pinned_commit(tree, lock)
        pin = self.pin
        what = f"{pin.commit} {pin.tag}" + " with submodules" * tree.submodules

        def make(place: Path) -> Path:
            self.say(f"fetching {tree.git} at {pin.ref} ({pin.commit[:12]})")
            remote.check_out(pin, place, submodules=tree.submodules)
            return place

        return self._kept(what, f"{tree.git} at {pin.ref}", make, is_written=is_written)

    def _archive(self, tree: RemoteTree, mirrors: Mapping[str, str], *, is_written: bool) -> Path:
        def make(place: Path) -> Path:
            from buildkit.build.download import Downloads, Wanted  # noqa: PLC0415 - see _commit
            from buildkit.build.tree_archive import extract_tree  # noqa: PLC0415
            from buildkit.http import HttpPool  # noqa: PLC0415

            self.say(f"fetching {tree.url}")
            pool = HttpPool(environ=self.environ, mirrors=mirrors, sleep=self.sleep)
            downloads = Downloads(store=self.store, pool=pool, mirrors=mirrors)
            # The lock has no pin of it, so the message of a wrong one is ours.
            with downloads.open(Wanted(url=tree.url), lambda _: None) as archive:
                _check_sha256(tree, Digest.of_file(archive).hex)
                return extract_tree(archive, place, tree.url.rpartition("/")[2])

        return self._kept(f"sha256:{tree.sha256}", tree.url, make, is_written=is_written)

    def _kept(
        self, what: str, shown: str, make: Callable[[Path], Path], *, is_written: bool
    ) -> Path:
        """Return the tree of a content, made if it is not in the cache."""
        key = Digest.of_bytes(what.encode()).hex[:32]
        home = self.store.root / "trees" / key
        if self._problem(home, is_written=is_written):
            with self.store.lock(f"tree-{key}"):
                # Another process may have finished it while this one waited.
                if problem := self._problem(home, is_written=is_written):
                    self._place(make, home, problem, shown)
        note_use(home)
        return home.resolve()

    def _problem(self, home: Path, *, is_written: bool) -> str:
        """Say why a tree cannot be used as it lies; empty where it can."""
        if not home.is_dir():
            return "is not in the cache"
        altered = "" if is_written else first_altered(home)
        return altered and f"was altered in the cache ({altered})"

    def _place(self, make: Callable[[Path], Path], home: Path, problem: str, shown: str) -> None:
        if self.offline:
            raise FetchError(
                f"the source tree {problem}, and this run is offline: {shown}",
                resolution="Run once without --offline, or name a tree with --source.",
            )
        with self.store.workspace() as work:
            made = make(work / "tree")
            home.parent.mkdir(parents=True, exist_ok=True)
            self._put_aside(home, problem)
            install(made, home)
        # Built at once, it would look as if it had changed while the compiler read it.
        time.sleep(2 * RACY_NS / 1e9)

    def _put_aside(self, home: Path, problem: str) -> None:
        """Make place for a tree; what somebody wrote into an altered one is not thrown away."""
        if not home.is_dir():
            discard(home)
            return
        aside = home.with_name(f"{home.name}.altered")
        discard(aside)
        home.rename(aside)
        self.say(f"the source tree {problem}; it lies in {aside} now and is not used")


def _check_sha256(tree: RemoteTree, found: str) -> None:
    if found != tree.sha256:
        raise FetchError(
            f"{tree.url.rpartition('/')[2]} is not the archive that targets.toml names",
            details=f"sha256 expected {tree.sha256}, got {found}",
            resolution="If it was changed on purpose, mend project.source.sha256; else do not "
            "use it before you know why.",
        )
