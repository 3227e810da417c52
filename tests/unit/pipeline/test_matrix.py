"""What a cache's key is made from is read from the project, and the matrix handed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from buildkit.pipeline.matrix import RUNNER, show_matrix
from buildkit.plan.options import Options

TARGETS = """\
schema_version = 1
[project]
name = "tiny"
source = "."
release_hub = "docker.io/tiny"
[matrix]
platforms = ["linux/amd64", "linux/arm64", "darwin/arm64"]
[binaries]
app = { package = "./cmd/app" }
"""


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    monkeypatch.setattr("buildkit.pipeline.matrix.GoSupply.release", "go1.26.0")
    (tmp_path / "go.mod").write_text("module example.com/tiny\n")
    (tmp_path / "targets.toml").write_text(TARGETS)
    return tmp_path / "targets.toml"


def matrix(targets: Path, capsys: pytest.CaptureFixture[str], **flags: Any) -> list[object]:
    show_matrix(Options(targets=str(targets), json=True, **flags))
    found: list[object] = json.loads(capsys.readouterr().out)["include"]
    return found


def test_a_part_has_its_platforms_and_its_machine(
    targets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = matrix(targets, capsys, shards=2)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (first["shard"], first["platforms"]) == ("1/2", "linux/amd64,darwin/arm64")
    assert (second["shard"], second["runner"]) == ("2/2", RUNNER)
    (own,) = matrix(targets, capsys, shards=1, runner="mine", platform="linux/arm64")
    assert isinstance(own, dict)
    assert (own["platforms"], own["runner"]) == ("linux/arm64", "mine")


@pytest.mark.parametrize("name", ["targets.lock", "go.sum", "go.work.sum"])
def test_what_is_locked_is_in_the_key(
    targets: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = matrix(targets, capsys)
    assert matrix(targets, capsys) == before
    text = "# pins\n" if name == "targets.lock" else "example.com/x v1.0.0 h1:x=\n"
    (targets.parent / name).write_text(text)
    assert matrix(targets, capsys) != before


def test_the_code_that_is_built_is_not(targets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = matrix(targets, capsys)
    (targets.parent / "main.go").write_text("package main\n")
    assert matrix(targets, capsys) == before


def test_later_jobs_get_it_as_an_output(
    targets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    shown = matrix(targets, capsys)
    name, _, value = (tmp_path / "output").read_text().partition("=")
    assert name == "matrix"
    assert json.loads(value) == {"include": shown}


def test_people_get_a_table(targets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_matrix(Options(targets=str(targets)))
    assert "1/3    linux/amd64" in capsys.readouterr().out
