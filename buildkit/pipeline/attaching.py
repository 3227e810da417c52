"""Pushed images, and what is said about them, brought together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from buildkit.attest.images import Attested, ImageAttester
from buildkit.attest.statement import SPDX, Statement, Subject
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.images.indexing import index_images, index_of
from buildkit.oci.model import Image, Index
from buildkit.pipeline.makers import Makers
from buildkit.pipeline.proofs import Products
from buildkit.plan.units import PushIndex
from buildkit.platform import Platform
from buildkit.reference import Reference


class Pushed(Struct, frozen=True, kw_only=True):
    """An image that was pushed, as its platforms and their index, under all its names."""

    name: str
    units: tuple[str, ...]
    images: dict[Platform, Image]
    index: Index
    references: tuple[Reference, ...]

    def subjects(self) -> Iterator[Subject]:
        """Yield the index and every manifest, by the name of the first repository."""
        name = self.references[0].name
        yield Subject(name=name, digest=self.index.descriptor.digest)
        for image in self.images.values():
            yield Subject(name=name, digest=image.descriptor.digest)


def pushed_images(makers: Makers, made: Products) -> tuple[Pushed, ...]:
    """Return the images that the run pushed.

    Raises:
        VerificationError: what lies here is not what was pushed.
    """
    found = []
    for unit in made.units.values():
        artifact, action = made.artifacts.get(unit.id), unit.action
        if not isinstance(action, PushIndex) or artifact is None:
            continue
        layers = makers.images.layers
        images = index_images(action.images, made.artifacts, layers, compress=action.compress)
        index = index_of(images)
        if str(index.descriptor.digest) != artifact.digest:
            raise VerificationError(
                f"{unit.id} was pushed as {artifact.digest}, and is {index.descriptor.digest} here",
                resolution="Push it again with `invoke docker --force`.",
            )
        references = tuple(map(Reference.parse, artifact.reference))
        found.append(
            Pushed(
                name=unit.name,
                units=action.images,
                images=images,
                index=index,
                references=references,
            )
        )
    return tuple(found)


def attach(
    attester: ImageAttester, item: Pushed, provenance: Statement, sboms: Mapping[Digest, bytes]
) -> int:
    """Sign an image in each repository that it was pushed to; return how much was attached.

    Args:
        attester: signs and writes.
        item: the image.
        provenance: says how it was made.
        sboms: say what is in it, by the digest of each platform's manifest.

    Raises:
        SigningError, RegistryError: see :meth:`ImageAttester.attest`.
    """
    attested = tuple(_said(item, provenance, sboms))
    repositories = dict.fromkeys(replace(reference, tag="") for reference in item.references)
    return sum(len(attester.attest(repository, attested)) for repository in repositories)


def _said(item: Pushed, provenance: Statement, sboms: Mapping[Digest, bytes]) -> Iterator[Attested]:
    for image in item.images.values():
        digest = image.descriptor.digest
        subject = Subject(name=item.references[0].name, digest=digest)
        sbom = Statement.of([subject], SPDX, msgspec.json.decode(sboms[digest]))
        yield Attested(subject=image.descriptor, statements=(provenance, sbom))
    # Last, since it is what a tag names: where it is signed, all below it is.
    yield Attested(subject=item.index.descriptor, statements=(provenance,))
