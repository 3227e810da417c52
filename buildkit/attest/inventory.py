"""What a release is made of: the components of its binaries, packages and images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from buildkit.attest import purl
from buildkit.attest.buildinfo import read_build_info
from buildkit.attest.component import Component, Purpose
from buildkit.attest.contents import ImageContents, Program
from buildkit.attest.programs import go_program, unknown_program
from buildkit.digest import Digest
from buildkit.platform import Platform
from buildkit.reference import Reference


class Inventory(Struct, frozen=True, kw_only=True):
    """Describes what was made.

    Attributes:
        project: the project's name.
        version: the release's.
        license: the project's, an SPDX expression, or empty.
        own: the names of compiled binaries by digest; other Go programs keep the
            version that their linker knew.
        fetched: the components of fetched binaries by digest.
    """

    project: str
    version: str
    license: str = ""
    own: Mapping[Digest, str] = field(default_factory=dict)
    fetched: Mapping[Digest, Component] = field(default_factory=dict)

    def binary(self, path: Path, name: str = "", digest: Digest | None = None) -> Component:
        """Return the component of a binary that lies in ``out/`` or an archive.

        Args:
            path: where it lies.
            name: what it is called there, if not by its file's name.
            digest: its digest, where that is known.

        Raises:
            OSError: it cannot be read.
        """
        program = Program(digest=digest or Digest.of_file(path), info=read_build_info(path))
        place = name or path.name
        found = self.program(place, program)
        return found or unknown_program(name=path.name, digest=program.digest, file=place)

    def program(self, path: str, program: Program) -> Component | None:
        """Return the component of an executable at a path; None where nothing is known of it."""
        known = self.fetched.get(program.digest)
        if known is not None:
            return replace(known, file=path)
        if program.info is None:
            return None
        own = self.own.get(program.digest)
        return go_program(
            program.info,
            name=own or path.rpartition("/")[2],
            digest=program.digest,
            file=path,
            version=self.version if own else "",
            license_expression=self.license if own else "",
        )

    def image(
        self,
        reference: Reference,
        manifest: Digest,
        platform: Platform,
        contents: ImageContents,
        more: Iterable[Component] = (),
    ) -> Component:
        """Return the component of one platform's image.

        Args:
            reference: what it is called.
            manifest: its digest.
            platform: what it is for.
            contents: what was found in its layers.
            more: what else is known to be in it, such as certificates.
        """
        url = purl.image(reference.name, manifest, arch=platform.arch, tag=reference.tag or "")
        return Component(
            name=reference.repository.rpartition("/")[2],
            purpose=Purpose.CONTAINER,
            version=self.version,
            purl=url,
            digest=manifest,
            license=self.license,
            source=f"the image for {platform}",
            comment=contents.gap,
            contains=(*contents.components(self.program), *more),
        )

    def package(
        self,
        path: Path,
        contains: Iterable[Component],
        *,
        kind: str,
        name: str,
        version: str,
        arch: str,
    ) -> Component:
        """Return the component of a package file.

        Args:
            path: the file.
            contains: what it brings.
            kind: ``deb`` or ``rpm``.
            name: the package's.
            version: as the package has it.
            arch: as the package's format spells it.
        """
        qualifiers = {"arch": arch}
        full = f"{self.project.lower()}/{name}"
        return Component(
            name=name,
            purpose=Purpose.ARCHIVE,
            version=version,
            purl=purl.package_url(kind, full, version, qualifiers=qualifiers),
            digest=Digest.of_file(path),
            file=path.name,
            license=self.license,
            contains=tuple(contains),
        )


def python_data(name: str, version: str, what: str) -> Component:
    """Return the component of data that came from a Python package, such as certificates."""
    return Component(
        name=name,
        purpose=Purpose.LIBRARY,
        version=version,
        purl=purl.package_url("pypi", name, version),
        source=what,
    )
