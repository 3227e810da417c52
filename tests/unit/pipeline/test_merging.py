"""`merge` replaces a release, and nothing that somebody has changed or put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import UsageError, VerificationError
from buildkit.pipeline.merging import run_merge
from buildkit.plan.options import Options
from tests.unit.verify.test_release import write

TEXT = """\
schema_version = 1
[project]
name = "mesh"
[version]
git = false
[matrix]
platforms = ["linux/amd64"]
"""


@pytest.fixture
def options(tmp_path: Path) -> Options:
    (tmp_path / "targets.toml").write_text(TEXT)
    write(tmp_path / "dist")
    return Options(targets=str(tmp_path / "targets.toml"))


def merge(options: Options, *, force: bool = False) -> str:
    """Return why parts that do not exist could not be joined, once the place of the whole is."""
    with pytest.raises(UsageError, match="nowhere is no part of a release") as caught:
        run_merge(Options(targets=options.targets, force=force), "nowhere")
    return caught.value.brief


@pytest.mark.parametrize("name", ["app.tar.gz", "CHANGES.md", "release.json"])
def test_an_edited_release_is_not_written_over_unless_that_is_said(
    options: Options, tmp_path: Path, name: str
) -> None:
    assert merge(options)
    path = tmp_path / "dist" / name
    before = path.read_bytes() if path.exists() else b""
    path.write_bytes(before + b"\n")
    with pytest.raises(VerificationError, match="dist was changed by hand") as caught:
        run_merge(options, "nowhere")
    assert "--force" in caught.value.resolution
    assert path.read_bytes() == before + b"\n"
    assert merge(options, force=True)


def test_what_is_no_release_is_never_written_over(options: Options, tmp_path: Path) -> None:
    (tmp_path / "dist" / "release.json").unlink()
    for force in (False, True):
        with pytest.raises(UsageError, match="dist is no release"):
            run_merge(Options(targets=options.targets, force=force), "nowhere")
