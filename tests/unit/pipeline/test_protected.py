"""What is protected is refused before anything starts, unless it is CI that pushes."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildkit.errors import UsageError
from buildkit.pipeline.promoting import run_promote
from buildkit.pipeline.run import run
from buildkit.plan.options import Goal, Options

TEXT = """\
schema_version = 1
[project]
name = "mesh"
[matrix]
platforms = ["linux/amd64"]
[registry]
protected = ["docker.io/istio"]
"""


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "targets.toml").write_text(TEXT)
    return str(tmp_path / "targets.toml")


def test_docker_refuses(targets: str) -> None:
    options = Options(targets=targets, hub="docker.io/istio", push=True)
    with pytest.raises(UsageError, match="is protected: only CI"):
        run(frozenset({Goal.DOCKER}), options)


@pytest.mark.parametrize("place", ["docker.io/istio", "localhost:5190,istio/pilot:1.2"])
def test_promote_refuses(targets: str, place: str) -> None:
    with pytest.raises(UsageError, match="is protected"):
        run_promote(Options(targets=targets), "localhost:5190/pilot:latest", place)
