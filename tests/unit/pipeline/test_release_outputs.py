from __future__ import annotations

import json
from pathlib import Path

from buildkit.pipeline.release_outputs import summary, write_ci_outputs
from buildkit.pipeline.releasing import Released
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
    assert text == summary(DOCUMENT)
    assert text.startswith("## mesh 1.2.3\n")
    assert "| mesh-1.2.3-linux-arm.tar.gz | linux/arm/v7 | 1 B |" in text
    assert f"| example.com/app:1.2.3 | linux/amd64 | `{TWO}` |" in text


def test_elsewhere_nothing_is_written(tmp_path: Path) -> None:
    made = released(tmp_path)
    before = sorted(tmp_path.iterdir())
    write_ci_outputs({}, made)
    assert sorted(tmp_path.iterdir()) == before
