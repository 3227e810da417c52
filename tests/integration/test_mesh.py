"""The tests of the embedded default, the mesh itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

MESH = Path(__file__).parents[2] / "examples" / "mesh"


@pytest.mark.go
@pytest.mark.network
@pytest.mark.timeout(900)
def test_the_go_tests_of_the_mesh_pass() -> None:
    # The flags of the build, so that the packages it compiled are not compiled again.
    flags = ["-trimpath", "-tags=disable_pgv,grpcnotrace"]
    done = subprocess.run(
        ["go", "test", *flags, "./..."],
        cwd=MESH,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok  \texample.com/mesh/pilot/pkg/controlplane" in done.stdout
