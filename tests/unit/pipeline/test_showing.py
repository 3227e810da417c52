"""`invoke config`: every value in force, with the file and line that gave it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildkit.pipeline.showing import show_config
from buildkit.plan.options import Options

BASE = """\
schema_version = 1
[project]
name = "mesh"
[matrix]
platforms = ["linux/amd64"]
[stamps]
"example.com/v.version" = "${version}"
[args]
BASE_VERSION = { file = "VERSION" }
[fetch.envoy]
version = { file = "VERSION" }
source = [{ url = "https://example.com/envoy", platforms = ["linux/amd64"] }]
"""


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "VERSION").write_text("1.2\n")
    (tmp_path / "targets.local.toml").write_text('[registry]\nhub = "example.com/me"\n')
    (tmp_path / "targets.toml").write_text('extends = "base.toml"\n[registry]\npush = false\n')
    return tmp_path / "targets.toml"


def test_each_line_is_a_value_and_where_it_was_written(
    targets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_config(Options(targets=str(targets), set=("project.licenses=MIT",)))
    lines = capsys.readouterr().out.splitlines()
    assert 'extends = "base.toml"  # targets.toml:1' in lines
    assert 'project.name = "mesh"  # base.toml:3' in lines
    assert 'project.licenses = "MIT"  # --set' in lines
    assert "registry.push = false  # targets.toml:3" in lines
    assert 'registry.hub = "example.com/me"  # targets.local.toml:2' in lines
    assert 'stamps."example.com/v.version" = "${version}"  # base.toml:7' in lines
    assert 'fetch.envoy.version = "1.2"  # the file VERSION, base.toml:11' in lines
    assert 'args.BASE_VERSION = "1.2"  # the file VERSION, base.toml:9' in lines
    assert 'matrix.default = "all"  # default' in lines
    assert not any(line.startswith("project.url") for line in lines)


def test_as_json(targets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_config(Options(targets=str(targets), json=True))
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == ["base.toml", "targets.toml", "targets.local.toml"]
    hub = found["values"]["registry.hub"]
    assert hub == {"value": "example.com/me", "origin": "targets.local.toml:2"}
