"""What a release says of itself: SBOMs, provenance, and signatures to attach to its images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from buildkit.attest.keeping import ImageProofs
from buildkit.attest.statement import SPDX, Statement, Subject
from buildkit.digest import Digest
from buildkit.oci.layout import Layout
from buildkit.oci.model import Descriptor
from buildkit.pipeline.proofs import Products, Proofs
from buildkit.pipeline.release_pieces import Made
from buildkit.pipeline.signing import Signing
from buildkit.plan.units import Unit, WriteLayout
from buildkit.platform import Platform
from buildkit.reference import Reference
from buildkit.release.assemble import DOCUMENT, Piece
from buildkit.release.documents import LAYOUT_FOLDER, FileEntry, ImageEntry
from buildkit.release.layout import platform_manifests
from buildkit.release.proofs import ENVELOPE, PROVENANCE, SBOM, sbom_path


class Manifest(Struct, frozen=True, kw_only=True):
    """One platform of an image in the release's layout, and its SBOM."""

    unit: str
    reference: Reference
    digest: Digest
    platform: Platform
    sbom: bytes

    @property
    def path(self) -> str:
        """Where the SBOM lies."""
        return sbom_path(self.unit)

    @property
    def statement(self) -> Statement:
        """The SBOM, said about the manifest."""
        subject = Subject(name=self.reference.name, digest=self.digest)
        return Statement.of([subject], SPDX, msgspec.json.decode(self.sbom))


class ReleaseProofs(Struct, frozen=True, kw_only=True):
    """Describes a release whose files and images are written.

    Attributes:
        made: what it was made of.
        folder: where it is written.
        proofs: writes SBOMs and provenance.
    """

    made: Made
    folder: Path
    proofs: Proofs

    @classmethod
    def of(cls, made: Made, folder: Path) -> ReleaseProofs:
        """Describe what a release was made of."""
        products = Products(
            units={unit.id: unit for unit in made.planned.graph.units},
            artifacts={name: artifact for name, (_, artifact) in made.units.items()},
        )
        return cls(made=made, folder=folder, proofs=Proofs(made.shop, products))

    def sboms(self, manifests: Iterable[Manifest]) -> Iterator[Piece]:
        """Yield the SBOM of every binary, package and platform's image."""
        for unit, data in self.proofs.binary_sboms():
            yield _piece(unit, data)
        for unit, data in self.proofs.package_sboms():
            yield _piece(unit, data)
        for item in manifests:
            yield _bytes(item.path, SBOM, item.sbom, str(item.platform))

    def manifests(self) -> Iterator[Manifest]:
        """Yield every platform of every image, looked through where it lies in the layout."""
        actions = [
            unit.action
            for unit, _ in self.made.units.values()
            if isinstance(unit.action, WriteLayout)
        ]
        layout = Layout.open(self.folder / LAYOUT_FOLDER) if actions else None
        for action in actions:
            entry = layout.find(action.references[0]) if layout else None
            if layout is not None and entry is not None:
                units = {Platform.parse(unit.partition("@")[2]): unit for unit in action.images}
                for item in platform_manifests(layout, entry):
                    yield self._manifest(layout, item, action, units)

    def _manifest(
        self, layout: Layout, item: Descriptor, action: WriteLayout, units: dict[Platform, str]
    ) -> Manifest:
        platform = item.platform or next(iter(units))
        reference = Reference.parse(action.references[0])
        return Manifest(
            unit=units[platform],
            reference=reference,
            digest=item.digest,
            platform=platform,
            sbom=self.proofs.image_sbom(units[platform], reference, layout.image(item)),
        )

    def provenance(self, files: Sequence[FileEntry], images: Iterable[ImageEntry]) -> Statement:
        """Return the provenance of every file and image."""
        subjects = (*release_subjects(files, images), *self._loose(files))
        return self.proofs.provenance(dict.fromkeys(subjects))

    def _loose(self, files: Iterable[FileEntry]) -> Iterator[Subject]:
        """Yield the binaries: those in archives are asked for after they were unpacked."""
        taken = {Digest(file.sha256) for file in files}
        for subject in self.proofs.binary_subjects():
            if subject.digest not in taken:
                yield subject


def release_subjects(files: Iterable[FileEntry], images: Iterable[ImageEntry]) -> Iterator[Subject]:
    """Yield what a release is: its files, its images, and the platforms of those."""
    for file in files:
        yield Subject(name=file.path, digest=Digest(file.sha256))
    for image in images:
        name = Reference.parse(image.reference).name
        for digest in {image.digest, *image.platforms.values()}:
            yield Subject(name=name, digest=Digest.parse(digest))


def proof_pieces(
    signing: Signing | None,
    provenance: Statement,
    images: Iterable[ImageEntry],
    manifests: Iterable[Manifest],
) -> Iterator[Piece]:
    """Yield the provenance; and signed, what is to be attached to the images.

    Raises:
        SigningError: it cannot be signed.
    """
    if signing is None:
        yield _bytes(PROVENANCE, DOCUMENT, provenance.data + b"\n")
        return
    yield _bytes(ENVELOPE, DOCUMENT, provenance.signed(signing.signer).data + b"\n")
    signed = ImageProofs(signer=signing.signer, legacy_tags=signing.legacy_tags)
    sboms = {item.digest: item.statement for item in manifests}
    found: dict[str, bytes] = {}
    for image in images:
        found |= signed.about_all(provenance)
        name = Reference.parse(image.reference).name
        for digest in map(Digest.parse, {image.digest, *image.platforms.values()}):
            found |= signed.about(name, digest, sboms.get(digest))
    for name, data in sorted(found.items()):
        yield _bytes(name, DOCUMENT, data)


def kept_manifests(folder: Path, images: Iterable[ImageEntry]) -> Iterator[Manifest]:
    """Yield the platforms of images whose SBOMs lie in a release already."""
    for image in images:
        for name, digest in image.platforms.items():
            found = Manifest(
                unit=f"image/{image.unit}@{name}",
                reference=Reference.parse(image.reference),
                digest=Digest.parse(digest),
                platform=Platform.parse(name),
                sbom=b"",
            )
            if (path := folder / found.path).is_file():
                yield replace(found, sbom=path.read_bytes())


def _piece(unit: Unit, data: bytes) -> Piece:
    return _bytes(sbom_path(unit.id), SBOM, data, str(unit.platform))


def _bytes(path: str, kind: str, data: bytes, platform: str = "") -> Piece:
    return Piece(path=path, type=kind, write=partial(_write, data), platform=platform)


def _write(data: bytes, target: Path) -> None:
    target.write_bytes(data)
