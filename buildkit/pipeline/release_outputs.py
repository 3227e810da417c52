"""What a CI system is told of a release: outputs for later steps, and a summary for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from buildkit.config.interpolate import interpolate
from buildkit.config.load import Project
from buildkit.errors import UsageError, VerificationError
from buildkit.pipeline.report import RESULT_COLUMNS, human_size
from buildkit.pipeline.summary import (
    CHANGE,
    append,
    markdown,
    size_changes,
    verdicts,
    with_changes,
)
from buildkit.release.dist import read_dist
from buildkit.release.documents import (
    ARTIFACTS_FILE,
    DIGESTS_FILE,
    METADATA_FILE,
    RELEASE_FILE,
    ReleaseDocument,
    decode_release,
)

_FILES = ("file", "platform", "size", CHANGE, "sha256")
_IMAGES = ("image", "platforms", "digest")


class Released(Struct, frozen=True, kw_only=True):
    """What a run of `invoke release` has: its directory, and whether it was written anew.

    ``rows`` is the closing table, ``previous`` what its sizes are compared with.
    """

    folder: Path
    document: ReleaseDocument
    is_new: bool
    rows: tuple[tuple[str, ...], ...] = ()
    previous: ReleaseDocument | None = None


def write_ci_outputs(environ: Mapping[str, str], released: Released) -> None:
    """Add to the files that GitHub Actions names, where it does.

    ``artifacts`` and ``metadata`` are those of goreleaser-action; ``digests`` is digests.txt.
    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    if path := environ.get("GITHUB_OUTPUT"):
        append(Path(path), "".join(_outputs(released.folder)))
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        append(Path(path), summary(released.document, released.rows, released.previous))


def summary(
    document: ReleaseDocument,
    rows: Sequence[Sequence[str]],
    previous: ReleaseDocument | None = None,
) -> str:
    """Return the units, files and images of a release as Markdown tables.

    Args:
        document: the release.
        rows: its closing table.
        previous: a release to compare sizes with.
    """
    parts = [f"## {document.project} {document.version}\n"]
    if previous is not None:
        parts.append(f"Sizes are compared with {previous.version}.\n")
    units = with_changes(rows, _unit_id, _changes(document, previous))
    files = [
        (file.path, file.platform, human_size(file.size), f"`{file.sha256[:12]}`")
        for file in document.files
    ]
    changed = _file_changes(document, previous)
    listed = [(*file[:3], changed.get(file[0], ""), file[3]) for file in files]
    if units:
        parts += [f"{verdicts(units)}\n", markdown((*RESULT_COLUMNS, CHANGE), units)]
    parts.append(markdown(_FILES, listed))
    if document.images:
        images = (
            (image.reference, ", ".join(image.platforms), f"`{image.digest}`")
            for image in document.images
        )
        parts.append(markdown(_IMAGES, images))
    return "\n".join(parts)


def unit_rows(document: ReleaseDocument) -> list[tuple[str, ...]]:
    """Return the closing table of a release whose units were made elsewhere."""
    found: list[tuple[str, ...]] = []
    for unit in document.units:
        name, _, platform = unit.id.partition("@")
        digest = unit.digest.removeprefix("sha256:")[:12]
        found.append((name, platform, "merged", "", human_size(unit.size), digest))
    return found


def read_previous(text: str | None) -> ReleaseDocument | None:
    """Read the release that ``--previous`` names: its directory, or its release.json.

    Raises:
        UsageError: there is none.
        VerificationError: it cannot be read.
    """
    if not text:
        return None
    path = Path(text).expanduser()
    path = path / RELEASE_FILE if path.is_dir() else path
    try:
        return decode_release(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(
            f"--previous {text}: there is no release",
            resolution=f"Name the directory of one, or its {RELEASE_FILE}.",
        ) from error


def published_before(project: Project, document: ReleaseDocument) -> ReleaseDocument | None:
    """Return the release of the tag before, where a directory of ``[publish]`` has it."""
    version = document.previous_tag.removeprefix("v")
    for place in project.config.publish.values() if version else ():
        if place.kind == "directory" and "${version}" in place.directory:
            values = {"version": version, "project": project.config.project.name}
            with suppress(VerificationError):
                if found := read_dist(project.root / interpolate(place.directory, values)):
                    return found
    return None


def _unit_id(row: Sequence[str]) -> str:
    return f"{row[0]}@{row[1]}" if row[1] else row[0]


def _changes(document: ReleaseDocument, previous: ReleaseDocument | None) -> dict[str, str]:
    if previous is None:
        return {}
    before = {unit.id: unit.size for unit in previous.units}
    return size_changes({unit.id: unit.size for unit in document.units}, before)


def _file_changes(document: ReleaseDocument, previous: ReleaseDocument | None) -> dict[str, str]:
    """Compare files by their names without the version."""
    if previous is None:
        return {}
    before = {_unversioned(file.path, previous): file.size for file in previous.files}
    names = {file.path: _unversioned(file.path, document) for file in document.files}
    now = {names[file.path]: file.size for file in document.files}
    found = size_changes(now, before)
    return {path: found[name] for path, name in names.items()}


def _unversioned(path: str, document: ReleaseDocument) -> str:
    return path.replace(document.version, "*")


def _outputs(folder: Path) -> Iterable[str]:
    documents = {"artifacts": ARTIFACTS_FILE, "metadata": METADATA_FILE}
    for name, file in documents.items():
        # On one line, since an output of several would need a delimiter.
        value = msgspec.json.decode((folder / file).read_bytes())
        yield f"{name}={msgspec.json.encode(value).decode()}\n"
    text = (folder / DIGESTS_FILE).read_text(encoding="utf-8")
    yield f"digests<<END_OF_DIGESTS\n{text}END_OF_DIGESTS\n"
