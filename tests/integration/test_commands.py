"""``[command.NAME]``: run when its inputs change, its outputs used by Go and by images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.go

TARGETS = """\
schema_version = 1
[project]
name = "tiny"
source = "."
release_hub = "docker.io/tiny"
[matrix]
platforms = ["linux/amd64", "linux/arm64"]
[binaries]
gen = { package = "./cmd/gen" }
app = { package = "./cmd/app", needs = ["code"] }
[command.code]
argv = ["${binary.gen}", "${source}/words", "cmd/app/words.go"]
inputs = ["${source}/words/*.txt"]
outputs = ["cmd/app/words.go"]
into_source = true
[command.page]
argv = [
  "sh", "-ec", "echo ran >> $$LOG; mkdir $$1/dist; cat ui/a ui/b > $$1/dist/page", "sh", "${out}",
]
inputs = ["ui", "${source}/words"]
outputs = ["dist"]
directory = "${source}"
env = { LOG = "${source}/runs" }
[command.native]
argv = ["cp", "${binary.app}", "${out}/native"]
outputs = ["native"]
platforms = ["linux/amd64"]
[command.after]
argv = ["cp", "-r", "${command.page}/dist", "${out}/copy"]
outputs = ["copy"]
[bases.static]
kind = "static"
[images.app]
base = ["static"]
binaries = ["app", "native"]
files = { "page" = "${command.page}/dist/page" }
platforms = ["linux/amd64"]
"""
RELEASE = """\
[release]
license = false
[release.archives.all]
name = "all"
binaries = { app = "app" }
files = { "ui" = "${command.page}/dist", "bin/native" = "${command.native}/native" }
platforms = ["linux/amd64"]
"""
GEN = """\
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	files, _ := filepath.Glob(os.Args[1] + "/*.txt")
	text := fmt.Sprintf("package main\\n\\nconst words = %d\\n", len(files))
	if err := os.WriteFile(os.Args[2], []byte(text), 0o644); err != nil {
		panic(err)
	}
}
"""
APP = "package main\n\nfunc main() { println(words) }\n"
HOST = ("-p", "linux/amd64")


class Mesh:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {**os.environ, "MESHWRIGHT_CACHE": str(root / "cache")}
        for name, text in {
            "targets.toml": TARGETS,
            "go.mod": "module example.com/tiny\n\ngo 1.20\n",
            "cmd/gen/main.go": GEN,
            "cmd/app/main.go": APP,
            "words/one.txt": "one",
            "ui/a": "a\n",
            "ui/b": "b\n",
            "images/app/Dockerfile.j2": "FROM {{ base }}\nCOPY app native page /\n"
            'ENTRYPOINT ["/app"]\n',
        }.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def change(self, before: str, after: str) -> None:
        text = (self.root / "targets.toml").read_text()
        assert before in text
        self.write("targets.toml", text.replace(before, after, 1))

    def run(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", "from buildkit.tasks import main; main()", *words]
        done = subprocess.run(
            argv, cwd=self.root, env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
        return done

    def git(self, *words: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgSign=false")
        subprocess.run(["git", *identity, *words], cwd=self.root, check=True, capture_output=True)

    def units(self, *words: str) -> dict[str, Any]:
        document = json.loads(self.run(*words, *HOST, "--json").stdout)
        return {unit["id"]: unit for unit in document["units"]}

    def verdicts(self, *words: str) -> dict[str, str]:
        return {
            name: unit["verdict"] for name, unit in self.units("build", "--dry-run", *words).items()
        }

    def runs(self) -> int:
        return len((self.root / "runs").read_text().splitlines())

    def app(self) -> str:
        done = subprocess.run(
            [self.root / "out/linux_amd64/app"], capture_output=True, text=True, check=True
        )
        return done.stderr.strip()


@pytest.fixture
def mesh(tmp_path: Path) -> Mesh:
    return Mesh(tmp_path)


def test_outputs_are_made_and_used_and_made_again_only_for_a_reason(mesh: Mesh) -> None:
    mesh.run("build", *HOST)
    assert mesh.app() == "1"
    assert (mesh.root / "out/command/page/dist/page").read_text() == "a\nb\n"
    assert (mesh.root / "out/command/after/copy/page").read_text() == "a\nb\n"
    native = mesh.root / "out/linux_amd64/command/native/native"
    assert native.read_bytes() == (mesh.root / "out/linux_amd64/app").read_bytes()
    assert set(mesh.verdicts().values()) == {"CACHED"}

    mesh.write("words/two.txt", "two")
    plan = mesh.units("build", "--dry-run")
    assert plan["command/code"]["reason"] == "file words/two.txt is new"
    assert plan["command/page"]["reason"] == "file words/two.txt is new"
    assert plan["binary/app@linux/amd64"]["reason"] == "needs command/code"
    mesh.run("build", *HOST)
    assert (mesh.app(), mesh.runs()) == ("2", 2)
    assert set(mesh.verdicts().values()) == {"CACHED"}


def test_what_came_out_the_same_makes_nothing_else_anew(mesh: Mesh) -> None:
    mesh.run("build", *HOST)
    mesh.write("words/one.txt", "other")
    done = json.loads(mesh.run("build", *HOST, "--json").stdout)
    results = {unit["id"]: unit for unit in done["units"]}
    assert results["command/code"]["status"] == "done"
    assert results["binary/app@linux/amd64"]["reason"] == "what it needs came out the same"
    assert results["command/after"]["reason"] == "what it needs came out the same"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda root: (root / "out/command/page/dist/page").unlink(), "an output of page was"),
        (lambda root: (root / "out/command/page/dist/page").write_text("x"), "an output of page"),
        (lambda root: (root / "out/command/page/dist").rename(root / "x"), "dist is missing"),
        (lambda root: (root / "ui/a").write_text("x"), "file ui/a changed"),
        (lambda root: (root / "ui/b").unlink(), "file ui/b is gone"),
    ],
)
def test_what_was_altered_is_made_again(
    mesh: Mesh, damage: Callable[[Path], object], reason: str
) -> None:
    mesh.run("build", "--only", "page", *HOST)
    damage(mesh.root)
    (unit,) = mesh.units("plan", "--only", "page").values()
    assert unit["verdict"] == "RUN"
    assert unit["reason"].startswith(reason)


def test_only_reaches_a_command_with_what_it_needs(mesh: Mesh) -> None:
    assert set(mesh.verdicts("--only", "after")) == {"command/page", "command/after"}
    assert set(mesh.verdicts("--only", "code")) == {"binary/gen@linux/amd64", "command/code"}
    error = mesh.run("plan", "--only", "pgae", status=2).stderr
    assert "did you mean 'page'?" in error


def test_a_tool_is_made_for_this_machine_whatever_is_built(mesh: Mesh) -> None:
    done = json.loads(mesh.run("plan", "-p", "linux/arm64", "--only", "app", "--json").stdout)
    ids = {unit["id"] for unit in done["units"]}
    assert ids == {"binary/gen@linux/amd64", "command/code", "binary/app@linux/arm64"}


def test_what_a_command_made_goes_with_it(mesh: Mesh) -> None:
    mesh.run("build", "--only", "code,after", *HOST)
    text = (mesh.root / "targets.toml").read_text()
    start, end = text.index("[command.after]"), text.index("[bases")
    mesh.write("targets.toml", text[:start] + text[end:])
    mesh.run("build", "--only", "code", *HOST)
    assert not (mesh.root / "out/command/after").exists()
    assert (mesh.root / "out/command/page/dist").exists()
    mesh.change(', needs = ["code"]', "")
    text = (mesh.root / "targets.toml").read_text()
    start, end = text.index("[command.code]"), text.index("[command.page]")
    mesh.write("targets.toml", text[:start] + text[end:])
    mesh.run("build", "--only", "app", *HOST)
    assert (mesh.root / "cmd/app/words.go").exists()


def test_a_plan_and_an_explanation_show_the_command(mesh: Mesh) -> None:
    unit = mesh.units("plan", "--only", "page")["command/page"]
    assert unit["command"]["argv"][:2] == ["sh", "-ec"]
    assert unit["command"]["environment"] == {"LOG": str(mesh.root / "runs")}
    text = mesh.run("explain", "page", *HOST).stdout
    assert "file ui/a: sha256:" in text
    assert "never made here" in text


def test_images_take_outputs_of_commands(mesh: Mesh) -> None:
    words = ("docker", "--layout", "--no-push", "--no-load")
    image = mesh.units(*words)["image/app@linux/amd64"]
    assert image["status"] == "done"
    assert {"command/page", "command/native@linux/amd64"} <= set(image["needs"])
    names: set[tuple[str, int]] = set()
    for blob in (mesh.root / "out/oci/blobs/sha256").iterdir():
        if tarfile.is_tarfile(blob):
            with tarfile.open(blob) as layer:
                names |= {member.name: member.mode for member in layer}.items()
    assert {("app", 0o755), ("native", 0o755), ("page", 0o644)} <= names
    mesh.write("ui/a", "other")
    plan = mesh.units("plan", "--layout", "--no-push", "--no-load")
    assert plan["image/app@linux/amd64"]["reason"] == "needs command/page"


def test_a_release_says_what_ran_and_takes_what_commands_make_as_made(mesh: Mesh) -> None:
    mesh.write(".gitignore", "out/\ncache/\ndist/\nruns\n")
    mesh.write("targets.toml", TARGETS + RELEASE)
    mesh.git("init", "-q")
    mesh.git("add", ".")
    mesh.git("commit", "-qm", "feat: all")
    words = ("release", "--version", "1.2.3", *HOST, "--json")
    document = json.loads(mesh.run(*words).stdout)
    assert document["snapshot"] is False
    dist = mesh.root / "dist"
    released = json.loads((dist / "release.json").read_text())
    # Those that run once are of no platform, and so in no part of a release.
    units = {unit["id"] for unit in released["units"] if unit["id"].startswith("command/")}
    assert units == {"command/native@linux/amd64"}
    with tarfile.open(dist / "all.tar.gz") as archive:
        modes = {member.name: member.mode for member in archive}
        page = archive.extractfile("ui/page")
        assert page is not None
        assert page.read() == b"a\nb\n"
    assert modes == {"app": 0o755, "bin/native": 0o755, "ui/page": 0o644}
    contains = next(it["contains"] for it in released["files"] if it["path"] == "all.tar.gz")
    held = ["binary/app@linux/amd64", "command/page", "command/native@linux/amd64"]
    assert contains == held
    checks = json.loads(mesh.run("verify", "dist/all.tar.gz", "--json").stdout)["checks"]
    assert "2 executables are for linux/amd64" in {check["compared"] for check in checks}
    provenance = (dist / "provenance.json").read_text()
    assert "${source}/words" in provenance
    assert str(mesh.root) not in provenance
    mesh.write("words/mine.txt", "of nobody else")
    refused = mesh.run(*words, status=2).stderr
    assert "words/mine.txt is in the release, but in no commit" in refused


@pytest.mark.parametrize(
    ("before", "after", "said", "status"),
    [
        ("cat ui/a ui/b", "echo on stderr >&2; exit 7", "page ended with status 7", 5),
        ('outputs = ["dist"]', 'outputs = ["dits"]', "did not make dits", 5),
        ('  "sh", "-ec"', '  "no-such-program", "-ec"', "cannot start no-such", 4),
        ("/words/*.txt", "/wrods/*.txt", "nothing is at its input 'wrods/*.txt'", 3),
    ],
)
def test_what_goes_wrong_is_one_error(
    mesh: Mesh, before: str, after: str, said: str, status: int
) -> None:
    if "dits" in after:
        mesh.change('files = { "page" = "${command.page}/dist/page" }', "")
    mesh.change(before, after)
    name = "code" if "words" in before else "page"
    error = mesh.run("build", "--only", name, *HOST, status=status).stderr
    assert said in error
    assert "Traceback" not in error
    assert not (mesh.root / "out/command/page").exists()
    if "exit 7" in after:
        assert "on stderr" in error
