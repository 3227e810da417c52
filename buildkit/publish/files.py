"""Files of a release at any place that keeps files by name."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import PublishError
from buildkit.publish.cargo import CargoFile, Progress
from buildkit.publish.destination import Item, State
from buildkit.publish.journal import Journal, Stage


class Found(Struct, frozen=True, kw_only=True):
    """A file that is there.

    Attributes:
        size: in bytes; None where the place does not tell.
        mark: changes whenever the content does, such as an ETag; empty where there is none.
        digest: where the place itself knows it.
        is_whole: whether the place says that it arrived.
    """

    size: int | None
    mark: str = ""
    digest: Digest | None = None
    is_whole: bool = True


class Shelf(Protocol):
    """A place that keeps files by name."""

    def place(self, name: str) -> str:
        """Return where a file is or would be, for people; no secrets."""

    def look(self, name: str) -> Found | None:
        """Tell what is there under a name."""

    def put(self, file: CargoFile, *, replace: bool) -> None:
        """Write a file; with ``replace`` over an unfinished one of ours."""

    def digest(self, name: str) -> Digest:
        """Read a file back."""


class FileDestination(Struct, frozen=True, kw_only=True):
    """A :class:`~buildkit.publish.destination.Destination` that is a shelf.

    What people find others by, checksums first of all, is written last.
    """

    name: str
    files: tuple[CargoFile, ...]
    shelf: Shelf
    journal: Journal

    def survey(self) -> tuple[Item, ...]:
        """Tell what the shelf has of each file."""
        return tuple(self._look(file)[0] for file in self.files)

    def stage(self, progress: Progress) -> None:
        """Write everything but the indexes."""
        self._write([file for file in self.files if not file.is_index], progress)

    def reveal(self, progress: Progress) -> tuple[Item, ...]:
        """Write the indexes."""
        self._write([file for file in self.files if file.is_index], progress)
        return tuple(
            replace(self._item(file, State.SAME), found=str(file.digest)) for file in self.files
        )

    def _write(self, files: list[CargoFile], progress: Progress) -> None:
        for number, file in enumerate(files, start=1):
            item, mark = self._look(file)
            if item.state is State.SAME:
                self.journal.note(file.name, file.digest, Stage.VERIFIED, mark)
                continue
            if item.state is State.DIFFERENT:
                raise PublishError(
                    f"somebody else wrote {item.place} just now",
                    details=f"It is {item.found}, the release has {file.digest}.",
                    resolution="Let one job at a time publish a version.",
                )
            progress(f"{file.name} ({number} of {len(files)})")
            self.journal.note(file.name, file.digest, Stage.PLANNED)
            self.shelf.put(file, replace=item.state is State.UNFINISHED)
            self.journal.note(file.name, file.digest, Stage.UPLOADED)
            self._verify(file)

    def _verify(self, file: CargoFile) -> None:
        found = self.shelf.look(file.name)
        if found is None:
            raise PublishError(
                f"{self.shelf.place(file.name)} is not there after it was written",
                resolution="Look at that place, and run it again.",
            )
        digest = found.digest or self.shelf.digest(file.name)
        if digest != file.digest:
            raise PublishError(
                f"{self.shelf.place(file.name)} is not what was sent",
                details=f"It is {digest}, the release has {file.digest}.",
                resolution="Run it again: what this tool wrote it may replace.",
            )
        self.journal.note(file.name, file.digest, Stage.VERIFIED, found.mark)

    def _look(self, file: CargoFile) -> tuple[Item, str]:
        """Return what is there of a file, and its mark."""
        found = self.shelf.look(file.name)
        if found is None:
            return self._item(file, State.NEW), ""
        event = self.journal.last(file.name, file.digest)
        is_ours = event is not None and event.stage is not Stage.VERIFIED
        if event and not is_ours and found.mark and event.mark == found.mark:
            return self._item(file, State.SAME), found.mark
        if not found.is_whole:
            return self._item(file, State.UNFINISHED), ""
        cut = found.size not in {None, file.size}
        digest = None if cut else found.digest or self.shelf.digest(file.name)
        if digest == file.digest:
            return self._item(file, State.SAME), found.mark
        told = str(digest) if digest else f"a file of {found.size} bytes"
        state = State.UNFINISHED if is_ours else State.DIFFERENT
        return replace(self._item(file, state), found=told), ""

    def _item(self, file: CargoFile, state: State) -> Item:
        return Item(
            name=file.name,
            place=self.shelf.place(file.name),
            state=state,
            digest=file.digest,
            size=file.size,
        )
