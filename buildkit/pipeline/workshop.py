"""What one run of the tool knows and constructs, each thing once and only when it is needed."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec.structs import replace

from buildkit.config.load import Project, load_project
from buildkit.config.lock import SourcePin
from buildkit.errors import UsageError
from buildkit.log import Reporter, choose_reporter
from buildkit.memory import available_memory
from buildkit.pipeline.sourcing import TreeSupply
from buildkit.plan.hashing import Hasher
from buildkit.plan.istio import unread_names
from buildkit.plan.options import Options
from buildkit.plan.records import RecordBook
from buildkit.plan.settings import Settings, Surroundings, out_directory, resolve
from buildkit.platform import Platform
from buildkit.proc import Processes
from buildkit.store import Store
from buildkit.vcs import UNKNOWN, Commit, GitFacts, commit_stamp, read_git

if TYPE_CHECKING:
    from buildkit.digest import Digest
    from buildkit.images.layers import PackedLayer

STATE = ".buildkit"
"""The directory below ``out/`` that holds records, the lock and scratch space."""

TARGETS = "targets.toml"

T = TypeVar("T")


class Answers:
    """What other programs said that holds as long as this process lives; from several threads."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self._lock = threading.Lock()

    def once(self, question: str, ask: Callable[[], T]) -> T:
        """Return the first answer to a question; whoever asks the same later gets it too."""
        with self._lock:
            if question not in self._known:
                self._known[question] = ask()
            answer: T = self._known[question]
            return answer


class Workshop:
    """One run: its configuration, its settings, and the plain tools that all steps share.

    Attributes:
        options: the flags of the call.
        environ: the environment; nothing below reads it elsewhere.
        project: the checked configuration and lock.
        reporter: takes what people see.
        processes: starts children and ends them.
        answers: what is asked once per process, over all runs of a loop.
        source_pin: the commit of a source that was fetched by git.
        packed: compressed layers that are taken as they are, by DiffID.
    """

    def __init__(
        self,
        options: Options,
        environ: Mapping[str, str],
        project: Project,
        reporter: Reporter,
        answers: Answers,
    ) -> None:
        self.options = options
        self.environ = environ
        self.project = project
        self.reporter = reporter
        self.processes = Processes()
        self.answers = answers
        self.local_hub = ""
        self.source_pin: SourcePin | None = None
        self.packed: Mapping[Digest, PackedLayer] = {}

    @classmethod
    def open(
        cls,
        options: Options,
        reporter: Reporter | None = None,
        answers: Answers | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        refresh: bool = False,
    ) -> Workshop:
        """Read and check the configuration that the flags name.

        Args:
            options: the flags.
            reporter: takes what people see, instead of one that fits this process.
            answers: those of earlier runs of this process.
            environ: the environment, instead of this process's own.
            refresh: a source in git is what its ref is now, instead of what the lock pins.

        Raises:
            UsageError, ConfigError: see :func:`load_project`.
            FetchError: a source tree cannot be had.
        """
        environ, is_first = dict(os.environ if environ is None else environ), reporter is None
        quiet = bool(options.quiet or options.json)
        reporter = reporter or choose_reporter(environ, quiet=quiet)
        trees = TreeSupply(
            store=user_store(environ),
            environ=environ,
            runner=Processes(),
            say=reporter.note,
            offline=bool(options.offline),
            refresh=refresh,
        )
        project = load_project(
            Path(options.targets or TARGETS),
            Path(options.source) if options.source else None,
            assignments=options.set or (),
            environ=environ,
            obtain=trees.obtain,
        )
        if is_first and (unread := unread_names(environ)):
            reporter.warn(unread)
        if trees.pin is not None:
            # What is fetched now counts, though the lock may still name another commit.
            project = replace(project, lock=msgspec.structs.replace(project.lock, source=trees.pin))
        shop = cls(options, environ, project, reporter, answers or Answers())
        shop.source_pin = trees.pin
        return shop

    @cached_property
    def shown(self) -> Reporter:
        """Takes what a task was asked to show: standard output, so that it can be piped."""
        return choose_reporter(self.environ, quiet=False, stream=sys.stdout)

    @cached_property
    def host(self) -> Platform:
        """The platform this runs on."""
        return Platform.host()

    @cached_property
    def available_memory(self) -> int:
        """The bytes of memory that this run may take, as things stand now."""
        return available_memory()

    @cached_property
    def os_release(self) -> dict[str, str]:
        """What os-release(5) says of this machine; empty on macOS."""
        try:
            return platform.freedesktop_os_release()
        except OSError:
            return {}

    @cached_property
    def git(self) -> GitFacts:
        """What git says of the source tree; asking starts git."""
        if self._is_unpacked:
            return GitFacts()
        stamp = self._commit_stamp
        known = self.book.commit(stamp)
        found = read_git(self.project.source, known)
        # Without a commit, git may be what is missing, and that can be mended.
        if stamp and known is None and found.revision != UNKNOWN:
            self.book.note_commit(stamp, found)
        return found

    @cached_property
    def commit(self) -> Commit:
        """What is checked out, as an earlier run found it unless that moved."""
        return self.book.commit(self._commit_stamp) or self.git

    @cached_property
    def _commit_stamp(self) -> str:
        return "" if self._is_unpacked else commit_stamp(self.project.source)

    @property
    def _is_unpacked(self) -> bool:
        """Whether the source is an archive: a repository above the cache is not its own."""
        return self.project.fetched is not None and bool(self.project.fetched.url)

    @property
    def settings(self) -> Settings:
        """Flags, environment and file, decided."""
        return resolve(
            self.project,
            self.options,
            Surroundings(
                environ=self.environ,
                cores=len(os.sched_getaffinity(0))
                if hasattr(os, "sched_getaffinity")
                else os.cpu_count() or 1,
                host=self.host,
                commit=lambda: self.commit,
                local_hub=self.local_hub,
            ),
        )

    @cached_property
    def store(self) -> Store:
        """The user's cache, shared by all projects."""
        return user_store(self.environ)

    @cached_property
    def state(self) -> Path:
        """The directory of records and scratch space."""
        return out_directory(self.project, self.options) / STATE

    @cached_property
    def book(self) -> RecordBook:
        """The records of earlier runs."""
        return RecordBook.open(self.state / "records.json", self.project.targets.name)

    @cached_property
    def hasher(self) -> Hasher:
        """Digests of files, remembered from earlier runs."""
        return Hasher(self.book.files)

    def volatile(self) -> dict[str, str]:
        """Return the values of ``${git...}`` and ``${created}``."""
        from buildkit.oci.image import timestamp  # noqa: PLC0415 - only what runs is stamped

        return {
            "git.revision": self.git.stamped_revision,
            "git.describe": self.git.describe,
            "git.status": self.git.status,
            "created": timestamp(self.epoch()),
        }

    def epoch(self) -> int:
        """Return SOURCE_DATE_EPOCH, or the commit's time, in seconds since 1970.

        Raises:
            UsageError: SOURCE_DATE_EPOCH is no whole number.
        """
        given = self.environ.get("SOURCE_DATE_EPOCH")
        if given is None:
            return self.commit.commit_time
        if not given.isdecimal():
            raise UsageError(
                f"SOURCE_DATE_EPOCH is '{given}'",
                resolution="It is a whole number of seconds since 1970-01-01, see "
                "https://reproducible-builds.org/specs/source-date-epoch/",
            )
        return int(given)


def user_store(environ: Mapping[str, str]) -> Store:
    """Return the cache of a user: where MESHWRIGHT_CACHE says, or the platform's place."""
    chosen = environ.get("MESHWRIGHT_CACHE")
    if chosen:
        return Store(Path(chosen).absolute())
    import platformdirs

    return Store(platformdirs.user_cache_path("meshwright"))
