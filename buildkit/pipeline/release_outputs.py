"""What a CI system is told of a release: outputs for later steps, and a summary for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from buildkit.pipeline.report import human_size
from buildkit.release.documents import (
    ARTIFACTS_FILE,
    DIGESTS_FILE,
    METADATA_FILE,
    ReleaseDocument,
)

if TYPE_CHECKING:
    from buildkit.pipeline.releasing import Released


def write_ci_outputs(environ: Mapping[str, str], released: Released) -> None:
    """Add to the files that GitHub Actions names, where it does.

    ``artifacts`` and ``metadata`` are those of goreleaser-action; ``digests`` is digests.txt.
    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    if path := environ.get("GITHUB_OUTPUT"):
        append(Path(path), "".join(_outputs(released.folder)))
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        append(Path(path), summary(released.document))


def summary(document: ReleaseDocument) -> str:
    """Return the files and images of a release as Markdown tables."""
    lines = [f"## {document.project} {document.version}", ""]
    lines += ["| file | platform | size | sha256 |", "| --- | --- | ---: | --- |"]
    lines += [
        f"| {file.path} | {file.platform} | {human_size(file.size)} | `{file.sha256[:12]}` |"
        for file in document.files
    ]
    if document.images:
        lines += ["", "| image | platforms | digest |", "| --- | --- | --- |"]
    lines += [
        f"| {image.reference} | {', '.join(image.platforms)} | `{image.digest}` |"
        for image in document.images
    ]
    return "\n".join(lines) + "\n"


def _outputs(folder: Path) -> list[str]:
    documents = {"artifacts": ARTIFACTS_FILE, "metadata": METADATA_FILE}
    found = []
    for name, file in documents.items():
        # On one line, since an output of several would need a delimiter.
        value = msgspec.json.decode((folder / file).read_bytes())
        found.append(f"{name}={msgspec.json.encode(value).decode()}\n")
    text = (folder / DIGESTS_FILE).read_text(encoding="utf-8")
    return [*found, f"digests<<END_OF_DIGESTS\n{text}END_OF_DIGESTS\n"]


def append(path: Path, text: str) -> None:
    """Add to a file that the CI system reads when the step ends."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)
