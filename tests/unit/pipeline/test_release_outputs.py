from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from buildkit.config.load import load_project
from buildkit.errors import UsageError
from buildkit.pipeline.release_outputs import (
    Released,
    published_before,
    read_previous,
    summary,
    unit_rows,
    write_ci_outputs,
)
from buildkit.release.documents import ReleaseDocument, encode
from tests.unit.release.test_documents import DOCUMENT, TWO


def released(folder: Path) -> Released:
    (folder / "artifacts.json").write_text('[\n  {"name": "a"}\n]\n')
    (folder / "metadata.json").write_text('{\n  "version": "1.2.3"\n}\n')
    (folder / "digests.txt").write_text(f"{TWO.hex}  app:1.2.3\n")
    return Released(folder=folder, document=DOCUMENT, is_new=True)


def test_outputs_are_those_of_goreleaser_action_and_the_digests(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_text("before=1\n")
    write_ci_outputs({"GITHUB_OUTPUT": str(output)}, released(tmp_path))
    first, artifacts, metadata, *digests = output.read_text().splitlines()
    assert first == "before=1"
    assert json.loads(artifacts.removeprefix("artifacts=")) == [{"name": "a"}]
    assert json.loads(metadata.removeprefix("metadata=")) == {"version": "1.2.3"}
    assert digests == ["digests<<END_OF_DIGESTS", f"{TWO.hex}  app:1.2.3", "END_OF_DIGESTS"]


def test_the_summary_has_every_file_and_image(tmp_path: Path) -> None:
    place = tmp_path / "summary"
    write_ci_outputs({"GITHUB_STEP_SUMMARY": str(place)}, released(tmp_path))
    text = place.read_text()
    assert text == summary(DOCUMENT, ())
    assert text.startswith("## mesh 1.2.3\n")
    assert "| mesh-1.2.3-linux-arm.tar.gz | linux/arm/v7 | 1 B |" in text
    assert f"| example.com/app:1.2.3 | linux/amd64 | `{TWO}` |" in text


def test_elsewhere_nothing_is_written(tmp_path: Path) -> None:
    made = released(tmp_path)
    before = sorted(tmp_path.iterdir())
    write_ci_outputs({}, made)
    assert sorted(tmp_path.iterdir()) == before


def of(version: str, size: int) -> ReleaseDocument:
    """Return a release with files and units of a size."""
    replace = msgspec.structs.replace
    return replace(
        DOCUMENT,
        version=version,
        units=tuple(replace(unit, size=size) for unit in DOCUMENT.units),
        files=tuple(
            replace(file, size=size, path=file.path.replace("1.2.3", version))
            for file in DOCUMENT.files
        ),
    )


def test_sizes_are_compared_by_what_a_file_is_called_without_its_version() -> None:
    now = of("1.3.0", 1100)
    text = summary(now, unit_rows(now), of("1.2.3", 1000))
    assert "Sizes are compared with 1.2.3." in text
    assert "1 merged" in text
    assert "| binary/app | linux/amd64 | merged |  | 1.1 kB |" in text
    rows = [line for line in text.splitlines() if "1.1 kB" in line]
    assert len(rows) == 3
    assert [row for row in rows if "| +100 B (+10.0 %) |" not in row] == []


def test_without_a_release_before_there_is_no_change() -> None:
    now = of("1.3.0", 1100)
    text = summary(now, unit_rows(now))
    assert "compared" not in text
    assert "%" not in text


def test_the_release_before_is_a_directory_or_its_document(tmp_path: Path) -> None:
    place = tmp_path / "release.json"
    place.write_bytes(encode(DOCUMENT))
    assert read_previous(None) is None
    assert read_previous(str(tmp_path)) == read_previous(str(place)) == DOCUMENT


@pytest.mark.parametrize("name", ["", "none"])
def test_a_release_before_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="there is no release"):
        read_previous(str(tmp_path / name))


def test_the_release_of_the_tag_before_is_found_where_it_was_published(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(
        """\
schema_version = 1
[project]
name = "mesh"
source = "."
release_hub = "docker.io/mesh"
[matrix]
platforms = ["linux/amd64"]
[binaries]
app = { package = "./cmd/app" }
[publish.site]
kind = "directory"
directory = "site/${project}-${version}"
"""
    )
    (tmp_path / "go.mod").write_text("module example.com/mesh\n")
    project = load_project(tmp_path / "targets.toml")
    assert published_before(project, DOCUMENT) is None
    place = tmp_path / "site" / "mesh-1.2.2" / "release.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"{")
    assert published_before(project, DOCUMENT) is None
    before = of("1.2.2", 5)
    place.write_bytes(encode(before))
    assert published_before(project, DOCUMENT) == before
