"""What a publish moves: the files of a release and its images, as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from buildkit.digest import Digest

Progress = Callable[[str], None]
"""Takes a short text on what moves just now."""


class CargoFile(Struct, frozen=True, kw_only=True):
    """One file of a release; ``size`` is in bytes."""

    name: str
    path: Path
    digest: Digest
    size: int
    is_index: bool = False
    """Others are found by it, so it is written when all of them are there."""


class Cargo(Struct, frozen=True, kw_only=True):
    """A release that exists.

    Attributes:
        version: without a leading ``v``.
        tag: of the commit.
        revision: the commit, 40 hex digits.
        notes: what changed, as Markdown.
        is_prerelease: by semantic versioning.
        digest: of the document that names everything else.
        files: in the order in which they are sent.
        layout: the image layout, None where the release has no images.
        folder: the release.
        epoch: its time, in seconds since 1970.
    """

    version: str
    tag: str
    revision: str
    notes: str
    is_prerelease: bool
    digest: Digest
    files: tuple[CargoFile, ...]
    layout: Path | None
    folder: Path
    epoch: int
