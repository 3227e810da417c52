"""A release that was built again without its key, compared as far as the key had no part in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from buildkit.attest.dsse import parse_envelope
from buildkit.attest.keeping import FOLDER
from buildkit.decoding import decode_json
from buildkit.errors import VerificationError
from buildkit.release.dist import SIGNATURES
from buildkit.release.documents import (
    ARTIFACTS_FILE,
    CHECKSUMS_FILE,
    RELEASE_FILE,
    ZLIB,
    ReleaseDocument,
    decode_release,
)
from buildkit.release.proofs import ENVELOPE, PROVENANCE
from buildkit.verify.check import Check
from buildkit.verify.difference import json_difference

_PROVENANCES = frozenset({ENVELOPE, PROVENANCE})
_FOLLOWING = frozenset({RELEASE_FILE, ARTIFACTS_FILE, CHECKSUMS_FILE})
"""They name what was signed; release.json is compared without that, the others follow from it."""


def depends_on_key(name: str) -> bool:
    """Tell whether who signs decides what a file of a release holds, or whether it is there."""
    is_signed = name.startswith(f"{FOLDER}/") or name.endswith(SIGNATURES)
    return is_signed or name in _PROVENANCES or name in _FOLLOWING


def compare_unsigned(
    folder: Path, again: Path, same: Mapping[str, str], *, by_other_zlib: bool = False
) -> Iterator[Check]:
    """Compare provenance and release.json of two releases, one of which may be signed.

    Args:
        folder: the release.
        again: the same, made once more.
        same: sha256 of files of the second that have the content of one of the first, and
            the sha256 that it has there.
        by_other_zlib: another zlib compressed the first, which is no difference.
    """
    try:
        first, second = _provenance(folder, {}), _provenance(again, same)
        difference = json_difference(first, second)
    except (OSError, VerificationError, msgspec.MsgspecError, KeyError, TypeError) as error:
        difference = str(error)
    compared = "rebuilt: its subjects, parameters and materials"
    yield Check(subject="the provenance", compared=compared, problem=difference)
    documents = [_document(place, by_other_zlib=by_other_zlib) for place in (folder, again)]
    difference = json_difference(*map(msgspec.to_builtins, documents))
    compared = "rebuilt: everything but who signed"
    yield Check(subject=RELEASE_FILE, compared=compared, problem=difference)


def _provenance(folder: Path, same: Mapping[str, str]) -> dict[str, Any]:
    """Return a provenance without who ran the build: that may be somebody else now."""
    envelope = folder / ENVELOPE
    if envelope.is_file():
        data = parse_envelope(envelope.read_bytes(), ENVELOPE).payload
    else:
        data = (folder / PROVENANCE).read_bytes()
    for here, there in same.items():
        data = data.replace(here.encode(), there.encode())
    value = decode_json(data, dict[str, Any])
    predicate = value["predicate"]
    return {**value, "predicate": {"buildDefinition": predicate["buildDefinition"]}}


def _document(folder: Path, *, by_other_zlib: bool) -> ReleaseDocument:
    path = folder / RELEASE_FILE
    document = decode_release(path.read_bytes(), str(path))
    # What an archive with other gzip bytes is called there, its own comparison has told.
    files = tuple(
        structs.replace(file, sha256="", size=0)
        for file in document.files
        if not depends_on_key(file.path)
    )
    tools = tuple(tool for tool in document.tools if not (by_other_zlib and tool.name == ZLIB))
    return structs.replace(document, signer="", inputs="", files=files, tools=tools)
