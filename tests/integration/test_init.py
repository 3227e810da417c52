"""`invoke init`: trees as people have them, read with the real Go; what is written is built."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli

from tests.integration import conftest

ROOT = Path(__file__).parents[2]
MESH = ROOT / "examples" / "mesh"
MAIN = 'package main\n\nvar version = "none"\n\nfunc main() { println(version) }\n'
MAKE = """\
STANDARD_BINARIES:=./cmd/ctl
AGENT_BINARIES:=./cmd/agent
LDFLAGS = -X main.version=$(VERSION)
build:
\tgobuild.sh out/ $(STANDARD_BINARIES)
\tgobuild.sh out/ -tags=agent $(AGENT_BINARIES)
"""
PLAN = """\
images:
- name: agent
  dockerfile: docker/Dockerfile.agent
  files:
  - conf/agent.json
  targets:
  - ${TARGET_OUT_LINUX}/agent
- name: compiled
  dockerfile: docker/Dockerfile.compiled
"""
DOCKERFILE = """\
FROM scratch
ARG TARGETARCH
COPY agent.json /etc/agent.json
COPY ${TARGETARCH:-amd64}/agent /agent
"""
pytestmark = pytest.mark.go


def meshwright(place: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **conftest.outside_settings(), **more}
    environ["MESHWRIGHT_CACHE"] = str(place.parent / "cache")
    program = [sys.executable, "-c", "from buildkit.tasks import main; main()"]
    return subprocess.run(
        [*program, *words], cwd=place, env=environ, capture_output=True, text=True, check=False
    )


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "place"
    found.mkdir()
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    files = {
        "go.mod": "module example.com/tree\n\ngo 1.21\n",
        "VERSION": "1.2\n",
        "Makefile.core.mk": MAKE,
        "cmd/ctl/main.go": MAIN,
        "cmd/agent/main.go": f"//go:build agent || linux\n\n{MAIN}",
        "cmd/gen/main.go": MAIN,
        "cmd/broken/main.go": 'package main\n\nimport _ "example.com/tree/nowhere"\n',
        "tools/docker.yaml": PLAN,
        "docker/Dockerfile.agent": DOCKERFILE,
        "docker/Dockerfile.compiled": "FROM golang:1.26\nRUN go build ./...\n",
        "conf/agent.json": "{}",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_mesh_is_adopted_as_its_own_file_has_it(place: Path) -> None:
    said = document(meshwright(place, "init", "--source", str(MESH), "--json"))
    adopted = tomli.loads((place / "targets.toml").read_text())
    ours = tomli.loads((ROOT / "targets.toml").read_text())
    paths = {name: table["package"] for name, table in ours["binaries"].items()}
    assert {name: table["package"] for name, table in adopted["binaries"].items()} == paths
    assert said["binaries"] == list(adopted["binaries"])
    assert adopted["version"] == ours["version"]
    assert adopted["matrix"]["default"] == "native"
    # Which hub it is released to stands in no file of the tree.
    hub = {key for key, text in ours["stamps"].items() if text == "${hub}"}
    assert adopted["stamps"] == {k: v for k, v in ours["stamps"].items() if k not in hub}
    check = meshwright(place, "check")
    assert check.returncode == 0, check.stderr


@pytest.mark.network
@pytest.mark.timeout(900)
def test_the_adopted_mesh_is_built_and_stamped(place: Path) -> None:
    document(meshwright(place, "init", "--source", str(MESH), "--json"))
    words = ("--only", "istioctl,bug-report", "--platform", "host")
    done = meshwright(place, "build", *words, "--version", "9.8.7")
    assert done.returncode == 0, done.stderr
    (program,) = (place / "out").glob("*/istioctl")
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    assert "9.8.7" in said.stdout


def test_a_tree_of_istio_s_shape_is_built_as_its_make_files_say(place: Path, tree: Path) -> None:
    said = document(meshwright(place, "init", "--source", str(tree), "--json"))
    assert said["binaries"] == ["agent", "ctl"]
    left = "\n".join(said["undecided"])
    assert "binary gen left out: Makefile.core.mk does not build it" in left
    assert "binary broken left out: " in left
    assert "image compiled left out: it compiles by itself, line 1" in left
    data = tomli.loads((place / "targets.toml").read_text())
    assert data["binaries"]["agent"]["group"] == "agent"
    assert data["go"]["group"] == {"agent": {"tags": ["agent"]}}
    done = meshwright(place, "build", "--platform", "host")
    assert done.returncode == 0, done.stderr
    (program,) = (place / "out").glob("*/ctl")
    ran = subprocess.run([program], capture_output=True, text=True, check=True)
    assert ran.stderr == "1.2\n"


def test_a_file_that_exists_is_written_over_only_when_that_is_said(place: Path, tree: Path) -> None:
    targets = place / "targets.toml"
    targets.write_text("mine\n")
    refused = meshwright(place, "init", "--source", str(tree))
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    shown = meshwright(place, "init", "--source", str(tree), "--dry-run")
    assert tomli.loads(shown.stdout)["project"]["name"] == "tree"
    assert targets.read_text() == "mine\n"
    assert meshwright(place, "init", "--source", str(tree), "--force").returncode == 0
    assert tomli.loads(targets.read_text())["project"]["source"] == "../tree"


def test_the_go_that_old_modules_want_is_asked_for(place: Path, tree: Path) -> None:
    needs = "require example.com/qtls-go1-18 v0.1.0 // indirect\n"
    (tree / "go.mod").write_text(f"module example.com/tree\n\ngo 1.17\n{needs}")
    done = meshwright(place, "init", "--source", str(tree))
    assert done.returncode == 0, done.stderr
    assert "Go >=1.18,<1.19 has to be on PATH" in done.stderr
    data = tomli.loads((place / "targets.toml").read_text())
    assert data["go"] == {
        "version": ">=1.18,<1.19",
        "ldflags": ["-extldflags=-static"],
        "group": {"agent": {"tags": ["agent"]}},
    }
    check = meshwright(place, "check")
    assert (check.returncode, "no usable Go" in check.stderr) == (4, True)


def test_what_is_no_module_and_what_go_cannot_read_are_told(place: Path, tree: Path) -> None:
    empty = meshwright(place, "init", "--source", str(place))
    assert (empty.returncode, "no go.mod" in empty.stderr) == (2, True)
    missing = meshwright(place, "init", "--source", "nowhere")
    assert (missing.returncode, "does not exist" in missing.stderr) == (2, True)
    (tree / "go.mod").write_text("module example.com/tree\n\ngo 9.99\n")
    newer = meshwright(place, "init", "--source", str(tree))
    assert newer.returncode == 6
    assert "could not look up golang.org/toolchain" in newer.stderr
    (tree / "go.mod").write_text("module example.com/tree\n\ngo 1.21\nnonsense\n")
    broken = meshwright(place, "init", "--source", str(tree))
    assert broken.returncode == 5
    assert "nonsense" in broken.stderr
    assert not (place / "targets.toml").exists()


@pytest.mark.network
@pytest.mark.slow
def test_without_a_go_that_fits_the_one_that_go_mod_asks_for_is_fetched(
    place: Path, tree: Path
) -> None:
    said = document(
        meshwright(place, "init", "--source", str(tree), "--json", PATH="/usr/bin:/bin")
    )
    assert said["binaries"] == ["agent", "ctl"]
    data = tomli.loads((place / "targets.toml").read_text())
    assert data["go"]["toolchain"] == "1.21.0"
