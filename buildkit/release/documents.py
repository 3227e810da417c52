"""The documents of a release: what it is, what it is made of, and the digest of every file.

``artifacts.json``, ``metadata.json``, ``checksums.txt`` and ``digests.txt`` have the names
and fields that GoReleaser gives them (https://goreleaser.com/customization), so that what
reads those reads these. ``release.json`` is ours: whoever trusts it can check all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Annotated

import msgspec

from buildkit.decoding import decode_json
from buildkit.digest import Digest
from buildkit.errors import VerificationError
from buildkit.oci.image import timestamp

RELEASE_FILE = "release.json"
CHECKSUMS_FILE = "checksums.txt"
ARTIFACTS_FILE = "artifacts.json"
METADATA_FILE = "metadata.json"
DIGESTS_FILE = "digests.txt"
CHANGELOG_FILE = "CHANGELOG.md"
LAYOUT_FOLDER = "oci"

INDEXES = (CHECKSUMS_FILE, RELEASE_FILE)
"""What everything else is found by."""

REPEATED = frozenset({ARTIFACTS_FILE, METADATA_FILE, DIGESTS_FILE})
"""What says again what release.json says."""

ZLIB = "zlib"
"""The tool that decides compressed bytes, and nothing of what is in them."""

SCHEMA = 1

_LAST_SECOND = 253_402_300_799
"""Of the year 9999, in seconds since 1970."""


Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
"""A sha256."""
DigestText = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
"""A sha256 as OCI writes it."""


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of release.json."""


class FileEntry(Document, frozen=True, kw_only=True):
    """A file of the release."""

    path: str
    """Below dist/, with slashes."""
    sha256: Hex
    size: int
    type: str
    """As GoReleaser names it: Archive, Linux Package, Source, Checksum, ..."""
    platform: str = ""
    contains: tuple[str, ...] = ()
    """Units whose outputs are in it."""


class UnitEntry(Document, frozen=True, kw_only=True):
    """A unit of the plan, and what it made."""

    id: str
    digest: DigestText
    """As in the closing table: of the file, the image's config, or the index."""
    size: int
    holds: tuple[str, ...] = ()
    """The units whose outputs are in it as files."""
    stamped: bool = False
    """The version is linked into it, as a text that ends in a zero byte."""


class ImageEntry(Document, frozen=True, kw_only=True):
    """An image in the layout."""

    name: str
    unit: str
    """The name of the units that made it; a variant's differs from the image's."""
    reference: str
    digest: DigestText
    """Of the index, or of the one manifest there is."""
    platforms: dict[str, DigestText]
    """Platform and digest of its manifest."""


class SourceEntry(Document, frozen=True, kw_only=True):
    """The commit that was built."""

    revision: str
    tag: str
    dirty: bool
    time: int
    """Of the commit, in seconds since 1970."""
    url: str


class ToolEntry(Document, frozen=True, kw_only=True):
    """What built it."""

    name: str
    version: str


class ReleaseDocument(Document, frozen=True, kw_only=True):
    """``release.json``."""

    schema_version: int
    project: str
    version: str
    snapshot: bool
    shard: Annotated[str, msgspec.Meta(pattern=r"^(\d{1,3}/\d{1,3})?$")] = ""
    """As ``2/4``: a part that is to be merged with the others; empty for a whole release."""
    previous_tag: str
    source: SourceEntry
    epoch: Annotated[int, msgspec.Meta(ge=0, le=_LAST_SECOND)]
    """The time of everything in it, in seconds since 1970."""
    platforms: tuple[str, ...]
    configuration: dict[str, str]
    """File and digest of what decided: targets.toml, what it extends, its lock."""
    pins: dict[str, str]
    """What came from outside, and its digest."""
    tools: tuple[ToolEntry, ...]
    units: tuple[UnitEntry, ...]
    images: tuple[ImageEntry, ...]
    files: tuple[FileEntry, ...]
    """Every file of dist/ but this one, its signature, and checksums.txt."""
    signer: str = ""
    """What the key is known by that signs it; empty where nobody does."""
    decided: str
    """The digest of what decides beside all this: ``[release]``, the files and commits in it."""
    inputs: str
    """The digest of all that decides what the release is; the same release has the same."""


def inputs_digest(
    document: ReleaseDocument, units: Mapping[str, str], tools: Iterable[ToolEntry]
) -> str:
    """Return ``inputs`` of a release.

    Args:
        document: what is known of it before its files are written.
        units: what each unit made, by id.
        tools: what made them.
    """
    source = document.source
    return str(
        Digest.of_json(
            {
                "tools": [(tool.name, tool.version) for tool in tools],
                "version": [document.version, document.snapshot, document.shard],
                "source": [source.revision, source.tag, source.dirty],
                "epoch": document.epoch,
                "configuration": document.configuration,
                "platforms": document.platforms,
                "units": dict(units),
                "signer": document.signer,
                "decided": document.decided,
            }
        )
    )


def encode(document: object) -> bytes:
    """Return a document as readable JSON, keys in their order, with a line feed at its end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_release(data: bytes, name: str) -> ReleaseDocument:
    """Read ``release.json``.

    Raises:
        VerificationError: it is none, or of another version of this tool.
    """
    try:
        found = decode_json(data, ReleaseDocument)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise VerificationError(f"{name} cannot be read", details=str(error)) from error
    if found.schema_version != SCHEMA:
        raise VerificationError(
            f"{name} has the form {found.schema_version}, this version knows {SCHEMA}",
            resolution="Use the version of the toolkit that made it.",
        )
    return found


def checksums(files: Iterable[tuple[str, Digest]]) -> bytes:
    """Return the lines that ``sha256sum --check`` reads, sorted by path."""
    return _lines((digest.hex, path) for path, digest in files)


def parse_checksums(data: bytes, name: str) -> dict[str, Digest]:
    """Read what :func:`checksums` wrote.

    Raises:
        VerificationError: a line is no digest and path, or a path leaves the directory.
    """
    found: dict[str, Digest] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        digest, _, path = line.partition("  ")
        parts = PurePosixPath(path).parts
        if not path or path in found or ".." in parts or path.startswith("/"):
            raise VerificationError(f"{name}:{number} is no line of sha256sum", details=line)
        try:
            found[path] = Digest.parse(f"sha256:{digest}")
        except ValueError as error:
            raise VerificationError(f"{name}:{number} is no line of sha256sum") from error
    return found


def release_checksums(document: ReleaseDocument, release: Digest) -> bytes:
    """Return ``checksums.txt`` of a release; ``release`` is the digest of its release.json."""
    files = [(file.path, Digest(file.sha256)) for file in document.files]
    return checksums((*files, (RELEASE_FILE, release)))


def repeated_documents(document: ReleaseDocument) -> dict[str, bytes]:
    """Return the documents that say again what a release says, by their names.

    Their own entries, if ``document`` has them already, are in none of them.
    """
    files = tuple(file for file in document.files if file.path not in REPEATED)
    listed = msgspec.structs.replace(document, files=files)
    return {
        ARTIFACTS_FILE: encode(artifacts(listed)),
        METADATA_FILE: encode(metadata(document, timestamp(document.epoch))),
        DIGESTS_FILE: image_digests(document.images),
    }


def image_digests(images: Iterable[ImageEntry]) -> bytes:
    """Return ``digests.txt``: digest without its algorithm, and the image's full name."""
    return _lines((Digest.parse(image.digest).hex, image.reference) for image in images)


def artifacts(document: ReleaseDocument) -> list[dict[str, object]]:
    """Return the entries of ``artifacts.json``."""
    found = [_artifact(file) for file in document.files]
    found += [
        {
            "name": image.reference,
            "path": image.reference,
            "type": "Docker Manifest",
            "extra": {"Digest": image.digest, "ID": image.name},
        }
        for image in document.images
    ]
    return found


def metadata(document: ReleaseDocument, date: str) -> dict[str, object]:
    """Return ``metadata.json``; nothing of the machine is in it, so it has no ``runtime``."""
    return {
        "project_name": document.project,
        "tag": document.source.tag,
        "previous_tag": document.previous_tag,
        "version": document.version,
        "commit": document.source.revision,
        "date": date,
    }


def _artifact(file: FileEntry) -> dict[str, object]:
    found: dict[str, object] = {"name": PurePosixPath(file.path).name, "path": file.path}
    if file.platform:
        goos, _, arch = file.platform.partition("/")
        found |= {"goos": goos, "goarch": arch.partition("/")[0]}
    extra = {"Checksum": f"sha256:{file.sha256}", "Size": file.size}
    return {**found, "type": file.type, "extra": extra}


def _lines(pairs: Iterable[tuple[str, str]]) -> bytes:
    ordered = sorted(pairs, key=lambda pair: pair[1])
    return "".join(f"{digest}  {name}\n" for digest, name in ordered).encode()
