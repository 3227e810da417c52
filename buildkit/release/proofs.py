"""Names of what proves a release, for those who write it and those who check it."""

from __future__ import annotations

from buildkit.release.assemble import ARCHIVE, PACKAGE, SOURCE
from buildkit.release.documents import FileEntry

PROVENANCE, ENVELOPE = "provenance.json", "provenance.intoto.jsonl"
"""The provenance without a key, and signed."""
SBOM = "SBOM"
"""The type of a file, in GoReleaser's words."""
SBOM_FOLDER = "sboms"

_DOWNLOADED = frozenset({ARCHIVE, PACKAGE, SOURCE})


def is_downloaded(file: FileEntry) -> bool:
    """Tell whether people download a file alone, so that it has a signature of its own."""
    return file.type in _DOWNLOADED
