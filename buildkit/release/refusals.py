"""What a release must not be made of; pure, so that each refusal has its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from msgspec import Struct

from buildkit.errors import UsageError
from buildkit.release.version import is_prerelease, is_version
from buildkit.vcs import UNKNOWN

_NAMED = 5
_LICENSE = (
    "Commit a LICENSE in the source or beside targets.toml, or let release.license name it; "
    "release.license = false is for a project without one."
)


class Terms(Struct, frozen=True, kw_only=True):
    """What is known before anything is made.

    Attributes:
        version: without a leading ``v``.
        origin: who named the version.
        is_named: it was named for this call, and is not what the tree happens to be.
        snapshot: it is for trying, not for others.
        revision: the commit, ``unknown`` outside git.
        dirty: a tracked file differs from it.
        tags: of the commit.
        tagged: the commit that a tag of this version names; empty where there is no such tag.
        commit_time: in seconds since 1970.
        epoch: the time that everything of the release gets.
        now: the clock, in seconds since 1970.
        local_file: the name of a local configuration that is in force; empty where none is.
        unlocked: fetched files that no lock pins.
        assigned: what ``--set`` gave.
        untracked: files of the source that git neither knows nor ignores.
        changed_files: of the configuration's own tree, where that is another one.
        license: the project's license file, relative to the source if it lies there; empty
            where there is none, None where there need not be one.
    """

    version: str
    origin: str
    is_named: bool
    snapshot: bool
    revision: str
    dirty: bool
    tags: tuple[str, ...]
    tagged: str
    commit_time: int
    epoch: int
    now: float
    local_file: str = ""
    unlocked: tuple[str, ...] = ()
    assigned: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    changed_files: tuple[str, ...] = ()
    license: str | None = None

    @property
    def tag(self) -> str:
        """The tag of this version: the commit's own, or the one that is still to be made."""
        names = (f"v{self.version}", self.version)
        return next((name for name in names if name in self.tags), names[0])


def check_terms(terms: Terms) -> None:
    """Refuse what cannot be a release; a snapshot may be nearly anything.

    Raises:
        UsageError: something is wrong; all of it is named.
    """
    found = tuple(_always(terms)) + (() if terms.snapshot else tuple(_unless_snapshot(terms)))
    if not found:
        return
    first, *others = found
    raise UsageError(
        first[0],
        details="\n".join(f"and {what}" for what, _ in others),
        resolution="\n".join(dict.fromkeys(how for _, how in found)),
    )


def check_used(terms: Terms, used: Callable[[str], bool]) -> None:
    """Refuse a release made of files that nobody else has.

    Args:
        terms: names the files that are in no commit.
        used: tells whether the release was made of one.

    Raises:
        UsageError: it was, and is no snapshot.
    """
    found = tuple(name for name in terms.untracked if used(name))
    if found and not terms.snapshot:
        raise UsageError(
            f"{_some(found)} in the release, but in no commit",
            details="Nobody else could make the same from the commit.",
            resolution="Commit or remove what it is made of, or say --snapshot, for a release "
            "to try.",
        )


def check_bases(terms: Terms, open_bases: tuple[str, ...]) -> None:
    """Refuse a release that is based on whatever an archive has today.

    Args:
        terms: tell whether it is a snapshot.
        open_bases: the bases of the release whose packages nothing pins.

    Raises:
        UsageError: there are such, and it is no snapshot.
    """
    if open_bases and not terms.snapshot:
        are = "s {} have" if len(open_bases) > 1 else " {} has"
        places = ", ".join(f"bases.{name}.archive" for name in open_bases)
        raise UsageError(
            f"the base{are.format(', '.join(open_bases))} whatever packages there are today",
            details="Nobody could make the same from the commit tomorrow.",
            resolution=f"Let {places} name an archive as it was on one day, or say --snapshot, "
            "for a release to try.",
        )


def _always(terms: Terms) -> Iterator[tuple[str, str]]:
    if terms.commit_time > terms.now:
        yield (
            f"the clock is wrong: the commit is of {_minute(terms.commit_time)}, which is to come",
            "Set this machine's clock.",
        )
    elif terms.epoch > terms.now:
        yield (
            f"SOURCE_DATE_EPOCH is {_minute(terms.epoch)}, which is to come",
            "Leave it out, and the commit's time holds; or set this machine's clock.",
        )
    if terms.local_file:
        yield (
            f"{terms.local_file} is in force, so this machine's build is its own",
            f"Move {terms.local_file} away; what a release needs stands in targets.toml.",
        )


def _unless_snapshot(terms: Terms) -> Iterator[tuple[str, str]]:
    snapshot = "Or say --snapshot, for a release to try."
    if terms.revision == UNKNOWN:
        yield "the source is in no git commit", f"Commit it. {snapshot}"
        return
    if terms.dirty:
        yield (
            "the tree differs from its commit",
            f"Commit or stash; `git status` lists what differs. {snapshot}",
        )
    if terms.changed_files:
        yield (
            f"beside targets.toml {_some(terms.changed_files)} not as committed",
            f"Commit what a release is configured by. {snapshot}",
        )
    if terms.license is not None and terms.license in {"", *terms.untracked}:
        what = f"{terms.license} is in no commit" if terms.license else "there is none"
        yield f"the project's license file: {what}", f"{_LICENSE} {snapshot}"
    for text in terms.assigned:
        yield f"--set {text} holds for this call alone", f"Write it into targets.toml. {snapshot}"
    if terms.tagged not in {"", terms.revision}:
        yield (
            f"the version {terms.version} is taken: its tag names commit {terms.tagged[:12]}",
            "Release another version.",
        )
    elif not terms.tagged and not terms.is_named:
        # What git describes a commit by is no name for a tag.
        tag = "v1.2.3" if is_prerelease(terms.version) else terms.tag
        named = next(filter(is_version, terms.tags), "1.2.3").removeprefix("v")
        has = f"is tagged {', '.join(terms.tags)}" if terms.tags else "has no tag"
        yield (
            f"the commit {has}, and {terms.version} ({terms.origin}) is not its name",
            f"Tag it: git tag {tag}, or name the version: --version {named}. {snapshot}",
        )
    for name in terms.unlocked:
        yield f"{name} is pinned by no lock", "Leave --envoy out, or pin it: invoke lock."


def _minute(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more are" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + (more or (" is" if len(names) == 1 else " are"))
