"""A GitHub release as a destination: a draft, its files, and only then the release."""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct, field
from msgspec.structs import replace

from buildkit.digest import Digest
from buildkit.errors import PublishError
from buildkit.publish.cargo import Cargo, CargoFile, Progress
from buildkit.publish.destination import Item, State
from buildkit.publish.files import FileDestination, Found
from buildkit.publish.github_api import Asset, GitHub, Release
from buildkit.publish.journal import Journal

_UPLOADED = "uploaded"
_TRIES = 4


def asset_name(name: str) -> str:
    """Return what GitHub calls a file: other characters than these become a dot."""
    return re.sub(r"[^A-Za-z0-9._+-]", ".", name)


class ReleaseAssets(Struct, kw_only=True):
    """The files of one release as a shelf; knows what is there after it has asked once."""

    github: GitHub
    tag: str
    release: Release | None = None
    _assets: dict[str, Asset] | None = None

    def place(self, name: str) -> str:
        """Return the address that people download a file from."""
        return f"{self.github.repository} {self.tag}: {asset_name(name)}"

    def look(self, name: str) -> Found | None:
        """Tell what GitHub has of a file."""
        asset = self._known().get(asset_name(name))
        if asset is None:
            return None
        return Found(
            size=asset.size,
            mark=f"{asset.id}-{asset.updated_at}",
            digest=Digest.parse(asset.digest) if asset.digest else None,
            is_whole=asset.state == _UPLOADED,
        )

    def put(self, file: CargoFile, *, replace: bool) -> None:
        """Send a file; what an upload that broke off has left is removed first.

        Raises:
            PublishError: GitHub refuses or fails.
        """
        if self.release is None:
            raise PublishError(f"there is no release of {self.tag} to add {file.name} to")
        name = asset_name(file.name)
        for attempt in range(_TRIES):
            there = self._known().get(name)
            if there and (replace or there.state != _UPLOADED):
                self.github.remove(there)
                there = None
            if there is None and self.github.upload(self.release, file, name):
                self.forget()
                return
            self.forget()
            found = self.look(file.name)
            if found and found.is_whole:
                # It arrived although the answer did not, or is somebody else's: it is read back.
                return
            self.github.pool.wait(attempt)
        raise PublishError(
            f"{file.name} could not be sent to {self.github.repository}",
            details=f"{_TRIES} uploads broke off.",
            resolution="Run it again: what has arrived is not sent again.",
        )

    def digest(self, name: str) -> Digest:
        """Read a file back."""
        state = hashlib.sha256()
        for block in self.github.download(self._known()[asset_name(name)]):
            state.update(block)
        return Digest(state.hexdigest())

    def forget(self) -> None:
        """Ask again what is there, at the next look."""
        self._assets = None

    def _known(self) -> dict[str, Asset]:
        if self._assets is None:
            found = self.github.assets(self.release) if self.release else ()
            self._assets = {asset.name: asset for asset in found}
        return self._assets


class GitHubRelease(Struct, frozen=True, kw_only=True):
    """A :class:`~buildkit.publish.destination.Destination` on GitHub.

    Attributes:
        name: in ``[publish]``.
        cargo: the release.
        github: the repository.
        journal: what it got already.
        keep_draft: leave publishing to a person.
    """

    name: str
    cargo: Cargo
    github: GitHub
    journal: Journal
    keep_draft: bool = False
    _shelf: list[ReleaseAssets] = field(default_factory=list)

    def survey(self) -> tuple[Item, ...]:
        """Tell what the release has; a tag that names another commit is different.

        Raises:
            PublishError: GitHub refuses or fails, or would call two files the same.
        """
        _refuse_twins(self.cargo.files)
        release = self.github.find(self.cargo.tag)
        self._shelf[:] = [ReleaseAssets(github=self.github, tag=self.cargo.tag, release=release)]
        return (self._tag(), self._release(release), *self._files().survey())

    def stage(self, progress: Progress) -> None:
        """Make the draft if there is none, and add the files."""
        shelf = self._shelf[0]
        if shelf.release is None:
            progress(f"draft of {self.cargo.tag}")
            shelf.release = self.github.create(
                self.cargo.tag,
                {
                    "target_commitish": self.cargo.revision,
                    "name": self.cargo.tag,
                    "body": self.cargo.notes,
                    "prerelease": self.cargo.is_prerelease,
                },
            )
        files = self._files()
        files.stage(progress)
        # Nobody sees a draft, so its indexes need not wait.
        files.reveal(progress)

    def reveal(self, progress: Progress) -> tuple[Item, ...]:
        """Publish the draft."""
        shelf = self._shelf[0]
        if shelf.release and shelf.release.draft and not self.keep_draft:
            progress(f"release {self.cargo.tag}")
            shelf.release = self.github.update(shelf.release, {"draft": False})
        shelf.forget()
        released = replace(self._release(shelf.release), state=State.SAME)
        return (released, *self._files().survey())

    def _files(self) -> FileDestination:
        return FileDestination(
            name=self.name, files=self.cargo.files, shelf=self._shelf[0], journal=self.journal
        )

    def _tag(self) -> Item:
        there = self.github.commit_of(self.cargo.tag)
        state = State.NEW if there is None else State.SAME
        if there not in {None, self.cargo.revision}:
            state = State.DIFFERENT
        return Item(
            name=f"tag {self.cargo.tag} of {self.cargo.revision}",
            place=f"{self.github.repository}, tag {self.cargo.tag}",
            state=state,
            found=f"commit {there}" if there else "",
        )

    def _release(self, release: Release | None) -> Item:
        state = State.NEW if release is None else State.SAME
        return Item(
            name=f"release {self.cargo.tag}",
            place=release.html_url if release else f"{self.github.repository} {self.cargo.tag}",
            state=State.UNFINISHED if release and release.draft else state,
        )


def _refuse_twins(files: tuple[CargoFile, ...]) -> None:
    names: dict[str, str] = {}
    for file in files:
        other = names.setdefault(asset_name(file.name), file.name)
        if other != file.name:
            raise PublishError(
                f"GitHub would call {other} and {file.name} the same",
                resolution="Rename one of them in [release].",
            )
