"""The toolkit in somebody else's small Go project: its program, and a tasks.py of one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from buildkit.machine import check_machine
from buildkit.platform import Platform
from tests.integration import conftest

ROOT = Path(__file__).parents[2]
PLATFORMS = ("linux/amd64", "linux/arm64", "windows/amd64")
GO_MOD = "module example.com/hello\n\ngo 1.21\n"
MAIN = """\
package main

import "fmt"

var version = "none"

func main() { fmt.Println("hello", version) }
"""
TARGETS = f"""\
schema_version = 1
[project]
name = "hello"
source = "."
release_hub = "docker.io/hello"
[stamps]
"main.version" = "${{version}}"
[matrix]
platforms = {json.dumps(PLATFORMS)}
[binaries]
hello = {{ package = "./cmd/hello" }}
[bases.static]
kind = "static"
[images.hello]
base = ["static"]
binaries = ["hello"]
platforms = ["linux/amd64", "linux/arm64"]
"""
DOCKERFILE = "FROM {{ base }}\nCOPY hello /hello\nENTRYPOINT ['/hello']\n"
pytestmark = pytest.mark.go


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    root: Path
    environ: dict[str, str]

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        start = {
            "meshwright": ("-c", "from buildkit.tasks import main; main()"),
            "invoke": ("-m", "invoke"),
        }
        return subprocess.run(
            [sys.executable, *start[program], *words],
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    environ = {
        **conftest.outside_settings(),
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DOCKER_HOST": f"unix://{tmp_path}/docker.sock",
        "MESHWRIGHT_CACHE": str(tmp_path / "cache"),
    }
    made = Project(root=tmp_path / "hello", environ=environ)
    made.write("go.mod", GO_MOD)
    made.write("cmd/hello/main.go", MAIN)
    made.write("targets.toml", TARGETS)
    made.write("images/hello/Dockerfile.j2", DOCKERFILE)
    made.write("tasks.py", "from buildkit.tasks import namespace\n")
    made.write("invoke.yaml", (ROOT / "invoke.yaml").read_text())
    return made


def units(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return {unit["id"]: unit for unit in json.loads(done.stdout)["units"]}


def test_its_binaries_are_built_stamped_and_for_their_machines(project: Project) -> None:
    done = project.run("meshwright", "build", "--version", "1.2.3")
    assert done.returncode == 0, done.stderr
    out = project.root / "out"
    for text in PLATFORMS:
        platform = Platform.parse(text)
        name = "hello.exe" if platform.os == "windows" else "hello"
        check_machine(out / platform.slug / name, platform)
    program = out / Platform.host().slug / "hello"
    assert subprocess.check_output([program]) == b"hello 1.2.3\n"


def test_a_tasks_file_of_one_line_makes_one_graph(project: Project) -> None:
    words = ("build", "docker", "--no-push", "--no-load", "--json", "-p", "linux/arm64")
    done = project.run("invoke", *words)
    assert done.returncode == 0, done.stderr
    found = units(done)
    assert set(found) == {
        "binary/hello@linux/arm64",
        "base/static@linux/arm64",
        "image/hello@linux/arm64",
    }
    assert {unit["status"] for unit in found.values()} == {"done"}
    assert {unit["status"] for unit in units(project.run("invoke", *words)).values()} == {"cached"}


def test_a_compile_error_is_gos_own_and_the_other_groups_finish(project: Project) -> None:
    project.write("cmd/hello/other_windows.go", "package main\n\nfunc f() { nothing() }\n")
    done = project.run("meshwright", "build", "--json")
    assert done.returncode == 5
    found = {name: unit["status"] for name, unit in units(done).items()}
    assert found == {
        "binary/hello@linux/amd64": "done",
        "binary/hello@linux/arm64": "done",
        "binary/hello@windows/amd64": "failed",
    }
    assert "error: hello for windows/amd64 did not compile" in done.stderr
    assert done.stderr.count("undefined: nothing") == 1
    assert not (project.root / "out" / "windows_amd64" / "hello.exe").exists()


def test_without_a_daemon_what_needs_it_waits_and_the_rest_is_made(project: Project) -> None:
    words = ("build", "docker", "--engine", "docker", "-p", "linux/amd64", "--no-push")
    done = project.run("meshwright", *words)
    assert done.returncode == 4
    assert (project.root / "out" / "linux_amd64" / "hello").exists()
    assert "image/hello@linux/amd64: there is no Docker daemon" in done.stderr


def test_a_plan_says_which_settings_of_the_environment_have_no_say(project: Project) -> None:
    project.environ.update(GOFLAGS="-mod=banana", CGO_ENABLED="1")
    done = project.run("meshwright", "plan")
    said = "ignored from the environment: CGO_ENABLED, GOFLAGS; [go] env counts"
    assert f"note       {said}\n" in done.stdout
    project.write("targets.toml", TARGETS + '[go]\nenv = { CGO_ENABLED = "0" }\n')
    done = project.run("meshwright", "plan")
    assert "note       ignored from the environment: GOFLAGS;" in done.stdout


def test_a_plan_and_a_dry_run_write_nothing(project: Project) -> None:
    before = sorted(project.root.rglob("*"))
    for words in (("plan",), ("build", "--dry-run"), ("--dry", "build", "docker")):
        done = project.run("meshwright", *words)
        assert done.returncode == 0, done.stderr
        assert "RUN      binary/hello@linux/amd64" in done.stdout
    assert sorted(project.root.rglob("*")) == before
