"""Signatures beside the files of a release, written when everything else is there.

release.json names every other file by its digest, and checksums.txt names release.json: who
verifies one of the two has verified all. Archives, packages and the source have signatures
of their own, since they are downloaded alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from buildkit.attest.bundle import blob_bundle, signature_file
from buildkit.attest.signer import Signer
from buildkit.digest import Digest
from buildkit.release.documents import CHECKSUMS_FILE, RELEASE_FILE, ReleaseDocument
from buildkit.release.proofs import is_downloaded


def seal(folder: Path, document: ReleaseDocument, signer: Signer) -> None:
    """Write ``.sig`` files, and for release.json and checksums.txt bundles too.

    Raises:
        SigningError: something cannot be signed.
        OSError: a signature cannot be written.
    """
    for name, data in seals(folder, document, signer):
        (folder / name).write_bytes(data)


def seal_differences(folder: Path, document: ReleaseDocument, signer: Signer) -> tuple[str, ...]:
    """Tell which signatures are not those that this signer would write, one line for each.

    Raises:
        SigningError: something cannot be signed.
    """
    found = []
    for name, data in seals(folder, document, signer):
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.read_bytes() != data:
            found.append(f"{name} was changed")
    return tuple(found)


def seals(folder: Path, document: ReleaseDocument, signer: Signer) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every signature beside the files of a release.

    Raises:
        SigningError: something cannot be signed.
    """
    for name, digest in _signed(folder, document):
        yield f"{name}.sig", signature_file(signer, digest)
        if name in {RELEASE_FILE, CHECKSUMS_FILE}:
            yield f"{name}.sigstore.json", blob_bundle(signer, digest) + b"\n"


def _signed(folder: Path, document: ReleaseDocument) -> Iterator[tuple[str, Digest]]:
    for file in document.files:
        if is_downloaded(file):
            yield file.path, Digest(file.sha256)
    for name in (RELEASE_FILE, CHECKSUMS_FILE):
        yield name, Digest.of_file(folder / name)
