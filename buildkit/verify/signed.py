"""Checks of what was signed: files of a release, its provenance, images in a registry.

They need the signer's public key and nothing that the release says of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from buildkit.attest.bundle import check_blob_bundle, check_signature_file
from buildkit.attest.dsse import open_envelope
from buildkit.attest.images import verified_statements
from buildkit.attest.signer import Verifier
from buildkit.attest.statement import SLSA, SPDX, read_statement
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.oci.model import INDEXES
from buildkit.reference import Reference
from buildkit.registry.client import RegistryClient
from buildkit.registry.originals import Original
from buildkit.release.dist import BUNDLE, SIGNATURE, SIGNATURES
from buildkit.release.documents import CHECKSUMS_FILE, RELEASE_FILE, ReleaseDocument
from buildkit.release.proofs import ENVELOPE, SBOM, is_downloaded
from buildkit.verify.check import Check, compare
from buildkit.verify.file import ReleasedFile


class Trust(Struct, frozen=True, kw_only=True):
    """Who is believed, and what a provenance has to say; what is empty is told, not compared."""

    verifier: Verifier
    source: str = ""
    builder: str = ""

    @property
    def expects(self) -> bool:
        """Whether a provenance has to be there, and to say something."""
        return bool(self.source or self.builder)


def check_signatures(folder: Path, document: ReleaseDocument, trust: Trust) -> Iterator[Check]:
    """Check every signature of a release, and that its provenance is about what is in it."""
    names = [file.path for file in document.files if is_downloaded(file)]
    for name in (RELEASE_FILE, CHECKSUMS_FILE, *names):
        yield check_signature(folder / name, trust.verifier)
    for name in (RELEASE_FILE, CHECKSUMS_FILE):
        yield check_signature(folder / name, trust.verifier, BUNDLE)
    yield from _release_provenance(folder, document, trust)


def signed_path(path: Path) -> Path:
    """Return what a signature is of; another file is its own."""
    suffix = next((text for text in SIGNATURES if path.name.endswith(text)), "")
    return path.with_name(path.name.removesuffix(suffix))


def check_signed_file(path: Path, file: ReleasedFile | None, trust: Trust) -> Iterator[Check]:
    """Check what is signed of one file: itself, or what names it; and its provenance.

    Every signature that is there has to be right, and one has to be there.

    Args:
        path: the file.
        file: its release; None where nothing names it.
        trust: who is believed.
    """
    signed = {path.absolute(): None, **({file.root / file.index: None} if file else {})}
    found = [
        check_signature(one, trust.verifier, suffix)
        for one in signed
        for suffix in SIGNATURES
        if one.with_name(f"{one.name}{suffix}").is_file()
    ]
    if not found:
        names = " or ".join(f"{one.name}{SIGNATURE}" for one in signed)
        problem = f"there is no {names}"
        found = [Check(subject=path.name, compared="its signature by this key", problem=problem)]
    yield from found
    if file is not None and ((file.root / ENVELOPE).is_file() or trust.expects):
        yield from _file_provenance(file, trust)
    elif trust.expects:
        yield Check(subject=path.name, compared="its provenance", problem="there is none")


def check_signature(path: Path, verifier: Verifier, suffix: str = SIGNATURE) -> Check:
    """Check the ``.sig`` file beside a file, or its bundle."""
    compared = f"its signature by this key, in {suffix}"
    check = check_signature_file if suffix == SIGNATURE else check_blob_bundle
    try:
        data = path.with_name(f"{path.name}{suffix}").read_bytes()
        check(data, Digest.of_file(path), verifier, path.name)
    except OSError:
        return Check(subject=path.name, compared=compared, problem="there is none")
    except VerificationError as error:
        return Check(subject=path.name, compared=compared, problem=error.brief)
    return Check(subject=path.name, compared=compared)


def check_signed_image(
    client: RegistryClient, image: Reference, original: Original, trust: Trust
) -> Iterator[Check]:
    """Check signatures, provenance and SBOMs of an image's index and of each platform.

    Raises:
        RegistryError: the registry fails.
    """
    for document in reversed(original.documents):
        subject = document.descriptor
        name = f"{image.repository}@{subject.digest.short}"
        compared = "its signature by this key"
        try:
            said = verified_statements(client, image, subject.digest, trust.verifier)
        except VerificationError as error:
            yield Check(subject=name, compared=compared, problem=error.brief)
            continue
        yield Check(subject=name, compared=compared)
        by_type = {item["predicateType"]: item for item in said}
        yield from check_provenance(name, by_type.get(SLSA), trust)
        if subject.media_type not in INDEXES:
            yield check_sbom(name, by_type.get(SPDX), subject.digest)


def check_provenance(
    name: str, statement: Mapping[str, Any] | None, trust: Trust, version: str = ""
) -> Iterator[Check]:
    """Compare what a verified provenance says with what is expected."""
    if statement is None:
        yield Check(subject=name, compared="its provenance", problem="there is none by this key")
        return
    try:
        predicate = statement["predicate"]
        parameters = predicate["buildDefinition"]["externalParameters"]
        commits = _commits(statement)
        found = {
            "source": (parameters.get("source", ""), trust.source),
            "version": (parameters.get("version", ""), version),
            "builder": (predicate["runDetails"]["builder"]["id"], trust.builder),
        }
    except (KeyError, TypeError, AttributeError):
        problem = "it is no SLSA provenance of version 1"
        yield Check(subject=name, compared="its provenance", problem=problem)
        return
    yield Check(subject=name, compared=f"its provenance: commit {', '.join(commits) or 'unknown'}")
    for key, (told, wanted) in found.items():
        what = f"its provenance: {key}"
        if wanted:
            yield compare(name, what, told, wanted)
        else:
            yield Check(subject=name, compared=f"{what} is {told or 'not told'}")


def _commits(statement: Mapping[str, Any]) -> list[str]:
    return [
        item["digest"]["gitCommit"]
        for item in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        if "gitCommit" in item.get("digest", {})
    ]


def check_sbom(name: str, statement: Mapping[str, Any] | None, digest: Digest) -> Check:
    """Tell whether there is a verified SBOM in which a manifest is described."""
    compared = "its SBOM"
    if statement is None:
        return Check(subject=name, compared=compared, problem="there is none by this key")
    try:
        packages = statement["predicate"]["packages"]
        sums = {item["checksumValue"] for part in packages for item in part.get("checksums", ())}
    except (KeyError, TypeError, AttributeError):
        return Check(subject=name, compared=compared, problem="it is no SPDX document")
    problem = "" if digest.hex in sums else f"it does not describe {digest}"
    return Check(subject=name, compared=f"{compared}: {len(packages)} packages", problem=problem)


def _subjects(document: ReleaseDocument) -> Iterator[tuple[str, str]]:
    """Yield name and digest of what a release's provenance has to be about."""
    for file in document.files:
        if is_downloaded(file) or file.type == SBOM:
            yield file.path, file.sha256
    for image in document.images:
        for digest in {image.digest, *image.platforms.values()}:
            yield Reference.parse(image.reference).name, digest.removeprefix("sha256:")


def _statement(folder: Path, trust: Trust) -> tuple[dict[str, Any], frozenset[tuple[str, str]]]:
    """Return the verified provenance of a release, and name and sha256 of what it is about.

    Raises:
        VerificationError: it is missing, damaged, or of another key.
    """
    try:
        data = (folder / ENVELOPE).read_bytes()
        statement = read_statement(open_envelope(data, trust.verifier, ENVELOPE), ENVELOPE)
        subjects = (
            (item.get("name"), item["digest"].get("sha256")) for item in statement["subject"]
        )
        return statement, frozenset(subjects)
    except OSError as error:
        raise VerificationError("it is missing") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise VerificationError(f"it is no provenance: {error}") from error


def _file_provenance(file: ReleasedFile, trust: Trust) -> Iterator[Check]:
    """Check a release's provenance as far as it is about one file of it."""
    try:
        statement, subjects = _statement(file.root, trust)
    except VerificationError as error:
        yield Check(subject=ENVELOPE, compared="its signature", problem=str(error))
        return
    yield Check(subject=ENVELOPE, compared="its signature by this key")
    own = file.entry.path if file.entry else file.name
    digests = [digest for name, digest in subjects if name == own]
    if not digests and not trust.expects:
        # It is about what is made and shipped, not about the documents that say so.
        return
    what = f"it is about {file.name}"
    found = Digest.of_file(file.path).hex
    yield compare(ENVELOPE, what, found, ", ".join(digests) or "a file that it names")
    version = file.document.version if file.document else ""
    yield from check_provenance(ENVELOPE, statement, trust, version)


def _release_provenance(folder: Path, document: ReleaseDocument, trust: Trust) -> Iterator[Check]:
    try:
        statement, named = _statement(folder, trust)
    except VerificationError as error:
        yield Check(subject=ENVELOPE, compared="its signature", problem=str(error))
        return
    yield Check(subject=ENVELOPE, compared="its signature by this key")
    subjects = frozenset(_subjects(document))
    yield Check(
        subject=ENVELOPE,
        compared=f"it is about {len(subjects)} files and images",
        problem=", ".join(sorted({name for name, _ in subjects - named})),
    )
    yield from check_provenance(ENVELOPE, statement, trust, document.version)
    commits = _commits(statement)
    if not document.source.dirty and commits:
        revision = document.source.revision
        yield compare(ENVELOPE, "the commit", ", ".join(commits), revision)
