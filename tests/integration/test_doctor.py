"""`invoke doctor` on real trees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.go

PROJECT = """\
schema_version = 1
[project]
name = "tiny"
source = "."
release_hub = "docker.io/tiny"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
[binaries]
app = { package = "." }
[bases]
static = { kind = "static" }
[images.app]
base = ["static"]
binaries = ["app"]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    place = tmp_path / "mesh"
    (place / "images" / "app").mkdir(parents=True)
    (place / "go.mod").write_text("module example.com/tiny\n\ngo 1.20\n")
    (place / "main.go").write_text("package main\n\nfunc main() {}\n")
    (place / "images" / "app" / "Dockerfile.j2").write_text("FROM {{ base }}\nCOPY app /\n")
    (place / "targets.toml").write_text(PROJECT)
    return place


def doctor(place: Path, *words: str, **environ: str) -> tuple[int, Any, str]:
    """Return exit status, document and standard error."""
    program = [sys.executable, "-c", "from buildkit.tasks import main; main()", *words, "--json"]
    env = {**os.environ, "MESHWRIGHT_CACHE": str(place.parent / "cache"), **environ}
    done = subprocess.run(program, cwd=place, env=env, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


def states(document: Any) -> dict[str, str]:
    return {item["check"]: item["state"] for item in document["checks"]}


def no_daemon(place: Path) -> str:
    return f"unix://{place.parent}/none.sock"


def test_a_project_can_be_built_without_a_daemon(tree: Path) -> None:
    status, document, errors = doctor(tree, "doctor", DOCKER_HOST=no_daemon(tree))
    assert (status, document["missing"]) == (0, []), errors
    found = states(document)
    assert (found["configuration"], found["go"], found["docker"]) == ("ok", "ok", "warning")
    assert (found["git"], found["disk"], found["clock"]) == ("note", "ok", "ok")
    assert not (tree / "out").exists()
    assert not (tree.parent / "cache").exists()


def test_the_tasks_before_it_decide_what_is_missing(tree: Path) -> None:
    host = no_daemon(tree)
    flags = ("--engine", "docker")
    status, document, errors = doctor(tree, "docker", "doctor", *flags, DOCKER_HOST=host)
    assert (status, document["missing"]) == (4, ["docker"])
    assert "docker cannot be done here" in errors
    status, document, _ = doctor(tree, "build", "doctor", *flags, DOCKER_HOST=host)
    assert (status, document["missing"]) == (0, [])


def test_an_image_with_commands_needs_a_daemon(tree: Path) -> None:
    template = tree / "images" / "app" / "Dockerfile.j2"
    template.write_text('FROM {{ base }}\nCOPY app /\nRUN ["/app"]\n')
    status, document, _ = doctor(tree, "doctor", DOCKER_HOST=no_daemon(tree))
    assert (status, document["missing"]) == (4, ["docker"])


def test_a_wrong_configuration_hides_nothing_of_the_machine(tree: Path) -> None:
    (tree / "targets.toml").write_text(PROJECT.replace("binaries = ", "binarys = "))
    status, document, errors = doctor(tree, "doctor", DOCKER_HOST=no_daemon(tree))
    assert (status, document["missing"]) == (4, ["configuration"])
    assert "did you mean 'binaries'" in errors
    assert states(document)["go"] == "ok"


def test_wrong_settings_are_findings(tree: Path) -> None:
    text = PROJECT + '[go]\nversion = "newest"\n'
    (tree / "targets.toml").write_text(text)
    status, document, errors = doctor(
        tree,
        "doctor",
        DOCKER_HOST=no_daemon(tree),
        MESHWRIGHT_CACHE_SIZE="big",
        HTTPS_PROXY="socks5://ann:secret@proxy.example.com:1080",
    )
    assert status == 4
    assert document["missing"] == ["configuration", "proxy"]
    assert states(document)["cache"] == "warning"
    assert "secret" not in json.dumps(document) + errors


def test_an_old_lock_is_missing_pins(tree: Path) -> None:
    fetch = '[fetch.envoy]\nversion = "1"\nsource = [{ url = "https://x.example.com/e", '
    text = PROJECT + fetch + 'platforms = ["linux/amd64"] }]\n'
    (tree / "targets.toml").write_text(text)
    status, document, _ = doctor(tree, "doctor", DOCKER_HOST=no_daemon(tree))
    assert (status, document["missing"]) == (4, ["lock"])


def test_without_a_project_the_machine_is_looked_at(tmp_path: Path) -> None:
    place = tmp_path / "empty"
    place.mkdir()
    status, document, _ = doctor(place, "doctor", DOCKER_HOST=no_daemon(place))
    assert (status, document["missing"]) == (0, [])
    assert "configuration" not in states(document)
    assert states(document)["go"] == "ok"


@pytest.mark.docker
def test_a_daemon_is_described(tree: Path) -> None:
    _, document, _ = doctor(tree, "doctor")
    found = states(document)
    assert found["docker"] in {"ok", "note"}
    assert found["docker storage"] in {"ok", "warning"}
    assert found["emulation"]
