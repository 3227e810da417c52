"""Two builds of one tree at once: the second waits, says for whom, and does nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from buildkit.platform import Platform
from tests.integration import conftest

HOST = Platform.host()
LIMIT_SECONDS = 120
TARGETS = f"""\
schema_version = 1
[project]
name = "tiny"
source = "."
release_hub = "example.com/tiny"
[matrix]
platforms = ["{HOST}"]
default = "host"
[binaries]
tiny = {{ package = "./cmd/tiny" }}
"""
FILES = {
    "targets.toml": TARGETS,
    "go.mod": "module example.com/tiny\n\ngo 1.24\n",
    "cmd/tiny/main.go": "package main\n\nfunc main() {}\n",
}


def start(root: Path, *flags: str) -> subprocess.Popen[str]:
    environ = {
        **conftest.outside_settings(),
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        # Empty, so that the first compile takes long enough to be waited for.
        "GOCACHE": str(root / "gocache"),
        "MESHWRIGHT_CACHE": str(root / "cache"),
    }
    code = "from buildkit.tasks import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "build", *flags],
        cwd=root,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.go
def test_the_second_of_two_builds_waits_for_the_first_and_makes_nothing_again(
    tmp_path: Path,
) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    first = start(tmp_path, "--json")
    note = tmp_path / "out/.buildkit/holder.json"
    deadline = time.monotonic() + LIMIT_SECONDS
    while not note.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    second = start(tmp_path)
    document, said_first = first.communicate(timeout=LIMIT_SECONDS)
    _, said = second.communicate(timeout=LIMIT_SECONDS)
    assert (first.returncode, second.returncode) == (0, 0), said_first + said
    assert '"done"' in document
    assert json.loads(document)
    assert f"waiting for process {first.pid} (-c build --json), which began at " in said
    assert f"both use {tmp_path / 'out'}" in said
    assert "start " not in said
    assert f"binary/tiny  {HOST}  cached" in said
    assert not note.exists()
