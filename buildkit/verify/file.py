"""One file of a release, wherever it lies in it, compared with what the release says of it.

What says it is the release.json in the file's directory or above; where people downloaded
an archive without that, checksums.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, structs

from buildkit.digest import Digest
from buildkit.errors import BuildkitError, VerificationError
from buildkit.oci.layout import BLOBS, Layout
from buildkit.publish.github import asset_name
from buildkit.release.dist import SIGNATURES
from buildkit.release.documents import (
    CHECKSUMS_FILE,
    LAYOUT_FOLDER,
    RELEASE_FILE,
    FileEntry,
    ReleaseDocument,
    decode_release,
    parse_checksums,
)
from buildkit.release.layout import layout_differences
from buildkit.verify.check import Check, compare
from buildkit.verify.release import check_checksums, check_decided, check_file, check_repeated

_INDEXES = (RELEASE_FILE, CHECKSUMS_FILE)


class ReleasedFile(Struct, frozen=True, kw_only=True):
    """A file of a release.

    Attributes:
        root: the release's directory.
        index: the file there that names it: release.json, or checksums.txt.
        name: its path in the release, with slashes.
        document: what release.json says; None where there is none.
    """

    root: Path
    index: str
    name: str
    document: ReleaseDocument | None = None

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.root / self.name

    @property
    def is_first(self) -> bool:
        """Whether nothing else here says what it should be, so that only its signature can."""
        return self.document is None and self.name == self.index

    @property
    def entry(self) -> FileEntry | None:
        """What release.json says of it; GitHub gives all files one directory."""
        files = self.document.files if self.document else ()
        return next((it for it in files if self.name in {it.path, asset_name(it.path)}), None)


def find_release(path: Path) -> ReleasedFile | None:
    """Return what release a file is of: the nearest at or above its directory; None for none.

    Raises:
        VerificationError: its release.json cannot be read.
    """
    for root in path.absolute().parents:
        name = path.absolute().relative_to(root).as_posix()
        if (root / RELEASE_FILE).is_file():
            data = (root / RELEASE_FILE).read_bytes()
            document = decode_release(data, str(root / RELEASE_FILE))
            return ReleasedFile(root=root, index=RELEASE_FILE, name=name, document=document)
        if (root / CHECKSUMS_FILE).is_file():
            return ReleasedFile(root=root, index=CHECKSUMS_FILE, name=name)
    return None


def unnamed(path: Path) -> VerificationError:
    """Return the error for a file of which nothing says what it should be."""
    return VerificationError(
        f"nothing says what {path.name} should be",
        details=f"There is no {RELEASE_FILE} and no {CHECKSUMS_FILE} beside it or above.",
        resolution="Download one of them too, with its signature; or name with --key the public "
        "key of who signed the file itself.",
    )


def check_released_file(file: ReleasedFile) -> Iterator[Check]:
    """Compare a file with what its release says of it; that needs neither key nor network.

    Raises:
        VerificationError: the release does not name it, or a key is needed.
    """
    if file.name.endswith(SIGNATURES):
        raise VerificationError(
            f"{file.name} is a signature, which a key alone can check",
            resolution="Name the signer's public key with --key cosign.pub.",
        )
    document = file.document
    if document is None:
        yield _listed(file)
    elif file.name in _INDEXES:
        yield from _index_checks(file, document)
    elif file.name.startswith(f"{LAYOUT_FOLDER}/") and document.images:
        yield _in_layout(file, document)
    else:
        yield from _entry_checks(file, document)


def _entry_checks(file: ReleasedFile, document: ReleaseDocument) -> Iterator[Check]:
    if (entry := file.entry) is None:
        raise _stranger(file, f"{document.project} {document.version}")
    yield compare(file.name, "sha256", Digest.of_file(file.path).hex, entry.sha256)
    yield from check_repeated(file.root, document, (file.name,))
    yield from check_file(file.root, document, structs.replace(entry, path=file.name))


def _stranger(file: ReleasedFile, release: str) -> VerificationError:
    return VerificationError(
        f"{release} has no file {file.name}",
        details=f"That is what {file.root / file.index} says.",
        resolution="It is of another release, or of none: do not use it as part of this one.",
    )


def _listed(file: ReleasedFile) -> Check:
    """Compare a file with checksums.txt, where that is all there is."""
    if file.is_first:
        raise VerificationError(
            f"nothing but a key says what {CHECKSUMS_FILE} should be",
            details=f"{RELEASE_FILE} is not beside it.",
            resolution="Name the signer's public key with --key cosign.pub, or download "
            f"{RELEASE_FILE} too.",
        )
    sums = parse_checksums((file.root / CHECKSUMS_FILE).read_bytes(), CHECKSUMS_FILE)
    for name, digest in sums.items():
        if file.name in {name, asset_name(name)}:
            what = f"sha256 in {CHECKSUMS_FILE}"
            return compare(file.name, what, Digest.of_file(file.path).hex, digest.hex)
    raise _stranger(file, "this release")


def _index_checks(file: ReleasedFile, document: ReleaseDocument) -> Iterator[Check]:
    if file.name == RELEASE_FILE:
        yield check_decided(document)
    # Whoever has release.json alone can compare it with nothing else.
    if (file.root / CHECKSUMS_FILE).is_file():
        yield check_checksums(file.root, document)


def _in_layout(file: ReleasedFile, document: ReleaseDocument) -> Check:
    """Compare a file of the image layout: a blob with its name, and with the images it is of."""
    inside = file.name.removeprefix(f"{LAYOUT_FOLDER}/")
    folder = file.root / LAYOUT_FOLDER
    if not inside.startswith(f"{BLOBS}/"):
        return _layout_document(file, document)
    try:
        wanted = Digest.parse(f"sha256:{inside.removeprefix(f'{BLOBS}/')}")
        users = _images_with(Layout.open(folder), wanted, document)
    except (BuildkitError, ValueError) as error:
        return Check(subject=file.name, compared="the images it is of", problem=str(error))
    if not users:
        problem = "no image of the release has it"
        return Check(subject=file.name, compared="the images it is of", problem=problem)
    what = f"sha256, as {', '.join(users)} has it,"
    return compare(file.name, what, Digest.of_file(file.path).hex, wanted.hex)


def _images_with(layout: Layout, blob: Digest, document: ReleaseDocument) -> list[str]:
    """Return the images that release.json names by digest and that reach a blob."""
    known = {image.digest: image.reference for image in document.images}
    return [
        known[str(entry.digest)]
        for entry in layout.entries
        if str(entry.digest) in known and blob in layout.reachable(entry)
    ]


def _layout_document(file: ReleasedFile, document: ReleaseDocument) -> Check:
    """Compare index and marker of the layout, or name what is none of both."""

    def digest(path: Path) -> str:
        return str(Digest.of_file(path)) if path.is_file() else ""

    found = layout_differences(file.root / LAYOUT_FOLDER, document.images, digest)
    own = [text for text in found if not text.startswith(f"{LAYOUT_FOLDER}/{BLOBS}/")]
    what = f"what is said of {len(document.images)} images"
    return Check(subject=file.name, compared=what, problem="; ".join(own))
