"""What software is made of, as a tree of values; formats of SBOMs are written from it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from buildkit.digest import Digest


class Purpose(StrEnum):
    """What a component is, in SPDX's words."""

    APPLICATION = "APPLICATION"
    LIBRARY = "LIBRARY"
    CONTAINER = "CONTAINER"
    ARCHIVE = "ARCHIVE"


class Component(Struct, frozen=True, kw_only=True):
    """A program, a module, a package or an image.

    Attributes:
        name: as its makers call it.
        purpose: what it is.
        version: empty where it has none.
        purl: its package URL.
        digest: of the file that it is.
        file: that file's name, or its place in an image.
        license: an SPDX expression as its makers declare it; empty where unknown.
        supplier: who made it, ``Organization: Debian``; empty where unknown.
        source: where it came from, in words.
        comment: anything else for a reader.
        contains: what lies in it as it is.
        depends: what was made a part of it, or what it needs.
    """

    name: str
    purpose: Purpose
    version: str = ""
    purl: str = ""
    digest: Digest | None = None
    file: str = ""
    license: str = ""
    supplier: str = ""
    source: str = ""
    comment: str = ""
    contains: tuple[Component, ...] = ()
    depends: tuple[Component, ...] = ()

    @property
    def everything(self) -> Iterator[Component]:
        """Itself and all below it, each as often as it occurs."""
        yield self
        for part in (*self.contains, *self.depends):
            yield from part.everything
