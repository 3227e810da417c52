"""`invoke check`: the lock pins what targets.toml asks for, found out without starting anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """\
schema_version = 1
[project]
name = "tiny"
source = "."
release_hub = "docker.io/tiny"
[matrix]
platforms = ["linux/amd64"]
[go]
version = ">=1.20"
[binaries]
app = { package = "./app" }
[fetch.envoy]
version = "1.2.3"
source = [{ url = "https://example.com/envoy", platforms = ["linux/amd64"] }]
[bases.debian]
kind = "debian"
suite = "trixie"
packages = ["libc6"]
[images.app]
base = ["debian"]
binaries = ["app", "envoy"]
"""
LOCK = f"""\
lock_version = 1
[go]
version = "1.26.8"
sums = {{ "linux/amd64" = "h1:x", "linux/arm64" = "h1:x", "darwin/arm64" = "h1:x" }}
[[fetch.envoy."linux/amd64"]]
source = "url:https://example.com/envoy"
file = "envoy"
sha256 = "{"1" * 64}"
version = "1.2.3"
[[debian.debian.amd64]]
name = "libc6"
version = "2"
file = "pool/libc6.deb"
size = 1
sha256 = "{"2" * 64}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "go.mod").write_text("module example.com/tiny\n\ngo 1.20\n")
    (tmp_path / "images" / "app").mkdir(parents=True)
    (tmp_path / "images" / "app" / "Dockerfile.j2").write_text("FROM {{ base }}\nCOPY app /app\n")
    (tmp_path / "targets.toml").write_text(PROJECT)
    (tmp_path / "targets.lock").write_text(LOCK)
    (tmp_path / "empty").mkdir()
    return tmp_path


def check(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program where there is no Go, no git and no Docker."""
    return subprocess.run(
        [sys.executable, "-c", "from buildkit.tasks import main; main()", "check", *words],
        cwd=project,
        env={
            "PATH": str(project / "empty"),
            "HOME": os.environ["HOME"],
            "DOCKER_HOST": f"unix://{project}/docker.sock",
            "GOTOOLCHAIN": "local",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_wholly_pinned_is_right(project: Path) -> None:
    before = sorted(project.rglob("*"))
    done = check(project, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["targets"] == str(project / "targets.toml")
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("targets.toml", '"1.2.3"', '"1.2.4"', "fetch/envoy@linux/amd64: url:https://example.com"),
        ("targets.toml", '["libc6"]', '["libc6", "zlib1g"]', "its packages are not locked"),
        ("targets.lock", "[[fetch.envoy", "[[fetch.other", "No source is pinned"),
        ("targets.lock", "[[debian.debian", "[[debian.other", "its packages are not locked"),
    ],
)
def test_what_is_not_pinned_is_named(
    project: Path, file: str, old: str, new: str, words: str
) -> None:
    path = project / file
    path.write_text(path.read_text().replace(old, new))
    done = check(project)
    assert done.returncode == 3
    assert "targets.lock does not pin what is asked for" in done.stderr
    assert words in done.stderr
