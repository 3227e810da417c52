"""The workflows of this repository, as their own linter reads them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


@pytest.mark.go
@pytest.mark.network
@pytest.mark.slow
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    env = {**os.environ, "GOBIN": str(tmp_path), "GOTOOLCHAIN": "local"}
    subprocess.run(["go", "install", ACTIONLINT], env=env, check=True)
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    done = subprocess.run(
        [tmp_path / "actionlint", *files], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
