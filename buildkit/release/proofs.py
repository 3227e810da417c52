"""Names of what proves a release, for those who write it and those who check it."""

from __future__ import annotations

from buildkit.attest.spdx import SUFFIX
from buildkit.plan.units import Kind
from buildkit.platform import Platform
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


def sbom_path(unit: str) -> str:
    """Return where the SBOM of what a unit made lies in a release; empty where it has none."""
    kind_name, _, platform = unit.partition("@")
    kind, _, name = kind_name.partition("/")
    names = {
        Kind.BINARY: name,
        Kind.FETCH: name,
        Kind.DEB: f"{name}.deb",
        Kind.RPM: f"{name}.rpm",
        Kind.IMAGE: f"image-{name}",
    }
    if not platform or kind not in names:
        return ""
    return f"{SBOM_FOLDER}/{Platform.parse(platform).slug}/{names[Kind(kind)]}{SUFFIX}"
