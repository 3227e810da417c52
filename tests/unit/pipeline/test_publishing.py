"""Where `publish` goes without `--to`, and what it takes for a release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from buildkit.errors import BuildkitError, UsageError, VerificationError
from buildkit.pipeline.publishing import run_publish
from buildkit.plan.options import Options
from buildkit.release.assemble import text_piece, write_pieces
from buildkit.release.documents import CHANGELOG_FILE, FileEntry
from buildkit.verify.release import read_release
from tests.unit.verify.test_release import MADE_ANEW, seal, write

TEXT = """\
schema_version = 1
[project]
name = "mesh"
[version]
git = false
[matrix]
platforms = ["linux/amd64"]
[publish.site]
kind = "directory"
directory = "site/${version}"
[publish.trial]
kind = "directory"
directory = "trial/${version}"
default = false
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a release that can be published."""
    (tmp_path / "targets.toml").write_text(TEXT)
    write(tmp_path / "dist")
    piece = text_piece(CHANGELOG_FILE, "all new\n")
    change(tmp_path, write_pieces(tmp_path / "dist", [piece], lambda _: None))
    return tmp_path


def change(root: Path, files: tuple[FileEntry, ...] = (), **fields: Any) -> None:
    """Have the release say something else, and every document of it too."""
    document = read_release(root / "dist")
    kept = (file for file in document.files if file.path not in MADE_ANEW)
    seal(root / "dist", structs.replace(document, files=(*kept, *files), **fields))


def publish(root: Path, to: str | None = None) -> None:
    run_publish(Options(targets=str(root / "targets.toml"), quiet=True, to=to))


def published(root: Path) -> list[str]:
    """Return the places that have the release, whole."""
    names = {path.name for path in (root / "dist").iterdir()}
    places = [root / name / "1.0.0" for name in ("site", "trial")]
    found = [place for place in places if place.exists()]
    assert all({path.name for path in place.iterdir()} == names for place in found)
    return [place.parent.name for place in found]


def test_a_place_to_try_is_published_to_by_its_name_alone(root: Path) -> None:
    publish(root)
    assert published(root) == ["site"]
    publish(root, to="trial")
    assert published(root) == ["site", "trial"]


def test_without_a_place_of_its_own_a_name_is_needed(root: Path) -> None:
    text = TEXT.replace("[publish.trial]", "default = false\n[publish.trial]")
    (root / "targets.toml").write_text(text)
    with pytest.raises(UsageError, match="no place that is published to by itself") as caught:
        publish(root)
    assert "site, trial" in caught.value.details
    publish(root, to="site,trial")
    assert published(root) == ["site", "trial"]


def edit(root: Path) -> None:
    (root / "dist" / "app.tar.gz").write_bytes(b"other")


@pytest.mark.parametrize(
    ("apply", "error", "said"),
    [
        (edit, VerificationError, "app.tar.gz was changed"),
        (lambda it: change(it, snapshot=True), UsageError, "is a snapshot"),
        (lambda it: change(it, shard="1/2"), UsageError, "is part 1/2 of 1.0.0"),
        (lambda it: change(it, signer="me"), VerificationError, "release.json.sig"),
        (lambda it: (it / "dist" / "release.json").unlink(), UsageError, "there is no release"),
    ],
)
def test_what_may_not_be_published_goes_nowhere(
    root: Path, apply: Callable[[Path], None], error: type[BuildkitError], said: str
) -> None:
    apply(root)
    with pytest.raises(error) as caught:
        publish(root)
    assert said in str(caught.value)
    assert published(root) == []
