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
from buildkit.release.dist import BUNDLE, SIGNATURE
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
    known = {file.path: Digest(file.sha256) for file in document.files}
    for name in seal_names(document):
        stem = name.removesuffix(SIGNATURE).removesuffix(BUNDLE)
        digest = known.get(stem) or Digest.of_file(folder / stem)
        if name.endswith(BUNDLE):
            yield name, blob_bundle(signer, digest) + b"\n"
        else:
            yield name, signature_file(signer, digest)


def seal_names(document: ReleaseDocument) -> tuple[str, ...]:
    """Return what the signatures beside the files of a signed release are called."""
    files = [file.path for file in document.files if is_downloaded(file)]
    indexes = (RELEASE_FILE, CHECKSUMS_FILE)
    signed = (f"{name}{SIGNATURE}" for name in (*files, *indexes))
    return (*signed, *(f"{name}{BUNDLE}" for name in indexes))
