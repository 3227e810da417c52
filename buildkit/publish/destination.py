"""What every destination of a release can do, and the order in which all of them do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from buildkit.digest import Digest
from buildkit.errors import PublishError
from buildkit.publish.cargo import Progress


class State(StrEnum):
    """What a destination has of a thing before it is sent."""

    NEW = "new"
    SAME = "same"
    UNFINISHED = "unfinished"
    """This tool began to write it and was ended; it is written again."""
    DIFFERENT = "different"
    """Somebody else's, or changed since; it is never touched."""


class Item(Struct, frozen=True, kw_only=True):
    """A file, a tag or a GitHub release at a destination, and what is to become of it."""

    name: str
    place: str
    state: State
    digest: Digest | None = None
    size: int = 0
    found: str = ""
    """What is there instead, where it is different."""


class Destination(Protocol):
    """A place that a release is moved to; a rerun goes on where the last one ended."""

    @property
    def name(self) -> str:
        """Its name in ``[publish]``."""

    def survey(self) -> tuple[Item, ...]:
        """Tell what is there of everything; nothing is written.

        Raises:
            PublishError: it cannot be asked.
        """

    def stage(self, progress: Progress) -> None:
        """Send what is missing, so that nobody finds it yet.

        Raises:
            PublishError: it refused or failed; what arrived stays and is not sent again.
        """

    def reveal(self, progress: Progress) -> tuple[Item, ...]:
        """Let people find what was sent, read back; returns what is there now.

        Raises:
            PublishError: it refused or failed, or has something else.
        """


class Published(Struct, frozen=True, kw_only=True):
    """What a destination had before, and has now; the latter is empty after a dry run."""

    destination: str
    before: tuple[Item, ...]
    after: tuple[Item, ...] = ()


def publish(
    destinations: Sequence[Destination],
    progress: Callable[[str, str], None],
    *,
    dry_run: bool = False,
) -> tuple[Published, ...]:
    """Move a release to all its destinations, visible nowhere before it is whole everywhere.

    Args:
        destinations: where to.
        progress: takes the name of a destination and a short text.
        dry_run: ask, and write nothing.

    Raises:
        PublishError, RegistryError: one failed, refused, or has something else under a
            name of this release; then nothing was written anywhere in this run.
    """
    before = [(place, place.survey()) for place in destinations]
    _refuse_different(item for _, items in before for item in items)
    if dry_run:
        return tuple(Published(destination=place.name, before=items) for place, items in before)
    for place in destinations:
        place.stage(_under(place.name, progress))
    return tuple(
        Published(
            destination=place.name,
            before=items,
            after=place.reveal(_under(place.name, progress)),
        )
        for place, items in before
    )


def _under(name: str, progress: Callable[[str, str], None]) -> Progress:
    def told(text: str) -> None:
        progress(name, text)

    return told


def _refuse_different(items: Iterable[Item]) -> None:
    taken = [
        f"{item.place}: there is {item.found or 'something else'}, "
        f"the release has {item.digest or item.name}"
        for item in items
        if item.state is State.DIFFERENT
    ]
    if taken:
        several = "things are" if len(taken) > 1 else "thing is"
        raise PublishError(
            f"{len(taken)} {several} published already, and different",
            details="\n".join(taken),
            resolution="What was published is never changed: release another version, or remove "
            "those by hand if they were a mistake.",
        )
